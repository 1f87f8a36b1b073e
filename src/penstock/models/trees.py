"""Serving of tree ensembles: the flat arrays that the kernels run on, built from a `Forest`."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from penstock.errors import BundleError
from penstock.models import kernels, shapley
from penstock.models.forest import NODE, Forest, Ids, Paths
from penstock.models.links import Links
from penstock.models.port import Matrix, Vector
from penstock.models.shapley import LANES, LinkedPaths, PaddedPaths, quadrature

_DEEPEST_PADDED = 8
"""Full trees deeper than this would be mostly padding, and no longer fit the caches."""

_MOST_PADDING = 3
"""Padded contributions cost a third of linked ones per node, so they win up to that many padded nodes per real one."""


class TreeMember:
    """A trained tree ensemble; see `penstock.models.port.Member`.

    attachments: files kept beside for other tools (the library's own model), not read when serving.
    """

    form: ClassVar[str] = "trees"

    def __init__(self, forest: Forest, attachments: Mapping[str, bytes] | None = None) -> None:
        self.forest = forest
        self.attachments = dict(attachments or {})
        paths = Paths.of(forest)
        leaves = paths.order[paths.left[paths.order] < 0]
        self._divisor = len(forest.roots) if forest.average else 1
        self.base = float(forest.base + paths.share[leaves] @ forest.nodes["value"][leaves]) / self._divisor
        self._start = np.float32(forest.base) if forest.sum32 else np.float64(forest.base)
        self._padded = _padded_trees(forest, paths) if paths.depth <= _DEEPEST_PADDED else None
        self._linked = None if self._padded else Links.of(forest, paths)
        layout = _padded_paths if _worth_padding(forest, paths) else _linked_paths
        self.paths = layout(forest, paths)

    def fill(self, x: Matrix, out: Vector) -> None:
        """The sum of leaves (log-odds, for boosted classifiers) of every row into `out`."""
        if self._padded is not None:
            kernels.padded_scores(x, *self._padded, self._start, out)
        elif self._linked is not None:
            self._linked.scores(x, self._start, out)
        if self._divisor > 1:
            out /= self._divisor

    def contributions(self, x: Matrix) -> Matrix:
        """Path-dependent TreeSHAP values; see `penstock.models.shapley`."""
        out = np.zeros(x.shape)
        paths = self.paths
        if isinstance(paths, PaddedPaths):
            shapley.padded_contributions(
                x, paths.column, paths.threshold, paths.reach, paths.reach_above, paths.above, paths.leaf,
                paths.points, paths.weights, out,
            )  # fmt: skip
        else:
            shapley.linked_contributions(
                x, paths.like, paths.nodes, paths.starts, paths.value, paths.reach, paths.reach_above, paths.above,
                paths.points, paths.weights, out,
            )  # fmt: skip
        if self._divisor > 1:
            out /= self._divisor
        return out

    def export(self, folder: Path) -> dict[str, Any]:
        """Two .npy arrays, and the attachments as they are."""
        np.save(folder / "nodes.npy", self.forest.nodes, allow_pickle=False)
        np.save(folder / "roots.npy", self.forest.roots, allow_pickle=False)
        for name, content in self.attachments.items():
            (folder / name).write_bytes(content)
        return {
            "nodes": "nodes.npy",
            "roots": "roots.npy",
            "attachments": sorted(self.attachments),
            "base": self.forest.base,
            "width": self.forest.width,
            "inclusive": self.forest.inclusive,
            "compare32": self.forest.compare32,
            "sum32": self.forest.sum32,
            "average": self.forest.average,
        }

    @classmethod
    def load(cls, folder: Path, described: Mapping[str, Any]) -> Self:
        """Read the files of `export`."""
        nodes = np.load(folder / described["nodes"], allow_pickle=False)
        roots = np.load(folder / described["roots"], allow_pickle=False)
        if nodes.dtype != NODE or roots.dtype != np.int64:
            raise BundleError(
                f"{folder / described['nodes']} does not hold tree nodes but {nodes.dtype}; train the model again"
            )
        flags = {name: described[name] for name in ("base", "width", "inclusive", "compare32", "sum32", "average")}
        return cls(Forest(nodes, roots, **flags), {name: (folder / name).read_bytes() for name in described["attachments"]})


# ---------------------------------------------------------------- layouts


def _worth_padding(forest: Forest, paths: Paths) -> bool:
    full = len(forest.roots) << (paths.depth + 1)
    return 1 <= paths.depth <= _DEEPEST_PADDED and full <= _MOST_PADDING * len(paths.order)


def _full_levels(forest: Forest, paths: Paths, *, heap: bool) -> Iterator[Ids]:
    """The nodes at every place of full trees, level by level, (trees, 2^level); -1 is nowhere.

    A leaf above the last level is carried down on the right: its filler nodes send every row right. With `heap` the
    children of place p are 2 p and 2 p + 1, otherwise p and p + 2^level.
    """
    here = forest.roots[:, None]
    for _ in range(paths.depth):
        yield here
        split = (here >= 0) & (paths.left[here] >= 0)
        left = np.where(split, paths.left[here], -1)
        right = np.where(split, paths.right[here], here)
        here = np.stack([left, right], axis=-1).reshape(len(here), -1) if heap else np.concatenate([left, right], axis=1)
    yield here


def _questions(forest: Forest, here: Ids) -> tuple[NDArray[np.uint32], NDArray[np.floating]]:
    """Column and threshold at each place; fillers compare with NaN, which nothing is less than."""
    split = (here >= 0) & (forest.nodes["left"][here] >= 0)
    thresholds = forest.thresholds()
    return np.where(split, forest.columns()[here], 0).astype(np.uint32), np.where(
        split, thresholds[here], thresholds.dtype.type(np.nan)
    )


def _leaf_values(forest: Forest, here: Ids, precision: type[np.floating]) -> NDArray[np.floating]:
    return np.where(here >= 0, forest.nodes["value"][here], 0.0).astype(precision)


def _padded_trees(forest: Forest, paths: Paths) -> tuple[NDArray[np.uint32], NDArray[np.floating], NDArray[np.floating]]:
    """column, threshold and leaf for `kernels.padded_scores`."""
    *inner, last = _full_levels(forest, paths, heap=True)
    unused = np.full((len(forest.roots), 1), -1, np.int64)
    column, threshold = _questions(forest, np.hstack([unused, *inner]))
    return column, threshold, _leaf_values(forest, last, np.float32 if forest.sum32 else np.float64)


def _in_blocks(levels: list[NDArray[Any]], filler: Any) -> NDArray[Any]:
    """(trees, places) per level to (blocks, places * LANES) over all levels, place by place with the lanes side by side."""
    joined = np.hstack(levels)
    trees, places = joined.shape
    whole = np.full((-(-trees // LANES) * LANES, places), filler, joined.dtype)
    whole[:trees] = joined
    return np.ascontiguousarray(whole.reshape(-1, LANES, places).transpose(0, 2, 1).reshape(len(whole) // LANES, -1))


def _padded_paths(forest: Forest, paths: Paths) -> PaddedPaths:
    levels = list(_full_levels(forest, paths, heap=False))
    first_place = {level: (1 << level) - 1 for level in range(len(levels))}
    # a leaf that is carried down keeps its own edge where it stands first; what follows is filler
    real = [(here >= 0) & (paths.level[here] == level) for level, here in enumerate(levels)]
    place = np.zeros(len(forest.nodes), np.int64)
    for level, (here, own) in enumerate(zip(levels, real, strict=True)):
        lanes = np.broadcast_to((np.arange(len(here)) % LANES)[:, None], here.shape)
        places = first_place[level] + np.broadcast_to(np.arange(here.shape[1]), here.shape)
        place[here[own]] = (places * LANES + lanes)[own]
    root = (np.arange(len(forest.roots)) % LANES)[:, None]
    above = [
        np.where(own & (paths.above[here] >= 0), place[paths.above[here]], root) for here, own in zip(levels, real, strict=True)
    ]
    reach, reach_above = (
        _in_blocks([np.where(own, of[here], 1.0) for here, own in zip(levels, real, strict=True)], 1.0).astype(np.float32)
        for of in (paths.reach, paths.reach_above)
    )
    column, threshold = _questions(forest, np.hstack(levels[:-1]))
    points, weights = quadrature(int(paths.distinct[paths.order].max()))
    return PaddedPaths(
        column=_in_blocks([column], 0),
        threshold=_in_blocks([threshold], np.nan),
        reach=reach,
        reach_above=reach_above,
        above=_in_blocks(above, 0).astype(np.uint32),
        leaf=_in_blocks([_leaf_values(forest, levels[-1], np.float32)], 0),
        points=points.astype(np.float32),
        weights=weights.astype(np.float32),
    )


def _linked_paths(forest: Forest, paths: Paths) -> LinkedPaths:
    links = Links.of(forest, paths)
    order, place = links.order, links.place
    points, weights = quadrature(int(paths.distinct[order].max()))
    root = links.roots[paths.tree[order]]
    above = np.where(paths.above[order] >= 0, place[paths.above[order]], root)
    return LinkedPaths(
        nodes=links.nodes,
        starts=np.append(links.roots, len(links.nodes)),
        value=np.append(0.0, forest.nodes["value"][order]).astype(np.float32),
        reach=np.append(1.0, paths.reach[order]).astype(np.float32),
        reach_above=np.append(1.0, paths.reach_above[order]).astype(np.float32),
        above=np.append(0, above - root).astype(np.uint32),
        points=points.astype(np.float32),
        weights=weights.astype(np.float32),
    )
