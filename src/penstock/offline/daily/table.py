"""The daily report as CSV, one line per figure."""

import csv
import io

from penstock.offline.daily.day import ENDS, DailyReport
from penstock.wording import csv_cell

HEAD = ("detector", "date", "figure", "value", "day_before", "mean_7_days")


def table(report: DailyReport) -> str:
    """Every figure, of the day, of the day before and the mean of the seven days before; empty if unknown.

    Where there is a control share, what is estimated from it follows; then rules and reasons as `rule:NAME` and `reason:CODE`.
    """
    written = io.StringIO()
    lines = csv.writer(written, lineterminator="\n")
    lines.writerow(HEAD)
    rows: list[tuple[str, float | None, float | None, float | None]] = [
        (name, *values) for name, values in report.figures().items()
    ]
    rows += [(name, value, None, None) for name, value in _of_control(report)]
    rows += [(f"rule:{rule.name}", rule.count, rule.before, rule.mean) for rule in report.rules]
    rows += [(f"reason:{reason.name}", reason.count, None, None) for reason in report.reasons]
    for name, *values in rows:
        figures = ("" if each is None else f"{each:.10g}" for each in values)
        lines.writerow([report.detector, report.date.isoformat(), csv_cell(name), *figures])
    return written.getvalue()


def _of_control(report: DailyReport) -> list[tuple[str, float | None]]:
    if report.control is None:
        return []
    blocks = report.control.blocks
    rate, prevented = blocks.precision, blocks.fraud_prevented
    found = [
        (f"block_precision{end}", value)
        for end, value in zip((*ENDS, "_of"), (rate.value, rate.low, rate.high, rate.of), strict=True)
    ]
    money = (None, None, None) if prevented is None else (prevented.value, prevented.low, prevented.high)
    return found + [(f"prevented_estimated_amount{end}", value) for end, value in zip(ENDS, money, strict=True)]
