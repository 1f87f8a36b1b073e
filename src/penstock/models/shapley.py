"""Exact contributions of features to a tree ensemble's output: path-dependent TreeSHAP by quadrature.

The Shapley value of a feature is the integral of its marginal effect along the diagonal of the game's multilinear
extension (Owen, "Multilinear extensions of games", 1972). For one leaf with value v, whose path asks for features j
with o_j = 1 where the row fulfils what the path asks of j (else 0) and r_j the share of training weight that does,

    contribution of i = v (o_i - r_i) * integral over t from 0 to 1 of the product over j != i of (o_j t + r_j (1 - t))

The integrand is a polynomial of degree m - 1 for m features on the path, so Gauss-Legendre with ceil(m / 2) points
gives the integral exactly: this is an evaluation order, not an approximation. At each point t, products go down the
tree and sums over leaves come back up, as two passes of multiplications over flat arrays. Where a feature returns on a
path, its edges share one factor: the edge divides out the factor of the last edge of that feature above it, and takes
back what that edge would count for the leaves below. TreeSHAP: Lundberg et al., "From local explanations to global
understanding with explainable AI for trees" (2020); XGBoost's `pred_contribs` is the oracle in the tests.

Measured on one core, 200 trees of depth 6 over 20 features: 62 us a row, alone or among many; `pred_contribs` takes
1,580 us alone and 1,290 us among many.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from penstock.jit import njit
from penstock.models.kernels import both_ways

LANES = 8
"""Trees worked on side by side: level l of a block is one stretch of 8 * 2^l numbers, which the compiler vectorises."""

_U = np.uint64
_LANES = np.uint64(LANES)


@dataclass(frozen=True, slots=True)
class PaddedPaths:
    """Full trees of one depth in blocks of eight, level by level; within a level by position, then lane.

    The children of position p on level l are p (left) and p + 2^l (right) on the next, so a level's left children, like
    its right ones, lie side by side in their parents' order. column, threshold: (blocks, nodes) for the levels above
    the leaves. reach, reach_above: (blocks, nodes + leaves) the share r of the feature asked on the edge into a node,
    and of the same feature's last edge above (1 where there is none). above: where that edge leads to (a root where there
    is none: o = r = 1 there). leaf: (blocks, leaves). points, weights: Gauss-Legendre on (0, 1).
    """

    column: NDArray[np.uint32]
    threshold: NDArray[np.floating]
    reach: NDArray[np.float32]
    reach_above: NDArray[np.float32]
    above: NDArray[np.uint32]
    leaf: NDArray[np.float32]
    points: NDArray[np.float32]
    weights: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class LinkedPaths:
    """Trees of any depth in the order of `penstock.models.links`; `starts` (trees + 1,) bounds each tree.

    nodes: as there. value, reach, reach_above, above: (nodes,), as in `PaddedPaths`; above counts from the tree's root.
    """

    nodes: NDArray[np.void]
    starts: NDArray[np.int64]
    value: NDArray[np.float32]
    reach: NDArray[np.float32]
    reach_above: NDArray[np.float32]
    above: NDArray[np.uint32]
    points: NDArray[np.float32]
    weights: NDArray[np.float32]

    @property
    def like(self) -> NDArray[np.floating]:
        """An empty array in the precision of thresholds."""
        return np.empty(0, self.nodes.dtype["threshold"])


def quadrature(features_on_a_path: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Points and weights on (0, 1) that integrate exactly what paths with so many distinct features ask for.

    >>> quadrature(2)[0].tolist(), quadrature(2)[1].tolist()
    ([0.5], [1.0])
    """
    points, weights = np.polynomial.legendre.leggauss(max(1, (features_on_a_path + 1) // 2))
    return (points + 1) / 2, weights / 2


# ---------------------------------------------------------------- padded trees


@njit(error_model="numpy")
def _fulfil(row, column, threshold, above, depth, met, met_above):
    """For every edge: does the row meet all that its path asks of the edge's feature, down to here and down to `above`?"""
    for level in range(depth):
        width = _LANES << _U(level)
        here = width - _LANES
        left = here + width
        right = left + width
        for v in range(width):
            u = _U(v)
            goes_right = np.float32(not (row[column[here + u]] < threshold[here + u]))
            before = met[above[left + u]]
            met_above[left + u] = before
            met[left + u] = before * (np.float32(1) - goes_right)
            before = met[above[right + u]]
            met_above[right + u] = before
            met[right + u] = before * goes_right


@njit(error_model="numpy")
def _factors(met, met_above, reach, reach_above, point, product, effect):
    """Of every edge at one point: its factor in products, and what a unit of product moves the feature's contribution."""
    rest = np.float32(1) - point
    for u in range(met.shape[0]):
        factor = met[u] * point + reach[u] * rest
        undo = np.float32(1) / (met_above[u] * point + reach_above[u] * rest)
        product[u] = factor * undo
        effect[u] = (met[u] - reach[u]) / factor - (met_above[u] - reach_above[u]) * undo


@njit
def _down_and_up(product, leaf, weight, depth, flow):
    """Products from the roots down to the leaves, then sums of leaf values times products back up, in `flow`."""
    flow[:LANES] = 1
    for level in range(depth):
        width = _LANES << _U(level)
        here = width - _LANES
        left = here + width
        right = left + width
        for v in range(width):
            u = _U(v)
            flow[left + u] = flow[here + u] * product[left + u]
        for v in range(width):
            u = _U(v)
            flow[right + u] = flow[here + u] * product[right + u]
    bottom = flow[flow.shape[0] - leaf.shape[0] :]
    for at in range(leaf.shape[0]):
        bottom[at] *= leaf[at] * weight
    for level in range(depth - 1, -1, -1):
        width = _LANES << _U(level)
        here = width - _LANES
        left = here + width
        right = left + width
        for v in range(width):
            u = _U(v)
            flow[here + u] = flow[left + u] + flow[right + u]


@njit
def _add_effects(flow, effect, moved):
    for u in range(flow.shape[0]):
        moved[u] += flow[u] * effect[u]


@njit
def _collect(moved, column, depth, out):
    """Both edges below a node belong to the node's feature."""
    for level in range(depth):
        width = _LANES << _U(level)
        here = width - _LANES
        left = here + width
        right = left + width
        for v in range(width):
            u = _U(v)
            out[column[here + u] >> np.uint32(1)] += moved[left + u] + moved[right + u]


@njit
def padded_contributions(x, column, threshold, reach, reach_above, above, leaf, points, weights, out):
    """Contributions of each feature to the sums of leaves, for rows x (n, k), added to out (n, k) float64."""
    rows = both_ways(x, threshold)
    blocks, nodes = reach.shape
    depth = 0
    while (LANES << depth) < leaf.shape[1]:
        depth += 1
    met, met_above = np.ones(nodes, np.float32), np.ones(nodes, np.float32)
    product, effect = np.empty(nodes, np.float32), np.empty(nodes, np.float32)
    flow, moved = np.empty(nodes, np.float32), np.empty(nodes, np.float32)
    for i in range(x.shape[0]):
        for b in range(blocks):
            _fulfil(rows[i], column[b], threshold[b], above[b], depth, met, met_above)
            moved[:] = 0
            for q in range(points.shape[0]):
                _factors(met, met_above, reach[b], reach_above[b], points[q], product, effect)
                _down_and_up(product, leaf[b], weights[q], depth, flow)
                _add_effects(flow, effect, moved)
            _collect(moved, column[b], depth, out[i])


# ---------------------------------------------------------------- linked trees


@njit(error_model="numpy")
def _fulfil_links(row, nodes, first, above, met, met_above):
    """As `_fulfil`; returns nothing for leaves, which have no edges below."""
    for v in range(above.shape[0]):
        u = _U(v)
        node = nodes[first + u]
        left = _U(node.child) - first
        if left < above.shape[0] and left > u:
            goes_right = np.float32(not (row[node.column] < node.threshold))
            before = met[above[left]]
            met_above[left] = before
            met[left] = before * (np.float32(1) - goes_right)
            right = left + _U(1)
            before = met[above[right]]
            met_above[right] = before
            met[right] = before * goes_right


@njit(error_model="numpy")
def _down_and_up_links(nodes, first, product, value, weight, flow):
    """As `_down_and_up`: a node's own flow is replaced by that of its leaves."""
    count = _U(product.shape[0])
    flow[0] = 1
    for v in range(count):
        u = _U(v)
        left = _U(nodes[first + u].child) - first
        if left < count and left > u:
            flow[left] = flow[u] * product[left]
            flow[left + _U(1)] = flow[u] * product[left + _U(1)]
        else:
            flow[u] *= value[u] * weight
    for v in range(count):
        u = count - _U(v) - _U(1)
        left = _U(nodes[first + u].child) - first
        if left < count and left > u:
            flow[u] = flow[left] + flow[left + _U(1)]


@njit(error_model="numpy")
def _collect_links(moved, nodes, first, out):
    count = _U(moved.shape[0])
    for v in range(count):
        u = _U(v)
        node = nodes[first + u]
        left = _U(node.child) - first
        if left < count and left > u:
            out[node.column >> np.uint32(1)] += moved[left] + moved[left + _U(1)]


@njit(error_model="numpy")
def linked_contributions(x, like, nodes, starts, value, reach, reach_above, above, points, weights, out):
    """As `padded_contributions`, for trees of any depth."""
    rows = both_ways(x, like)
    most = 0
    for t in range(starts.shape[0] - 1):
        most = max(most, starts[t + 1] - starts[t])
    met, met_above = np.ones(most, np.float32), np.ones(most, np.float32)
    product, effect = np.empty(most, np.float32), np.empty(most, np.float32)
    flow, moved = np.empty(most, np.float32), np.empty(most, np.float32)
    for i in range(x.shape[0]):
        for t in range(starts.shape[0] - 1):
            start, stop = starts[t], starts[t + 1]
            first, size = _U(start), stop - start
            _fulfil_links(rows[i], nodes, first, above[start:stop], met, met_above)
            moved[:size] = 0
            for q in range(points.shape[0]):
                _factors(met[:size], met_above[:size], reach[start:stop], reach_above[start:stop], points[q], product, effect)
                _down_and_up_links(nodes, first, product[:size], value[start:stop], weights[q], flow)
                _add_effects(flow[:size], effect, moved)
            _collect_links(moved[:size], nodes, first, out[i])
