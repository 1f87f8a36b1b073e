"""Chart data of a replay: small frames over time, by value and by decision."""

import numpy as np
import polars as pl

from penstock.offline.report.curves import EDGES
from penstock.outcomes import Rate, known_rate

BINS = 30
"""Of a histogram: enough for the eye."""

MOST_VALUES = 12
"""Texts that are shown one by one; the rest is `others`."""

OUTCOMES = ("fraud", "good", "unknown")
"""What may be known about an event."""


def outcomes(fraud: pl.Series) -> pl.Series:
    """Outcomes in words, for 1 or true, 0 or false, and null or NaN.

    >>> outcomes(pl.Series([1.0, 0.0, None])).to_list()
    ['fraud', 'good', 'unknown']
    """
    known = pl.col("fraud").cast(pl.Float64).fill_nan(None)
    said = pl.when(known.is_null()).then(pl.lit("unknown")).when(known > 0).then(pl.lit("fraud")).otherwise(pl.lit("good"))
    return fraud.alias("fraud").to_frame().select(outcome=said).to_series()


def over_time(time: pl.Series, outcome: pl.Series, every: str) -> pl.DataFrame:
    """By period of this length (`1h`, `1d`): events, known frauds, and their share of known outcomes (`penstock.outcomes`).

    >>> from datetime import datetime
    >>> times = pl.Series([datetime(2026, 1, 1)] * 40 + [datetime(2026, 1, 2)])
    >>> known = pl.Series(["fraud", "good"] * 20 + ["fraud"])
    >>> over_time(times, known, "1d").select("events", "frauds", "rate").rows()
    [(40, 20, 0.5), (1, 1, None)]
    """
    frame = pl.DataFrame({"at": time, "outcome": outcome}).sort("at")
    found = frame.group_by_dynamic("at", every=every).agg(
        events=pl.len(), frauds=(pl.col("outcome") == "fraud").sum(), known=(pl.col("outcome") != "unknown").sum()
    )
    rates = [_rate(frauds, known) for frauds, known in found.select("frauds", "known").iter_rows()]
    return pl.concat([found, pl.DataFrame(rates, schema=_RATES, orient="row")], how="horizontal")


_RATES = {"rate": pl.Float64, "low": pl.Float64, "high": pl.Float64}


def _rate(frauds: int, known: int) -> tuple[float | None, float | None, float | None]:
    rate = known_rate(frauds, known)
    return rate.value, rate.low, rate.high


def shown(rate: Rate) -> str:
    """A rate of known outcomes on a tile: without a value the counts.

    >>> shown(known_rate(10, 40)), shown(known_rate(1, 4)), shown(known_rate(0, 0))
    ('25.00 %', '1 of 4', '\N{EN DASH}')
    """
    if rate.value is None:
        return f"{rate.part:,} of {rate.of:,}" if rate.of else "\N{EN DASH}"
    return f"{100 * rate.value:.2f} %"


def period(time: pl.Series) -> str:
    """How long the periods of a chart over these times are: some dozens of them."""
    hours = (time.max() - time.min()).total_seconds() / 3600 if len(time) else 0.0  # type: ignore[operator, union-attr]  # times
    return next((every for limit, every in ((3, "5m"), (72, "1h"), (24 * 120, "1d")) if hours <= limit), "1w")


def distribution(values: pl.Series, outcome: pl.Series) -> pl.DataFrame:
    """How values are distributed: `from` and `to` (of texts and booleans `value`), `outcome`, `events`, `share` of its outcome.

    Numbers lie in bins from the hundredth to the hundredth-last percentile, the outermost of which hold what lies beyond.
    """
    frame = pl.DataFrame({"value": values, "outcome": outcome}).drop_nulls("value")
    if not values.dtype.is_numeric():
        return _shares(_named(frame), ["value"])
    edges = _edges(frame["value"].cast(pl.Float64).to_numpy())
    at = np.clip(np.searchsorted(edges, frame["value"].to_numpy(), side="right") - 1, 0, max(len(edges) - 2, 0))
    placed = frame.select("outcome", pl.Series("from", edges[at]), pl.Series("to", edges[np.minimum(at + 1, len(edges) - 1)]))
    return _shares(placed, ["from", "to"])


def _edges(values: "np.ndarray[tuple[int, ...], np.dtype[np.float64]]") -> "np.ndarray[tuple[int, ...], np.dtype[np.float64]]":
    low, high = np.percentile(values, [1, 99]) if len(values) else (0.0, 1.0)
    if high <= low:
        low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 1.0)
    whole = bool((values % 1 == 0).all()) and high - low < BINS
    return (
        np.arange(np.floor(low), np.floor(high) + 2) if whole else np.linspace(low, high if high > low else low + 1, BINS + 1)
    )


def _named(frame: pl.DataFrame) -> pl.DataFrame:
    """Texts, of which all but the most frequent are `others`."""
    texts = frame.with_columns(pl.col("value").cast(pl.String))
    frequent = texts["value"].value_counts(sort=True)["value"].head(MOST_VALUES)
    named = pl.when(pl.col("value").is_in(frequent.implode())).then("value").otherwise(pl.lit("others"))
    return texts.with_columns(value=named)


def _shares(frame: pl.DataFrame, by: list[str]) -> pl.DataFrame:
    """Events, and their share of all events of their outcome."""
    counted = frame.group_by([*by, "outcome"]).agg(events=pl.len())
    return counted.with_columns(share=pl.col("events") / pl.col("events").sum().over("outcome")).sort([*by, "outcome"])


def summary(features: pl.DataFrame, outcome: pl.Series) -> pl.DataFrame:
    """For every feature that is a number or a boolean: how often it is missing, its middle, and its mean by outcome.

    apart: by how many standard deviations the means of fraud and good differ; features that tell them apart come first.
    """
    rows = [_summed(features[name].cast(pl.Float64), outcome) for name in features.columns if _is_number(features[name])]
    return pl.DataFrame(rows, schema=_SUMMARY).sort(pl.col("apart").abs(), descending=True, nulls_last=True)


_SUMMARY = {"feature": pl.String} | dict.fromkeys(("apart", "mean_fraud", "mean_good", "median", "missing"), pl.Float64)


def _is_number(values: pl.Series) -> bool:
    return values.dtype.is_numeric() or values.dtype == pl.Boolean


def _summed(values: pl.Series, outcome: pl.Series) -> dict[str, object]:
    fraud, good = values.filter(outcome == "fraud").mean(), values.filter(outcome == "good").mean()
    spread = values.std()
    known = isinstance(fraud, float) and isinstance(good, float) and isinstance(spread, float) and spread > 0
    return {
        "feature": values.name,
        "missing": values.null_count() / max(len(values), 1),
        "median": values.median(),
        "mean_good": good,
        "mean_fraud": fraud,
        "apart": (fraud - good) / spread if known else None,  # type: ignore[operator]  # narrowed above
    }


SCORES = [f"{edge:g}" for edge in (0.0, *EDGES[:-1].tolist())]
"""Where the bins of training reports begin."""


def scores(probability: pl.Series, decision: pl.Series) -> pl.DataFrame:
    """Decisions by bin of their score: `score` (one of SCORES), `decision`, `events`.

    >>> scores(pl.Series([0.0, 0.95, None]), pl.Series(["APPROVE", "BLOCK", "REVIEW"])).rows()
    [('0', 'APPROVE', 1), ('0.9', 'BLOCK', 1)]
    """
    frame = pl.DataFrame({"p": probability, "decision": decision}).drop_nulls("p")
    at = np.clip(np.searchsorted(EDGES, frame["p"].to_numpy(), side="right"), 0, len(SCORES) - 1)
    score = pl.Series(SCORES, dtype=pl.String).gather(at)
    return frame.select("decision", score=score).group_by("score", "decision").agg(events=pl.len()).sort("score", "decision")
