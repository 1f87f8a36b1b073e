"""Tree ensembles in one open form for every library, and what can be read off them.

What differs between libraries is written into the form instead of the code: whether a split reads x < threshold or
x <= threshold, in which precision values are compared and leaves are added up, whether the sum is an average, where
missing values go.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from penstock.errors import BundleError
from penstock.models.port import Vector

NODE = np.dtype(
    [
        ("left", "<i4"),  # child within the tree, -1 at a leaf
        ("right", "<i4"),
        ("feature", "<i4"),
        ("default_left", "<i4"),  # 1 where a missing value goes left
        ("threshold", "<f8"),
        ("value", "<f8"),  # of a leaf
        ("cover", "<f8"),  # training weight that reached the node
    ]
)
"""One node as it lies in `nodes.npy`."""

_LEAST_REACH = 1e-30
"""Keeps an edge that no training weight took from dividing zero by zero; far below what float32 sums can show."""

Ids = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Forest:
    """Trees in the open form.

    nodes: NODE records, tree after tree. roots: (trees,) where each begins. base: what the sum of leaves starts from.
    width: number of features. inclusive: a split sends x <= threshold left, else x < threshold. compare32, sum32: in
    float32, else float64. average: the sum is divided by the number of trees.

    Raises:
        BundleError: the nodes do not form trees, or ask for features that are not there.
    """

    nodes: NDArray[np.void]
    roots: Ids
    base: float
    width: int
    inclusive: bool = False
    compare32: bool = False
    sum32: bool = False
    average: bool = False

    def __post_init__(self) -> None:
        if not len(self.roots):
            raise BundleError("a tree model has no trees; train it again")
        # kernels do not check bounds: a wrong number here would read foreign memory there
        sizes = np.diff(np.append(self.roots, len(self.nodes)))
        bounds = np.repeat(sizes, sizes) if self.roots[0] == 0 and (sizes > 0).all() else np.zeros(len(self.nodes))
        split = self.nodes["left"] >= 0
        for side in ("left", "right"):
            if not ((self.nodes[side] < bounds) & ((self.nodes[side] > 0) | ~split)).all():
                raise BundleError("tree nodes name children that are not in their tree; train the model again")
        starts = np.repeat(self.roots, sizes)[split]
        children = np.concatenate([starts + self.nodes[side][split] for side in ("left", "right")])
        if len(np.unique(children)) < len(children):
            raise BundleError("tree nodes share children or run in a circle; train the model again")
        if not ((self.nodes["feature"] >= 0) & (self.nodes["feature"] < self.width))[split].all():
            raise BundleError(f"tree nodes ask for a feature beyond the {self.width} declared; train the model again")

    def thresholds(self) -> NDArray[np.floating]:
        """Thresholds in the precision of the comparison, moved so that x < threshold is what the library asks."""
        exact = self.nodes["threshold"]
        if not self.compare32:
            return np.nextafter(exact, np.inf) if self.inclusive else exact.copy()
        near = exact.astype(np.float32)
        up, down = np.float32(np.inf), np.float32(-np.inf)
        if self.inclusive:
            return np.nextafter(np.where(near > exact, np.nextafter(near, down), near), up)
        return np.where(near < exact, np.nextafter(near, up), near)

    def columns(self) -> NDArray[np.int64]:
        """Which of the doubled columns of `kernels.both_ways` a node reads."""
        columns: Ids = 2 * self.nodes["feature"].astype(np.int64) + (self.nodes["default_left"] == 0)
        return columns


@dataclass(frozen=True, slots=True)
class Paths:
    """What a walk from the roots finds out about every node, by its place in `Forest.nodes`; -1 where there is none.

    order: reachable nodes, level by level. reach, reach_above, above: of the edge into the node, see `shapley`. share: of
    the training weight. distinct: how many features the path to it asks for.
    """

    order: Ids
    tree: Ids
    level: Ids
    left: Ids
    right: Ids
    parent: Ids
    reach: Vector
    reach_above: Vector
    above: Ids
    share: Vector
    distinct: Ids

    @property
    def depth(self) -> int:
        """Of the deepest leaf; a tree that is one leaf has depth 0."""
        return int(self.level[self.order[-1]])

    @classmethod
    def of(cls, forest: Forest) -> Self:
        """Trace every tree from its root."""
        n = len(forest.nodes)
        tree = np.repeat(np.arange(len(forest.roots)), np.diff(np.append(forest.roots, n)))
        split = forest.nodes["left"] >= 0
        left = np.where(split, forest.nodes["left"] + forest.roots[tree], -1)
        right = np.where(split, forest.nodes["right"] + forest.roots[tree], -1)
        blank = np.full(n, -1, np.int64)
        paths = cls(
            order=np.array([], np.int64), tree=tree, level=np.zeros(n, np.int64), left=left, right=right, parent=blank.copy(),
            reach=np.ones(n), reach_above=np.ones(n), above=blank, share=np.ones(n), distinct=np.zeros(n, np.int64),
        )  # fmt: skip
        levels = list(paths._walk(forest))
        return cls(**{name: getattr(paths, name) for name in cls.__slots__} | {"order": np.concatenate(levels)})

    def _walk(self, forest: Forest) -> Iterator[Ids]:
        """Fill the arrays level by level; yields each level's nodes."""
        here = forest.roots
        while len(here):
            yield here
            parents = here[self.left[here] >= 0]
            here = np.concatenate([self.left[parents], self.right[parents]])
            self._reach(forest, here, np.concatenate([parents, parents]))

    def _reach(self, forest: Forest, here: Ids, parents: Ids) -> None:
        self.parent[here] = parents
        self.level[here] = self.level[parents] + 1
        above = self._last_of_same_feature(forest, parents)
        cover = forest.nodes["cover"]
        before = np.where(above >= 0, self.reach[above], 1.0)
        ratio = np.minimum(cover[here] / np.maximum(cover[parents], np.finfo(np.float32).tiny), 1.0)
        self.above[here] = above
        self.reach_above[here] = before
        self.reach[here] = np.maximum(before * ratio, _LEAST_REACH)
        self.share[here] = self.share[parents] * self.reach[here] / before
        self.distinct[here] = self.distinct[parents] + (above < 0)

    def _last_of_same_feature(self, forest: Forest, parents: Ids) -> Ids:
        """For edges below `parents`: the end of the last edge above that asks for the same feature."""
        feature = forest.nodes["feature"]
        found = np.full(len(parents), -1, np.int64)
        end = parents.copy()
        while (self.parent[end] >= 0).any():
            asked = self.parent[end]
            same = (asked >= 0) & (found < 0) & (feature[asked] == feature[parents])
            found[same] = end[same]
            end = np.where(asked >= 0, asked, end)
        return found
