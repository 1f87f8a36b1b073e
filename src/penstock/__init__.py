"""Penstock decides about every transaction while it happens: approve, review or block."""

from typing import TYPE_CHECKING

from penstock.compilation import choose_cache as _choose_cache
from penstock.lazy import lazy_names

if TYPE_CHECKING:
    from penstock.cases.policy import CasePolicy
    from penstock.decision import Guard, Policy
    from penstock.detector import Detector, DetectorWarning
    from penstock.engine import Engine
    from penstock.errors import PenstockError
    from penstock.features import Entity, Label, derive
    from penstock.features.lookups import lookup
    from penstock.features.money import Money
    from penstock.messages import Decision
    from penstock.models import (
        BalancedBagging,
        GradientBoosting,
        IsolationForest,
        LightGBM,
        LogisticRegression,
        Onnx,
        RandomForest,
        XGBoost,
    )
    from penstock.offline.replay import replay
    from penstock.rules import Rule

__version__ = "0.1.0"

__all__ = [
    "BalancedBagging",
    "CasePolicy",
    "Decision",
    "Detector",
    "DetectorWarning",
    "Engine",
    "Entity",
    "GradientBoosting",
    "Guard",
    "IsolationForest",
    "Label",
    "LightGBM",
    "LogisticRegression",
    "Money",
    "Onnx",
    "PenstockError",
    "Policy",
    "RandomForest",
    "Rule",
    "XGBoost",
    "__version__",
    "derive",
    "lookup",
    "replay",
]

_HOMES = {
    "BalancedBagging": "models",
    "CasePolicy": "cases.policy",
    "Decision": "messages",
    "Detector": "detector",
    "DetectorWarning": "detector",
    "Engine": "engine",
    "Entity": "features",
    "GradientBoosting": "models",
    "Guard": "decision",
    "IsolationForest": "models",
    "Label": "features",
    "LightGBM": "models",
    "LogisticRegression": "models",
    "Money": "features.money",
    "Onnx": "models",
    "PenstockError": "errors",
    "Policy": "decision",
    "RandomForest": "models",
    "Rule": "rules",
    "XGBoost": "models",
    "derive": "features",
    "lookup": "features.lookups",
    "replay": "offline.replay",
}

_choose_cache()  # before anything imports numba

if not TYPE_CHECKING:  # type checkers know the names from above
    __getattr__, __dir__ = lazy_names(__name__, _HOMES)
