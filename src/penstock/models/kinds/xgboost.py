"""Gradient-boosted trees, trained by XGBoost and served by `TreeMember`: equal margins, bit for bit."""

import json
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from penstock.errors import DeclarationError
from penstock.models.declared import PATIENCE, BoostedModel, TrainingRows
from penstock.models.forest import NODE, Forest
from penstock.models.imbalance import Imbalance
from penstock.models.port import Vector
from penstock.models.trees import TreeMember

_FLOAT32_MAX = float(np.finfo(np.float32).max)


class XGBoost(BoostedModel, frozen=True, kw_only=True):
    """XGBoost with logistic loss.

    trees, depth and monotone: see `penstock.models.declared.BoostedModel`; training finds the number of trees unless it is
    declared. learning_rate is the shrinkage of each tree. scale_pos_weight multiplies the weight of
    frauds; "balanced" makes both classes weigh the same, which calibration makes unnecessary and which costs ranking (on
    the Handbook's card data .03 of average precision). tree_method "hist" looks for splits between max_bin quantiles
    (a threshold on an amount can fall between two bins: 256 of them cost up to .05 average precision on card data, so
    the default is finer), "exact" between all values. subsample and colsample are the shares of rows and columns each
    tree sees; min_child_weight is in units of summed p (1 - p); l2 and gamma penalise leaves. imbalance: see
    `penstock.models.imbalance`.

    >>> XGBoost(weight=0.5, trees=100).depth
    6
    """

    name: str = "xgboost"
    learning_rate: float = 0.05
    scale_pos_weight: float | Literal["balanced"] = 1.0
    tree_method: Literal["hist", "exact"] = "hist"
    max_bin: int = 1024
    subsample: float = 0.8
    colsample: float = 0.6
    min_child_weight: float = 1.0
    l2: float = 1.0
    gamma: float = 0.0
    imbalance: Imbalance = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.scale_pos_weight, float | int) and not self.scale_pos_weight > 0:
            raise DeclarationError(
                f"model {self.name!r} has scale_pos_weight {self.scale_pos_weight}; use 'balanced' or a number above 0"
            )

    def _fitted(self, rows: TrainingRows) -> TreeMember:
        """Train; see the port. XGBoost's own model is stored with the bundle as JSON, for other tools."""
        import xgboost

        # XGBoost refuses infinities; the largest float32 sorts as they would
        x, names = np.clip(rows.x, -_FLOAT32_MAX, _FLOAT32_MAX), list(rows.feature_names)
        matrix = xgboost.DMatrix(x, rows.y, weight=rows.weights, feature_names=names)
        parameters = self._parameters(names, rows.y, rows.weights, rows.seed)
        booster = self._boosted(parameters, matrix, rows)
        text = bytes(booster.save_raw("json"))
        learner = json.loads(text)["learner"]
        # XGBoost turns base_score into a margin itself: a booster without trees says which, to the last bit
        base_score = float(learner["learner_model_param"]["base_score"].strip("[]"))
        bare = xgboost.train({**parameters, "base_score": base_score}, matrix, 0)
        base = bare.predict(matrix.slice([0]), output_margin=True)[0]
        forest = _forest(learner["gradient_booster"]["model"]["trees"], float(base), len(names))
        return TreeMember(forest, attachments={"xgboost.json": text})

    def _boosted(self, parameters: dict[str, Any], matrix: Any, rows: TrainingRows) -> Any:
        """All trees that were asked for, or those up to the best average precision on the later rows."""
        import xgboost

        if not self.stops(rows.later) or rows.later is None:
            return xgboost.train(parameters, matrix, self.rounds(rows.later))
        x, y = rows.later
        later = xgboost.DMatrix(np.clip(x, -_FLOAT32_MAX, _FLOAT32_MAX), y, feature_names=matrix.feature_names)
        booster = xgboost.train(
            {**parameters, "eval_metric": "aucpr"},
            matrix,
            self.rounds(rows.later),
            evals=[(later, "later")],
            early_stopping_rounds=PATIENCE,
            verbose_eval=False,
        )
        return booster[: booster.best_iteration + 1]

    def _parameters(self, names: list[str], y: Vector, weights: Vector | None, seed: int) -> dict[str, Any]:
        scale = self.scale_pos_weight
        if scale == "balanced":
            heavy = np.ones_like(y) if weights is None else weights
            scale = float(heavy[y == 0].sum() / heavy[y == 1].sum())
        directions = self.directions(names)
        constrained = {"monotone_constraints": tuple(directions)} if directions else {}
        binned = {"max_bin": self.max_bin} if self.tree_method == "hist" else {}
        return {
            "objective": "binary:logistic",
            "max_depth": self.depth,
            "eta": self.learning_rate,
            "scale_pos_weight": scale,
            "tree_method": self.tree_method,
            "subsample": self.subsample,
            "colsample_bytree": self.colsample,
            "min_child_weight": self.min_child_weight,
            "lambda": self.l2,
            "gamma": self.gamma,
            "seed": seed,
            **binned,
            **constrained,
        }


def _forest(trees: list[dict[str, Any]], base: float, width: int) -> Forest:
    """XGBoost's trees: float32 values compared by `<`, leaves added up in float32 starting at the base margin."""
    nodes = [_nodes(tree) for tree in trees]
    roots = np.cumsum([0, *map(len, nodes[:-1])], dtype=np.int64)
    return Forest(np.concatenate(nodes), roots, base=base, width=width, inclusive=False, compare32=True, sum32=True)


def _nodes(tree: dict[str, Any]) -> NDArray[np.void]:
    nodes = np.zeros(len(tree["left_children"]), NODE)
    nodes["left"] = tree["left_children"]
    nodes["right"] = tree["right_children"]
    nodes["feature"] = tree["split_indices"]
    nodes["default_left"] = tree["default_left"]
    conditions = np.array(tree["split_conditions"], np.float32)
    is_leaf = nodes["left"] < 0
    nodes["threshold"] = np.where(is_leaf, np.float32(0), conditions)
    nodes["value"] = np.where(is_leaf, conditions, np.float32(0))
    nodes["cover"] = np.array(tree["sum_hessian"], np.float32)
    return nodes
