"""Columns that are known only after the decision: no model may read them, however well they would do in training."""

from collections.abc import Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.models import metrics
from penstock.offline.guess.guessed import NOT_A_TIME, GuessedAmount, GuessedLabel, Time
from penstock.offline.guess.profile import SAMPLE, FileColumn
from penstock.offline.guess.times import TimeColumn

SEPARATES_FROM = 0.97
"""From this ROC AUC on, a column that stands alone nearly states the label. Training asks from 0.99 on."""
_NAMES = {
    "fraud": "its name says fraud: it states the label, or what another system found",
    "chargeback": "a chargeback comes weeks after the payment",
    "dispute": "a dispute comes after the payment",
    "refund": "a refund comes after the payment",
    "flagged": "what another system flagged: use it in a rule, if it comes with the payment",
    "scenario": "a scenario of fraud is not known when a payment arrives",
    "approved": "the outcome of the decision itself",
    "declined": "the outcome of the decision itself",
    "decision": "the outcome of the decision itself",
    "outcome": "the outcome, which is known afterwards",
    "resolution": "how a case was resolved is known afterwards",
    "resolved": "how a case was resolved is known afterwards",
    "investigation": "an investigation comes after the payment",
    "settled": "a settlement comes after the payment",
    "settlement": "a settlement comes after the payment",
    "reported": "a report comes after the payment",
    "recovered": "what was recovered is known afterwards",
    "blocked": "the outcome of the decision itself",
}
_STATUS_OF_SOMETHING = ("marital", "employment", "email", "account", "kyc", "customer", "member", "verification")
_BALANCE = ("balance", "bal", "saldo")
_AFTER = ("new", "newbalance", "after", "post", "ending", "closing")
_DIFFERENCE = 0.5
_FEWEST = 20
_MOST_TEXTS = 50
_SAME = 0.999


def late(
    column: FileColumn, columns: Sequence[FileColumn], amount: GuessedAmount | None, label: GuessedLabel | None
) -> str | None:
    """Why a column is known only afterwards; None where nothing says so."""
    return _by_name(column) or _balance_after(column, columns, amount) or _states(column, label)


def late_time(read: TimeColumn, time: Time) -> str | None:
    """Why another time is of no use before the decision; None where it lies before the event."""
    both = (read.instants_us != NOT_A_TIME) & (time.instants_us != NOT_A_TIME)
    if not both.any():
        return "it holds no times"
    ahead = (read.instants_us[both] - time.instants_us[both]) / 1e6
    if np.ptp(ahead) <= 86_400 and len(ahead) > 1:
        return "the time of the event in another form"
    after = float((ahead > 1).mean())
    if after > 0.5:
        return f"a time after the event in {after:.0%} of the rows"
    if both.mean() < 0.5:
        return f"there in {both.mean():.0%} of the rows only, as what happens later is"
    return None


def repeats_time(column: FileColumn, time: Time) -> bool:
    """Whether numbers only count on with the time: a model would learn the calendar."""
    if column.numbers is None:
        return False
    numbers, times = column.numbers.fill_null(float("nan")).to_numpy(), time.instants_us.astype(np.float64)
    both = ~np.isnan(numbers) & (time.instants_us != NOT_A_TIME)
    if both.sum() < _FEWEST or not numbers[both].std() or not times[both].std():
        return False
    return abs(float(np.corrcoef(numbers[both], times[both])[0, 1])) >= _SAME


def _by_name(column: FileColumn) -> str | None:
    name = column.like(_NAMES)
    if name is not None:
        return _NAMES[name]
    if column.like(("status",)) and not column.like(_STATUS_OF_SOMETHING):
        return "a status changes after the payment; keep it only if this is its value when the payment arrives"
    return None


def _balance_after(column: FileColumn, columns: Sequence[FileColumn], amount: GuessedAmount | None) -> str | None:
    if not column.like(_BALANCE) or column.numbers is None:
        return None
    if column.like(_AFTER) or any(word.startswith("new") for word in column.words):
        return "its name says: the balance after the payment"
    if amount is None or amount.column.numbers is None:
        return None
    paid = amount.column.numbers
    for other in columns:
        if other is column or other.numbers is None or not other.like(_BALANCE):
            continue
        change = (other.numbers - paid - column.numbers).abs()
        share = ((change < 0.01) & (paid > 0)).sum() / max(len(column), 1)
        if share > _DIFFERENCE:
            return f"the balance after the payment: {other.name} less the amount in {share:.0%} of the rows"
    return None


def _states(column: FileColumn, label: GuessedLabel | None) -> str | None:
    """Whether a column alone nearly states the label."""
    if label is None:
        return None
    gone = column.values.is_null().to_numpy()
    kinds = [("whether it is there", gone.astype(np.float64))] if 0 < gone.mean() < 1 else []
    if column.numbers is not None:
        kinds.append(("its value", column.numbers.fill_null(float("-inf")).to_numpy()))
    elif 2 <= column.distinct <= _MOST_TEXTS:
        kinds.append(("its value", _rates(column, label.fraud)))
    for what, values in kinds:
        auc = separation(values, label.fraud)
        if auc is not None and auc >= SEPARATES_FROM:
            return f"{what} alone nearly states the label (ROC AUC {auc:.3f}): most likely known only afterwards"
    return None


def _rates(column: FileColumn, fraud: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each row the share of fraud among those with its value."""
    frame = pl.DataFrame({"value": column.values.cast(pl.String), "fraud": pl.Series(fraud).fill_nan(None)})
    return frame.select(pl.col("fraud").mean().over("value").fill_null(0.0)).to_series().to_numpy()


def separation(values: NDArray[np.float64], fraud: NDArray[np.float64]) -> float | None:
    """The ROC AUC of values in either direction on a sample of rows; None with few of one class."""
    frauds, good = np.flatnonzero(fraud == 1.0), np.flatnonzero(fraud == 0.0)
    if len(frauds) < _FEWEST or len(good) < _FEWEST:
        return None
    draw = np.random.default_rng(0)
    taken = [draw.choice(each, SAMPLE, replace=False) if len(each) > SAMPLE else each for each in (frauds, good)]
    rows = np.concatenate(taken)
    auc = metrics.roc_auc(values[rows], fraud[rows])
    return None if auc is None else max(auc, 1 - auc)
