"""Models: declared here, trained by well-known libraries, served by compiled kernels, explained exactly. Read `port.py` first.

`kinds/` holds one file per kind of model; `trees.py`, `linear.py` and `onnx.py` are the forms that serve, `kernels.py`,
`links.py` and `shapley.py` the arithmetic; `categories.py` turns texts into numbers, `imbalance.py` treats class imbalance;
`fit.py` trains, calibrates and weighs; `bundle.py` stores the result, `bundle_store.py` all versions with the champion.

Read `port.py` first. `kinds/` holds one file per kind of model; `trees.py`, `linear.py` and `onnx.py` are what they
become, `kernels.py`, `links.py` and `shapley.py` the arithmetic; `categories.py` turns texts into numbers, `imbalance.py` is
what can be done about few frauds; `fit.py` trains, calibrates and weighs; `bundle.py` keeps the result,
`bundle_store.py` all of them, and says which decides.
"""

import os
from typing import TYPE_CHECKING

from penstock.lazy import lazy_names

# Libraries train in several threads, which by default wait for each other in a loop: beside other work on the same processors
# a training took eight times as long. Read when their OpenMP is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

if TYPE_CHECKING:
    from penstock.models.bundle import About, load_bundle, save, save_bundle
    from penstock.models.bundle_store import champion, load_champion, promote, versions
    from penstock.models.categories import Encoding
    from penstock.models.ensemble import Ensemble, Scores
    from penstock.models.fit import fit_ensemble
    from penstock.models.kinds.balanced_bagging import BalancedBagging
    from penstock.models.kinds.gradient_boosting import GradientBoosting
    from penstock.models.kinds.isolation_forest import IsolationForest
    from penstock.models.kinds.lightgbm import LightGBM
    from penstock.models.kinds.logistic_regression import LogisticRegression
    from penstock.models.kinds.onnx import Onnx
    from penstock.models.kinds.random_forest import RandomForest
    from penstock.models.kinds.xgboost import XGBoost
    from penstock.models.port import Member, Model

__all__ = [
    "About",
    "BalancedBagging",
    "Encoding",
    "Ensemble",
    "GradientBoosting",
    "IsolationForest",
    "LightGBM",
    "LogisticRegression",
    "Member",
    "Model",
    "Onnx",
    "RandomForest",
    "Scores",
    "XGBoost",
    "champion",
    "fit_ensemble",
    "load_bundle",
    "load_champion",
    "promote",
    "save",
    "save_bundle",
    "versions",
]

_HOMES = {
    "About": "bundle",
    "BalancedBagging": "kinds.balanced_bagging",
    "Encoding": "categories",
    "Ensemble": "ensemble",
    "GradientBoosting": "kinds.gradient_boosting",
    "IsolationForest": "kinds.isolation_forest",
    "LightGBM": "kinds.lightgbm",
    "LogisticRegression": "kinds.logistic_regression",
    "Member": "port",
    "Model": "port",
    "Onnx": "kinds.onnx",
    "RandomForest": "kinds.random_forest",
    "Scores": "ensemble",
    "XGBoost": "kinds.xgboost",
    "champion": "bundle_store",
    "fit_ensemble": "fit",
    "load_bundle": "bundle",
    "load_champion": "bundle_store",
    "promote": "bundle_store",
    "save": "bundle",
    "save_bundle": "bundle",
    "versions": "bundle_store",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, _HOMES)
