"""Conversion of scikit-learn's trees to the open form: float32 values, float64 thresholds, `<=`, leaves added in float64."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.models.forest import NODE, Forest
from penstock.models.port import Matrix, Vector

LARGEST = float(np.finfo(np.float32).max) / 4
"""Values beyond it, infinities among them, are brought back before training: scikit-learn refuses what float32 cannot hold.
It sorts as they would.
"""


class FittedTree(NamedTuple):
    """One tree grown by scikit-learn, with the value of each node as a leaf."""

    tree: Any
    value: Vector
    missing_left: NDArray[np.integer[Any]] | int | None = None
    columns: NDArray[np.integer[Any]] | None = None


def bounded(x: Matrix) -> NDArray[np.float32]:
    """Rows as scikit-learn's trees read them."""
    return np.clip(x, -LARGEST, LARGEST).astype(np.float32)


def unequal(weights: Vector | None) -> Vector | None:
    """The weights, None where they are all the same: rows drawn with equal chances by weight would still be other rows."""
    return None if weights is None or (weights == weights[0]).all() else weights


def forest_of(trees: Sequence[FittedTree], width: int, *, base: float = 0.0, average: bool = False) -> Forest:
    """Trees over `width` features. A tree that was given only some of the features says which in `columns`; where missing
    values go is the tree's own affair unless `missing_left` says otherwise.
    """
    nodes = [_nodes(each) for each in trees]
    roots = np.cumsum([0, *map(len, nodes[:-1])], dtype=np.int64)
    return Forest(np.concatenate(nodes), roots, base=base, width=width, inclusive=True, compare32=True, average=average)


def _nodes(trees: FittedTree) -> NDArray[np.void]:
    tree = trees.tree
    nodes = np.zeros(tree.node_count, NODE)
    nodes["left"], nodes["right"] = tree.children_left, tree.children_right
    split = nodes["left"] >= 0
    feature = np.where(split, tree.feature, 0)
    nodes["feature"] = feature if trees.columns is None else np.where(split, trees.columns[feature], 0)
    left = tree.missing_go_to_left if trees.missing_left is None else trees.missing_left
    nodes["default_left"] = np.where(split, left, 0)
    nodes["threshold"] = np.where(split, tree.threshold, 0.0)
    nodes["value"] = np.where(split, 0.0, trees.value)
    nodes["cover"] = tree.weighted_n_node_samples
    return nodes
