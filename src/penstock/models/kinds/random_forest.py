"""A random forest, trained by scikit-learn and served by `TreeMember`: the mean of the trees' leaf probabilities."""

from typing import Any, Literal

from penstock.models.declared import TrainingRows, TreeModel
from penstock.models.imbalance import Imbalance
from penstock.models.port import Matrix, Vector
from penstock.models.sklearn_trees import FittedTree, bounded, forest_of, unequal
from penstock.models.trees import TreeMember


class RandomForest(TreeModel, frozen=True, kw_only=True):
    """scikit-learn's random forest with exact splits; a missing value goes the way that training found better.

    trees and depth are numbers, min_leaf is the fewest rows of a leaf, features the share of columns each split may choose
    from (0: their square root). With splits "random" each of these columns is cut at a random value, the best of which is
    taken, and every tree sees all rows (extremely randomised trees): smoother, and quicker to train. Its raw output is a
    probability. On the Handbook's card data trees of depth 8 that choose from half of the columns rank as well as trees of
    depth 20 that choose from the square root, and their decisions are explained several times faster. imbalance: see
    `penstock.models.imbalance`.

    >>> RandomForest(weight=0.3, trees=200).depth
    8
    """

    name: str = "random_forest"
    trees: int = 100
    depth: int = 8
    min_leaf: int = 5
    features: float = 0.5
    splits: Literal["best", "random"] = "best"
    imbalance: Imbalance = "none"

    def _fitted(self, rows: TrainingRows) -> TreeMember:
        """Train; see the port."""
        forest = self.train(rows.x, rows.y, rows.weights, rows.seed)
        fitted = [FittedTree(each.tree_, each.tree_.value[:, 0, 1]) for each in forest.estimators_]
        return TreeMember(forest_of(fitted, len(rows.feature_names), average=True))

    def train(self, x: Matrix, y: Vector, weights: Vector | None = None, seed: int = 0) -> Any:
        """Fit scikit-learn's classifier on these rows.

        On all cores: each tree has a separate seed, so the result does not depend on their number.
        """
        from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier

        kind = ExtraTreesClassifier if self.splits == "random" else RandomForestClassifier
        forest = kind(
            self.trees,
            max_depth=self.depth,
            min_samples_leaf=self.min_leaf,
            max_features=self.features or "sqrt",
            random_state=seed,
            n_jobs=-1,
        )
        return forest.fit(bounded(x), y, sample_weight=unequal(weights))
