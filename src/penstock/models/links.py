"""Trees too deep to be padded: every node knows where its children are, and a leaf leads to itself.

The two children of a node lie side by side, so a step is child + (x < threshold ? 0 : 1) without a branch. A leaf names
the place before its own and compares with NaN, which nothing is less than: the step ends where it began. So eight
traversals of one tree can go on together until the deepest of them has arrived.

Measured on one core that other work shared, 200 trees of depth 12 over 20 features (122,000 nodes): 9 us for one row, 3 to
7 us for each of many; scikit-learn's own predict_proba takes 25 us for each of many.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from penstock.jit import njit
from penstock.models.forest import Forest, Ids, Paths
from penstock.models.kernels import both_ways

_U = np.uint64
_LANES = np.uint64(8)

_ROWS = np.uint64(512)
"""Rows taken through all trees before the next ones, so that they stay near."""


@dataclass(frozen=True, slots=True)
class Links:
    """nodes: records child, column (of `kernels.both_ways`), threshold; tree after tree, level by level, place 0 unused.
    value (nodes,): of leaves. roots, depths: (trees,). order (nodes - 1,): the places in `Forest.nodes`. place: the way back.
    """

    nodes: NDArray[np.void]
    value: NDArray[np.floating]
    roots: Ids
    depths: Ids
    order: Ids
    place: Ids

    @classmethod
    def of(cls, forest: Forest, paths: Paths) -> Self:
        """Lay out a forest."""
        order = _level_by_level(forest, paths)
        place = np.zeros(len(forest.nodes) + 1, np.int64)
        place[order] = np.arange(1, len(order) + 1)
        split = paths.left[order] >= 0
        thresholds = forest.thresholds()
        nodes = np.zeros(len(order) + 1, [("child", "<u4"), ("column", "<u4"), ("threshold", thresholds.dtype)])
        nodes["child"][1:] = np.where(split, place[paths.left[order]], place[order] - 1)
        nodes["column"][1:] = np.where(split, forest.columns()[order], 0)
        nodes["threshold"][1:] = np.where(split, thresholds[order], np.nan)
        precision = np.float32 if forest.sum32 else np.float64
        value: NDArray[Any] = np.append(0.0, forest.nodes["value"][order]).astype(precision)
        depths = np.zeros(len(forest.roots), np.int64)
        np.maximum.at(depths, paths.tree[order], paths.level[order])
        return cls(nodes, value, place[forest.roots], depths, order, place)

    def scores(self, x: NDArray[np.float64], base: Any, out: NDArray[np.float64]) -> None:
        """The sums of leaves for rows x (n, k), starting at `base`, in the precision of `value`: out (n,)."""
        like = np.empty(0, self.nodes.dtype["threshold"])
        linked_scores(x, like, self.nodes, self.value, self.roots, self.depths, base, out)


def _level_by_level(forest: Forest, paths: Paths) -> Ids:
    """All reachable nodes, tree after tree; siblings side by side."""
    levels, here = [], forest.roots
    while len(here):
        levels.append(here)
        parents = here[paths.left[here] >= 0]
        here = np.stack([paths.left[parents], paths.right[parents]], axis=1).ravel()
    found = np.concatenate(levels)
    order: Ids = found[np.argsort(paths.tree[found], kind="stable")]
    return order


# ---------------------------------------------------------------- kernels


@njit(cache=False)
def _follow(rows, row, nodes, at):
    return _U(nodes[at].child) + _U(not (rows[row + _U(nodes[at].column)] < nodes[at].threshold))


@njit(cache=False)
def _eight_rows(rows, row, width, nodes, value, root, depth, total, at):
    r0 = row
    r1 = r0 + width
    r2 = r1 + width
    r3 = r2 + width
    r4 = r3 + width
    r5 = r4 + width
    r6 = r5 + width
    r7 = r6 + width
    a = b = c = d = e = f = g = h = root
    for _ in range(depth):
        a = _follow(rows, r0, nodes, a)
        b = _follow(rows, r1, nodes, b)
        c = _follow(rows, r2, nodes, c)
        d = _follow(rows, r3, nodes, d)
        e = _follow(rows, r4, nodes, e)
        f = _follow(rows, r5, nodes, f)
        g = _follow(rows, r6, nodes, g)
        h = _follow(rows, r7, nodes, h)
    total[at] += value[a]
    total[at + _U(1)] += value[b]
    total[at + _U(2)] += value[c]
    total[at + _U(3)] += value[d]
    total[at + _U(4)] += value[e]
    total[at + _U(5)] += value[f]
    total[at + _U(6)] += value[g]
    total[at + _U(7)] += value[h]


@njit(cache=False)
def _eight_trees(rows, row, nodes, value, roots, depths, t, total):
    a = _U(roots[t])
    b = _U(roots[t + _U(1)])
    c = _U(roots[t + _U(2)])
    d = _U(roots[t + _U(3)])
    e = _U(roots[t + _U(4)])
    f = _U(roots[t + _U(5)])
    g = _U(roots[t + _U(6)])
    h = _U(roots[t + _U(7)])
    deepest = 0
    for u in range(8):
        deepest = max(deepest, depths[t + _U(u)])
    for _ in range(deepest):
        a = _follow(rows, row, nodes, a)
        b = _follow(rows, row, nodes, b)
        c = _follow(rows, row, nodes, c)
        d = _follow(rows, row, nodes, d)
        e = _follow(rows, row, nodes, e)
        f = _follow(rows, row, nodes, f)
        g = _follow(rows, row, nodes, g)
        h = _follow(rows, row, nodes, h)
    total += value[a]
    total += value[b]
    total += value[c]
    total += value[d]
    total += value[e]
    total += value[f]
    total += value[g]
    total += value[h]
    return total


@njit(cache=False)
def _row(rows, row, nodes, value, roots, depths, total):
    t, count = _U(0), _U(roots.shape[0])
    while t + _LANES <= count:
        total = _eight_trees(rows, row, nodes, value, roots, depths, t, total)
        t += _LANES
    while t < count:
        at = _U(roots[t])
        for _ in range(depths[t]):
            at = _follow(rows, row, nodes, at)
        total += value[at]
        t += _U(1)
    return total


@njit
def linked_scores(x, like, nodes, value, roots, depths, base, out):
    """See `Links.scores`; `like` has the thresholds' precision. Leaves of a row are added in the order of the trees."""
    n, k = x.shape
    rows = both_ways(x, like).ravel()
    width, count = _U(2 * k), _U(roots.shape[0])
    total = np.empty(n, value.dtype)
    total[:] = base
    whole = _U(n - n % 8)
    start = _U(0)
    while start < whole:
        stop = min(start + _ROWS, whole)
        for t in range(count):
            for at in range(start, stop, _LANES):
                _eight_rows(rows, at * width, width, nodes, value, _U(roots[t]), depths[t], total, at)
        start = stop
    for at in range(whole, _U(n)):
        total[at] = _row(rows, at * width, nodes, value, roots, depths, total[at])
    for i in range(n):  # a loop, since `out[:] = total` compiles numba's text handling for its error message
        out[i] = total[i]
