"""Models: declared, trained by the libraries everyone knows, served by kernels of our own, explained exactly.

Read `port.py` first. `kinds/` holds one file per kind of model; `trees.py` and `linear.py` are what they become,
`kernels.py` and `shapley.py` the arithmetic; `fit.py` trains, calibrates and weighs; `bundle.py` keeps the result.
"""

from penstock.models.bundle import About, champion, load_bundle, load_champion, promote, save, save_bundle, versions
from penstock.models.ensemble import Ensemble, Scores
from penstock.models.fit import fit_ensemble
from penstock.models.kinds.logistic_regression import LogisticRegression
from penstock.models.kinds.xgboost import XGBoost
from penstock.models.port import Member, Model

__all__ = [
    "About",
    "Ensemble",
    "LogisticRegression",
    "Member",
    "Model",
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
