"""Gradient-boosted trees with exact splits, trained by scikit-learn and served by `TreeMember`."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import DeclarationError
from penstock.models.declared import TrainingRows, TreeModel
from penstock.models.imbalance import Imbalance
from penstock.models.port import Matrix, Vector
from penstock.models.sklearn_trees import FittedTree, bounded, forest_of
from penstock.models.trees import TreeMember


class GradientBoosting(TreeModel, frozen=True, kw_only=True):
    """scikit-learn's GradientBoostingClassifier, with exact splits.

    It looks for splits between all values of a feature, so it loses nothing to binning and takes its time. trees and depth
    are numbers, learning_rate is the shrinkage of each tree, subsample and features are the shares of rows and columns that
    each tree and each split sees, min_leaf is the fewest rows of a leaf: nothing else holds leaves back from certainty where
    frauds are few. A missing value counts as one smaller than all others. imbalance: see `penstock.models.imbalance`.

    >>> GradientBoosting(depth=3).trees
    100
    """

    name: str = "gradient_boosting"
    trees: int = 100
    depth: int = 5
    learning_rate: float = 0.05
    subsample: float = 1.0
    features: float = 0.3
    min_leaf: int = 20
    imbalance: Imbalance = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        for what, share in (("subsample", self.subsample), ("features", self.features)):
            if not 0 < share <= 1:
                raise DeclarationError(f"model {self.name!r} has {what} = {share}; it is a share, above 0 and at most 1")

    def _fitted(self, rows: TrainingRows) -> TreeMember:
        """Train; see the port."""
        boosted = self.train(rows.x, rows.y, rows.weights, rows.seed)
        # log-odds of the training rows, where boosting starts
        base = np.log(boosted.init_.class_prior_[1]) - np.log(boosted.init_.class_prior_[0])
        trees = [each.tree_ for each in boosted.estimators_[:, 0]]
        fitted = [FittedTree(tree, self.learning_rate * tree.value[:, 0, 0], missing_left=1) for tree in trees]
        return TreeMember(forest_of(fitted, len(rows.feature_names), base=float(base)))

    def train(self, x: Matrix, y: Vector, weights: Vector | None = None, seed: int = 0) -> Any:
        """scikit-learn's own classifier, fitted on these rows. It takes no missing values: give it rows as `below_all`."""
        from sklearn.ensemble import GradientBoostingClassifier

        boosted = GradientBoostingClassifier(
            n_estimators=self.trees,
            max_depth=self.depth,
            learning_rate=self.learning_rate,
            # with a handful of rows a share of them is none
            subsample=self.subsample if len(y) * self.subsample >= 2 * self.min_leaf else 1.0,
            max_features=self.features,
            min_samples_leaf=self.min_leaf,
            random_state=seed,
        )
        return boosted.fit(below_all(bounded(x)), y, sample_weight=weights)


def below_all(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows with missing values replaced by a number smaller than all values of the feature.

    >>> below_all(np.array([[4.0], [np.nan], [-3.0]], np.float32)).ravel().tolist()
    [4.0, -6.0, -3.0]
    """
    known = ~np.isnan(x)
    lowest = np.where(known, x, np.float32(np.inf)).min(axis=0)
    lowest = np.where(np.isfinite(lowest), lowest, np.float32(0))
    return np.where(known, x, lowest - np.maximum(np.abs(lowest), np.float32(1)))
