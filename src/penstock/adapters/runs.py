"""Contents of a registry run for a bundle: parameters, figures, and each member as a separate bundle."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from penstock.models import About, Ensemble

SHORT = {
    "logistic_regression": "lr",
    "xgboost": "xgb",
    "random_forest": "rf",
    "gradient_boosting": "gb",
    "lightgbm": "lgbm",
    "isolation_forest": "if",
    "balanced_bagging": "bb",
}
"""How members are called in runs, before `_model`; others keep their name."""


def artefact_of(member: str) -> str:
    """The name of a member's artefact in a run.

    >>> artefact_of("logistic_regression"), artefact_of("xgboost"), artefact_of("mine")
    ('lr_model', 'xgb_model', 'mine_model')
    """
    return f"{SHORT.get(member, member)}_model"


def alone_of(ensemble: Ensemble, name: str) -> Ensemble:
    """An ensemble of one of its members."""
    [part] = [each for each in ensemble.parts if each.name == name]
    return Ensemble(
        [replace(part, weight=1.0)],
        ensemble.features,
        usual=ensemble.usual,
        base_rate=ensemble.base_rate,
        thresholds=ensemble.thresholds,
        encodings=ensemble.encodings,
    )


def about_alone(manifest: Mapping[str, Any], name: str) -> About:
    """The metadata of a bundle with a single member."""
    figures = manifest["metrics"].get("members", {}).get(name, {})
    return About(
        manifest["detector"],
        manifest["created_at"],
        manifest["fingerprint"],
        manifest["schema"],
        {**manifest["training"], "member_of": manifest["version"]},
        {"test": figures},
    )


def parameters(manifest: Mapping[str, Any]) -> dict[str, str]:
    """How it was trained."""
    training = manifest["training"]
    found: dict[str, Any] = {
        "data": training.get("data"),
        "features": len(manifest["features"]),
        "fingerprint": manifest["fingerprint"],
        **{f"threshold/{name}": value for name, value in manifest["thresholds"].items()},
        **{f"rows/{part}": rows for part, rows in training.get("rows", {}).items()},
        **{f"fraud/{part}": frauds for part, frauds in training.get("fraud", {}).items()},
    }
    for part, period in training.get("periods", {}).items():
        found[f"period/{part}"] = " to ".join(map(str, period)) if isinstance(period, list) else period
    for member in manifest["members"]:
        place = artefact_of(member["name"])
        found |= {f"{place}/{name}": value for name, value in member["declared"].items()}
        found[f"{place}/share"] = member["weight"]
    return {name: str(value)[:500] for name, value in found.items() if value is not None}


def figures_of(manifest: Mapping[str, Any]) -> dict[str, float]:
    """The figures of a run by name: those of the ensemble, and those of members and intervals after a `/`."""
    metrics = manifest["metrics"]
    found: dict[str, float | None] = dict(metrics.get("test", {}))
    for name, figures in metrics.get("members", {}).items():
        found |= {f"{artefact_of(name)}/{figure}": value for figure, value in figures.items()}
    found |= {f"decided/{figure}": value for figure, value in metrics.get("decided", {}).items()}
    for figure, interval in metrics.get("intervals", {}).items():
        if interval is not None:
            found |= {f"interval_low/{figure}": interval[0], f"interval_high/{figure}": interval[1]}
    return {name: float(value) for name, value in found.items() if value is not None}
