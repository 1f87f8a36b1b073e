"""Model quality from labels, day by day, next to the quality that calibrated scores had predicted."""

import math
from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta

from penstock.clock import to_us
from penstock.offline.daily.day import DayFigures
from penstock.offline.drift.estimate import figures
from penstock.offline.drift.result import TruthOfDay
from penstock.offline.drift.sketch import HOUR_US, Sketch
from penstock.outcomes import known_rate

LEAST_DAYS = 7
LEAST_FRAUDS = 30
TIMES = 2.0
SURE = 2.0
"""Fraud comes in attacks, so the distance from what was expected is compared with that of single days."""

COVERED = 0.9
"""Where fewer decisions than this share have a label, few frauds may only mean few labels."""


def truth_of(days: Sequence[DayFigures], sketch: Sketch, *, now_us: int, label_delay_us: int) -> list[TruthOfDay]:
    """Days with decisions, and their known outcomes; days whose labels are not yet complete are young."""
    return [_day(day, sketch, now_us - label_delay_us) for day in days if day.decided.count]


def _day(day: DayFigures, sketch: Sketch, mature_us: int) -> TruthOfDay:
    start_us = to_us(datetime.combine(day.date, time(), UTC))
    stop_us = to_us(datetime.combine(day.date + timedelta(days=1), time(), UTC))
    said = figures(sketch.summed(start_us // HOUR_US, stop_us // HOUR_US))
    truth = day.truth
    stopped = truth.caught.count + truth.false_alarms.count
    rate, precision = known_rate(truth.frauds, truth.known), known_rate(truth.caught.count, stopped)
    return TruthOfDay(
        day=day.date,
        decisions=day.decided.count,
        known=truth.known,
        frauds=truth.frauds,
        stopped=stopped,
        caught=truth.caught.count,
        fraud_rate=rate.value,
        precision=precision.value,
        expected=said["frauds"] if said["rows"] else None,
        young=stop_us > mature_us,
        fraud_rate_low=rate.low,
        fraud_rate_high=rate.high,
        precision_low=precision.low,
        precision_high=precision.high,
    )


def miscalibrated(truth: Sequence[TruthOfDay], usual: float = 1.0) -> tuple[float, float, int] | None:
    """Known frauds, expected frauds and days if these disagree; None if they agree, or too little is known.

    Only days that are not young count. usual: known frauds for each that was expected, when the models were trained.
    """
    mature = [day for day in truth if not day.young and day.known and day.expected is not None]
    known, expected = sum(day.frauds for day in mature), usual * sum(day.expected or 0.0 for day in mature)
    if len(mature) < LEAST_DAYS or max(known, expected) < LEAST_FRAUDS:
        return None
    covered = sum(day.known for day in mature) >= COVERED * sum(day.decisions for day in mature)
    apart = [day.frauds - usual * (day.expected or 0.0) for day in mature]
    sure = abs(sum(apart)) > SURE * math.sqrt(sum(each * each for each in apart))
    off = known > TIMES * expected or (covered and TIMES * known < expected)
    return (float(known), expected, len(mature)) if off and sure else None
