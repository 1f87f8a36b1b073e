"""An isolation forest, trained by scikit-learn without looking at outcomes, served by `TreeMember`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import DeclarationError
from penstock.models.declared import DeclaredModel, TrainingRows, check_trees
from penstock.models.port import Matrix, Vector
from penstock.models.sklearn_trees import FittedTree, bounded, forest_of, unequal
from penstock.models.trees import TreeMember


class IsolationForest(DeclaredModel, frozen=True, kw_only=True):
    """How easily a row is told from all others by random splits: strange rows are reached in few of them.

    Unsupervised: outcomes are not looked at, so there is nothing to do about few frauds; what a score means as a probability
    is what calibration finds on the validation rows. Its raw output is the base-2 logarithm of the anomaly score, -(mean path
    length) / c(rows), at most 0 and the higher the stranger; contributions add up to that. rows is how many rows each tree
    sees: its depth is the base-2 logarithm of that, 8 for 256.

    Source: Liu, Ting and Zhou, "Isolation forest" (2008).

    >>> IsolationForest(weight=0.3).rows
    256
    """

    name: str = "isolation_forest"
    trees: int = 200
    rows: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        check_trees(self.name, self.trees, 1)
        if not self.rows >= 2:
            raise DeclarationError(f"model {self.name!r} gives each tree {self.rows} rows; it needs at least 2")

    def _fitted(self, rows: TrainingRows) -> TreeMember:
        """Train; see the port. weights decide how likely a row is to be drawn for a tree."""
        forest = self.train(rows.x, rows.weights, rows.seed)
        scale = float(average_path(np.array([forest.max_samples_]))[0])
        fitted = [
            FittedTree(each.tree_, -path_lengths(each.tree_) / scale, columns=columns)
            for each, columns in zip(forest.estimators_, forest.estimators_features_, strict=True)
        ]
        return TreeMember(forest_of(fitted, len(rows.feature_names), average=True))

    def train(self, x: Matrix, weights: Vector | None = None, seed: int = 0) -> Any:
        """scikit-learn's own forest, fitted on these rows."""
        from sklearn.ensemble import IsolationForest as Forest

        forest = Forest(n_estimators=self.trees, max_samples=min(self.rows, len(x)), random_state=seed)
        return forest.fit(bounded(x), sample_weight=unequal(weights))


def average_path(rows: NDArray[np.integer]) -> Vector:
    """c(n): how many splits it takes on average to reach one of n rows, the length of an unsuccessful search in a binary
    search tree: 2 (ln(n - 1) + 0.5772) - 2 (n - 1) / n.

    >>> average_path(np.array([1, 2, 256])).round(4).tolist()
    [0.0, 1.0, 10.2448]
    """
    n = np.maximum(rows, 3).astype(np.float64)
    many = 2 * (np.log(n - 1) + np.euler_gamma) - 2 * (n - 1) / n
    return np.where(rows <= 1, 0.0, np.where(rows == 2, 1.0, many))


def path_lengths(tree: Any) -> Vector:
    """Of every node: the splits above it, and those that its rows would still need."""
    left, right = tree.children_left, tree.children_right
    above = np.zeros(len(left))
    here = np.zeros(1, np.intp)
    while len(here):
        parents = here[left[here] >= 0]
        for side in (left, right):
            above[side[parents]] = above[parents] + 1
        here = np.concatenate([left[parents], right[parents]])
    return above + average_path(tree.n_node_samples)
