"""Balanced bagging: trees on all frauds and as many good events each, trained by imbalanced-learn, served by `TreeMember`."""

from typing import Any

import numpy as np

from penstock.models.declared import TrainingRows, TreeModel
from penstock.models.imbalance import Imbalance
from penstock.models.port import Matrix, Vector
from penstock.models.sklearn_trees import FittedTree, bounded, forest_of, unequal
from penstock.models.trees import TreeMember

_SURE_TO_DRAW = 20
"""With fewer frauds, rows drawn with replacement could be without any."""


class BalancedBagging(TreeModel, frozen=True, kw_only=True):
    """imbalanced-learn's BalancedBaggingClassifier over decision trees.

    Each tree sees rows drawn with replacement, of which as many good ones are kept as there are frauds. trees and depth are
    numbers, min_leaf is the fewest rows of a leaf, features the share of columns each split may choose from. Its raw output
    is the mean of the trees' probabilities, as if both classes were as frequent: calibration puts it right. imbalance: a
    treatment before all that; see `penstock.models.imbalance`.

    >>> BalancedBagging(weight=0.3).trees
    100
    """

    name: str = "balanced_bagging"
    trees: int = 100
    depth: int = 8
    min_leaf: int = 1
    features: float = 1.0
    imbalance: Imbalance = "none"

    def _fitted(self, rows: TrainingRows) -> TreeMember:
        """Train; see the port. weights decide how likely a row is to be drawn."""
        if not _drawn_again(rows.y):
            rows.note(f"fewer than {_SURE_TO_DRAW} rows of one class: every tree got all of them, none was drawn twice")
        bagging = self.train(rows.x, rows.y, rows.weights, rows.seed)
        fitted = [
            FittedTree(each[-1].tree_, each[-1].tree_.value[:, 0, 1], columns=np.asarray(columns))
            for each, columns in zip(bagging.estimators_, bagging.estimators_features_, strict=True)
        ]
        return TreeMember(forest_of(fitted, len(rows.feature_names), average=True))

    def train(self, x: Matrix, y: Vector, weights: Vector | None = None, seed: int = 0) -> Any:
        """imbalanced-learn's own classifier, fitted on these rows."""
        from imblearn.ensemble import BalancedBaggingClassifier
        from sklearn.ensemble import BaggingClassifier
        from sklearn.tree import DecisionTreeClassifier

        tree = DecisionTreeClassifier(max_depth=self.depth, min_samples_leaf=self.min_leaf, max_features=self.features)
        again = _drawn_again(y)
        bagging = BalancedBaggingClassifier(
            tree, n_estimators=self.trees, max_samples=len(y), bootstrap=again, random_state=seed
        )
        # imbalanced-learn's own fit takes no weights, though the class it builds on draws by them
        return BaggingClassifier.fit(bagging, bounded(x), y, sample_weight=unequal(weights) if again else None)


def _drawn_again(y: Vector) -> bool:
    """Whether rows may be drawn more than once."""
    return bool(min(y.sum(), len(y) - y.sum()) >= _SURE_TO_DRAW)
