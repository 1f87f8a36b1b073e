"""Evaluation of a whole detector (models, thresholds and rules) on days after its training, with delayed labels.

Frauds of an attack are grouped into episodes, to tell the time from the first fraud to the first stop.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import polars as pl

from penstock.detector import Detector
from penstock.features import Aggregate
from penstock.models import Ensemble, metrics
from penstock.offline.datasets import ROW, Recorded
from penstock.offline.replay import placed
from penstock.offline.thresholds import ByCost, ScoredRows, outcome
from penstock.offline.trained import Trained

_US = pl.Datetime("us", "UTC")

_QUIET_DAYS = 1
"""Frauds of one key further apart than this belong to two episodes."""


def evaluate(
    detector: Detector,
    recorded: Recorded,
    trained: Trained,
    *,
    attacks: pl.DataFrame | None = None,
    costs: ByCost | None = None,
) -> dict[str, Any]:
    """Replay everything with the trained models, and evaluate the decisions in the test period.

    Args:
        detector: decides, with its rules and its policy's thresholds.
        recorded: the training's data; events before the test build up the state.
        trained: what `penstock.offline.train.run` returned.
        attacks: ids of frauds with a column `attack`, their kind, where known.
        costs: of a review and of annoying a good customer, for the money saved.

    Returns:
        Figures about the score, and about the decisions: `recall` and `value_detection_rate` are the shares of frauds and
        of their value that were not approved, `false_positive_rate` that of good events. `by_rules`: the same for the rules
        alone. `attacks`: see `by_attack`.
    """
    decided = _in_test(detector, recorded, trained.ensemble, trained)
    decided = decided.join(_of_rows(detector, recorded, rules="decision"), on=ROW, how="left", maintain_order="left")
    costs = costs or ByCost()
    score, y = decided["score"].to_numpy(), decided["fraud"].to_numpy()
    found: dict[str, Any] = {
        "events": len(decided),
        "frauds": int(y.sum()),
        "score": metrics.figures(score, y, threshold=trained.report.in_force["review_at"]),
        "intervals": metrics.intervals(score, y, decided["card"].to_numpy()),
        "decisions": _outcome(decided, "decision", costs),
        "by_rules": _outcome(decided, "rules", costs),
    }
    if attacks is not None:
        named = decided.join(attacks.select(detector.id, "attack"), on=detector.id, how="left", maintain_order="left")
        keys = [name for name in keys_of(detector) if name in named.columns]
        frauds = named.filter((pl.col("fraud") > 0) & pl.col("attack").is_not_null())
        stopped = frauds.with_columns(stopped=pl.col("decision") != "APPROVE")
        found["attacks"] = by_attack(stopped, keys or [detector.id])
    return found


def _in_test(detector: Detector, recorded: Recorded, ensemble: Ensemble, trained: Trained) -> pl.DataFrame:
    """The test's events with their decisions, scores, truth and keys."""
    test = trained.test
    truth = pl.DataFrame(
        {
            ROW: test.row,
            detector.id: pl.Series(test.ids.tolist(), dtype=pl.String),
            "time": pl.Series(test.time_us).cast(_US),
            "fraud": test.fraud,
            "amount": pl.Series(test.amount, nan_to_null=True),
            "card": test.card,
        }
    )
    decisions = _of_rows(detector, recorded, ensemble, score="score", decision="decision")
    keys = [name for name in keys_of(detector) if name in recorded.frame.columns and name not in truth.columns]
    known = recorded.frame.select(keys)[test.row]
    return truth.join(decisions, on=ROW, how="left", maintain_order="left").hstack(known)


def _of_rows(detector: Detector, recorded: Recorded, ensemble: Ensemble | None = None, **columns: str) -> pl.DataFrame:
    """Columns of a replay, by the row of the recorded frame."""
    frame, rows = placed(detector, recorded, ensemble)
    return frame.select(pl.Series(ROW, rows), **columns)


def keys_of(detector: Detector) -> list[str]:
    """The fields that entities are known by."""
    fields = [name for each in detector.features if isinstance(each, Aggregate) for name in each.entity.fields]
    return list(dict.fromkeys(fields))


def _outcome(decided: pl.DataFrame, column: str, costs: ByCost) -> dict[str, float | None]:
    """Decisions as a score with thresholds between: approved 0, review 0.5, blocked 1."""
    level = decided.select(
        pl.when(pl.col(column) == "APPROVE").then(0.0).when(pl.col(column) == "BLOCK").then(1.0).otherwise(0.5).alias("level")
    )["level"].to_numpy()
    amount = decided["amount"].fill_null(float("nan")).to_numpy()
    times = decided["time"].to_physical().to_numpy()
    days = float(np.ptp(times)) / 86_400_000_000 if len(times) else 0.0
    return outcome(ScoredRows(level, decided["fraud"].to_numpy(), amount, days), {"review_at": 0.25, "block_at": 0.75}, costs)


# ---------------------------------------------------------------- time to detection


def by_attack(events: pl.DataFrame, keys: Sequence[str]) -> dict[str, dict[str, float | int | None]]:
    """Detection figures for every kind of attack.

    Args:
        events: frauds in order of time, with `attack`, `time`, `stopped` and `amount`, and the columns of `keys`.
        keys: what may tie frauds together: the customer, the device, the merchant. Of each kind of attack, the one that
            takes the fewest values ties its frauds into episodes: the device of a device farm, the account of a takeover.

    Returns:
        By attack: frauds, the share of them and of their value that was stopped, episodes, the share of them in which
        anything was stopped, and over those the median seconds and the mean number of frauds until then.
    """
    found = {}
    for (attack,), part in sorted(events.group_by("attack", maintain_order=True), key=lambda each: str(each[0][0])):
        found[str(attack)] = _one(part, min(keys, key=lambda name: _distinct(part, name)))
    return found


def _distinct(part: pl.DataFrame, key: str) -> int:
    """How many values a key takes; a key that is often missing ties nothing."""
    return len(part) if part[key].null_count() > 0.5 * len(part) else part[key].n_unique()


def _one(part: pl.DataFrame, key: str) -> dict[str, float | int | None]:
    ordered = part.sort("time").with_columns(
        begins=(pl.col("time").diff().over(key) > pl.duration(days=_QUIET_DAYS)).fill_null(value=True).cast(pl.Int64)
    )
    numbered = ordered.with_columns(episode=pl.col("begins").cum_sum().over(key))
    episodes = numbered.group_by(key, "episode").agg(
        detected=pl.col("stopped").any(),
        waited=(pl.col("time").filter("stopped").min() - pl.col("time").min()).dt.total_microseconds() / 1e6,
        passed=pl.col("stopped").arg_max(),
    )
    stopped = episodes.filter("detected")
    value = float(part["amount"].fill_null(0.0).sum())
    return {
        "frauds": len(part),
        "stopped": _number(part["stopped"].mean()),
        "value_stopped": float(part.filter("stopped")["amount"].fill_null(0.0).sum()) / value if value else None,
        "episodes": len(episodes),
        "detected": _number(episodes["detected"].mean()),
        "median_s_to_detection": _number(stopped["waited"].median()),
        "mean_frauds_before_detection": _number(stopped["passed"].mean()),
    }


def _number(value: Any) -> float | None:
    return None if value is None else float(value)
