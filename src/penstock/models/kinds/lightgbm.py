"""Gradient-boosted trees, trained by LightGBM and served by `TreeMember`: equal margins, bit for bit."""

from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.errors import ConfigurationError, DeclarationError, MissingExtra
from penstock.models.declared import PATIENCE, BoostedModel, TrainingRows
from penstock.models.forest import NODE, Forest
from penstock.models.imbalance import Imbalance
from penstock.models.trees import TreeMember

_LARGEST = 1e300
"""LightGBM takes larger values for this one."""

_THREADS = 1
"""A fixed number, since sums of gradients depend on how rows are dealt out; one, since several that wait for one another
take ten times as long where the cores have other work.
"""


class LightGBM(BoostedModel, frozen=True, kw_only=True):
    """LightGBM with logistic loss.

    trees, depth and monotone: see `penstock.models.declared.BoostedModel`; training finds the number of trees unless it is
    declared. leaves is the most a tree has, learning_rate is the shrinkage of each tree. LightGBM's own defaults collapse where
    frauds are few: leaves without any penalty run off to certainty. So min_child_weight, in units of summed p (1 - p), and l2
    are XGBoost's here. max_bin: splits lie between so many quantiles. subsample and colsample are the shares of rows and
    columns each tree sees. scale_pos_weight multiplies the weight of frauds. imbalance: see `penstock.models.imbalance`.

    >>> LightGBM(weight=0.5, trees=100).depth
    6
    """

    name: str = "lightgbm"
    leaves: int = 48
    learning_rate: float = 0.05
    min_child_weight: float = 1.0
    min_leaf: int = 5
    max_bin: int = 1023
    subsample: float = 0.8
    colsample: float = 0.6
    l2: float = 1.0
    scale_pos_weight: float = 1.0
    imbalance: Imbalance = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.leaves >= 2:
            raise DeclarationError(f"model {self.name!r} has {self.leaves} leaves a tree; use at least 2")
        if not self.scale_pos_weight > 0:
            raise DeclarationError(f"model {self.name!r} has scale_pos_weight {self.scale_pos_weight}; use a number above 0")

    def _fitted(self, rows: TrainingRows) -> TreeMember:
        """Train; see the port. LightGBM's own model is stored with the bundle as text, for other tools.

        Raises:
            ConfigurationError: LightGBM is not there, or the OpenMP library that it needs.
        """
        lightgbm = _library()
        parameters = self._parameters(rows.feature_names, rows.seed)
        # names with JSON's own characters are refused: columns then go by their numbers
        names = list(rows.feature_names) if all(name.isidentifier() for name in rows.feature_names) else "auto"
        x = np.clip(rows.x, -_LARGEST, _LARGEST)
        dataset = lightgbm.Dataset(x, rows.y, weight=rows.weights, feature_name=names, params=parameters, free_raw_data=True)
        booster = self._boosted(lightgbm, parameters, dataset, rows)
        trees = [each["tree_structure"] for each in booster.dump_model()["tree_info"]]
        text = booster.model_to_string().encode()
        return TreeMember(_forest(trees, len(rows.feature_names)), attachments={"lightgbm.txt": text})

    def _boosted(self, lightgbm: ModuleType, parameters: dict[str, Any], dataset: Any, rows: TrainingRows) -> Any:
        """All trees that were asked for, or those up to the best average precision on the later rows."""
        if not self.stops(rows.later) or rows.later is None:
            return lightgbm.train(parameters, dataset, self.rounds(rows.later))
        x, y = rows.later
        later = dataset.create_valid(np.clip(x, -_LARGEST, _LARGEST), y)
        return lightgbm.train(
            {**parameters, "metric": "average_precision"},
            dataset,
            self.rounds(rows.later),
            valid_sets=[later],
            callbacks=[lightgbm.early_stopping(PATIENCE, verbose=False)],
        )

    def _parameters(self, names: Sequence[str], seed: int) -> dict[str, Any]:
        directions = self.directions(names)
        constrained = {"monotone_constraints": directions, "monotone_constraints_method": "intermediate"} if directions else {}
        return {
            "objective": "binary",
            "max_depth": self.depth,
            "num_leaves": min(self.leaves, 1 << self.depth),
            "learning_rate": self.learning_rate,
            "min_sum_hessian_in_leaf": self.min_child_weight,
            "min_data_in_leaf": self.min_leaf,
            "min_data_in_bin": 1,
            "max_bin": self.max_bin,
            "bagging_fraction": self.subsample,
            "bagging_freq": 1 if self.subsample < 1 else 0,
            "feature_fraction": self.colsample,
            "lambda_l2": self.l2,
            "scale_pos_weight": self.scale_pos_weight,
            "feature_pre_filter": False,
            "deterministic": True,
            "force_row_wise": True,
            "num_threads": _THREADS,
            "seed": seed,
            "verbosity": -1,
            **constrained,
        }


def _library() -> ModuleType:
    try:
        import lightgbm
    except ImportError:
        raise MissingExtra("train", "LightGBM") from None
    except OSError as cause:
        raise ConfigurationError(
            f"LightGBM cannot be loaded ({cause}): it needs the OpenMP library, which is missing on this machine; install it "
            "with: apt-get install libgomp1 (Debian, Ubuntu), dnf install libgomp (Fedora), brew install libomp (macOS)"
        ) from None
    library: ModuleType = lightgbm
    return library


def _forest(trees: list[dict[str, Any]], width: int) -> Forest:
    """LightGBM's trees: float64 values compared by `<=`, leaves added up in float64; the first tree holds the base."""
    nodes = [_nodes(tree) for tree in trees]
    roots = np.cumsum([0, *map(len, nodes[:-1])], dtype=np.int64)
    return Forest(np.concatenate(nodes), roots, base=0.0, width=width, inclusive=True)


def _nodes(tree: dict[str, Any]) -> NDArray[np.void]:
    return np.array(list(_walk(tree)), NODE)


def _walk(root: dict[str, Any]) -> Iterator[tuple[int, int, int, int, float, float, float]]:
    """Nodes level by level, children by their place in that order."""
    waiting, place = [root], 1
    for node in waiting:
        if "leaf_value" in node:
            yield -1, -1, 0, 0, 0.0, node["leaf_value"], node.get("leaf_count", 1.0)
            continue
        waiting += [node["left_child"], node["right_child"]]
        yield place, place + 1, node["split_feature"], _missing_left(node), node["threshold"], 0.0, node["internal_count"]
        place += 2


def _missing_left(node: dict[str, Any]) -> int:
    """The direction of a missing value: the split's, or that of 0 if training saw none missing."""
    return int(node["default_left"]) if node["missing_type"] == "NaN" else int(node["threshold"] >= 0)
