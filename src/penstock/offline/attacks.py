"""Time to detection of attacks: frauds grouped into episodes, and the time from the first fraud to the first stop."""

from collections.abc import Sequence
from typing import Any

import polars as pl

_QUIET_DAYS = 1
"""Frauds of one key further apart than this belong to two episodes."""


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
