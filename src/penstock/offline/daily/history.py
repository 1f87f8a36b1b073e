"""Daily figures from ledger and archive, by SQL. Safe while a service writes to them."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl

from penstock.clock import to_us
from penstock.ledger.archive import Archive
from penstock.offline.daily.day import OUTCOMES, By, CountAndAmount, Counted, DayFigures, DayOutcomes, ScoreBin
from penstock.offline.report.curves import EDGES
from penstock.offline.sql_templates import NO_LABELS, filled, quoted, text
from penstock.outcomes import EstimatedFraud, ScoreSums

_PARTS = ("caught_", "missed_", "false_", "prevented_", "blocked_good_")
"""How the columns of the fields of `DayOutcomes` begin, in their order."""


class History:
    """The decisions of one detector, day by day (UTC).

    amount: the column of amounts, None without one. known_us: labels known by then count. by: whether a decision
    counts on the day it was made or on that of its event.
    """

    def __init__(self, archive: Archive, detector: str, amount: str | None, known_us: int, *, by: By = "decided") -> None:
        self._archive = archive
        self._mine = f"detector = {text(detector)}"
        self._column, self._instant = "event_time", "make_timestamptz({})"
        self._time = self._column
        self._has = set(self._ask("columns", view="decisions").columns)
        if by == "decided" and "decided_us" in self._has:  # every decision has it
            self._column, self._instant, self._time = "decided_us", "{}", "make_timestamptz(decided_us)"
        labelled = "fraud" in self._ask("columns", view="labels").columns
        given = {"mine": self._mine, "now_us": known_us, "table": "decisions"}
        self._labels = filled("penstock.offline", "truth.sql", "labels", **given) if labelled else NO_LABELS
        self._amount = amount if amount in self._has else None
        self._rules = sorted(name for name in self._has if name.startswith("rule_"))

    @property
    def amounts(self) -> bool:
        """Whether events have an amount."""
        return self._amount is not None

    def newest(self, last: date) -> date | None:
        """The newest day with decisions up to this one."""
        found = self._ask("newest", mine=self._mine, last=text(last)).item()
        return found if isinstance(found, date) else None

    def counts(self, known_us: int) -> list[tuple[date, int]]:
        """The days with decisions up to this instant, the newest first, each with how many."""
        return [(day, int(n)) for day, n in self._ask("counts", mine=self._mine, known_us=known_us).iter_rows()]

    def days(self, last: date, count: int = 8) -> list[DayFigures]:
        """The figures of a number of days, the oldest first, including days without decisions."""
        first = last - timedelta(days=count - 1)
        nothing = CountAndAmount(0, 0.0 if self._amount else None)
        unknown_only = DayOutcomes(0, *[nothing] * len(_PARTS))
        decided, truth, quarantined = self._decided(first, last), self._truth(first, last), self._quarantined(first, last)
        return [
            self._day(day, decided.get(day, []), truth.get(day, unknown_only), quarantined.get(day, 0))
            for day in (first + timedelta(days=at) for at in range(count))
        ]

    def _day(self, day: date, rows: Sequence[dict[str, Any]], truth: DayOutcomes, quarantined: int) -> DayFigures:
        whole = next((row for row in rows if row["decision"] is None), None)
        return DayFigures(
            date=day,
            decided=self._share(whole, "") if whole else CountAndAmount(0, 0.0 if self._amount else None),
            by_decision={name: self._share(row, "") for name in OUTCOMES for row in rows if row["decision"] == name},
            truth=truth,
            latency_ms={name: whole[name] if whole else None for name in ("p50", "p95", "p99")},
            degraded=whole["degraded"] if whole else 0,
            quarantined=quarantined,
            estimate=self._estimate(next((row for row in rows if row["decision"] == "BLOCK"), None)),
        )

    def _estimate(self, row: dict[str, Any] | None) -> EstimatedFraud | None:
        if row is None:
            return None
        sums = ScoreSums(*(row[name] or 0.0 for name in ("scored", "score", "spread", "score_amount", "amount_spread")))
        return sums.fraud(worth=self._amount is not None)

    def _share(self, row: dict[str, Any], prefix: str) -> CountAndAmount:
        return CountAndAmount(row[f"{prefix}n"], round(row[f"{prefix}amount"] or 0.0, 2) if self._amount else None)

    def _decided(self, first: date, last: date) -> dict[date, list[dict[str, Any]]]:
        rows = self._ask(
            "decided",
            between=self._between(first, last),
            money=f"sum({quoted(self._amount)})" if self._amount else "NULL",
            degraded="count(degraded)" if "degraded" in self._has else "0",
            latency="latency_ms_total" if "latency_ms_total" in self._has else "CAST(NULL AS DOUBLE)",
            score="fraud_probability" if "fraud_probability" in self._has else "CAST(NULL AS DOUBLE)",
            worth=quoted(self._amount) if self._amount else "0",
        )
        by_day: dict[date, list[dict[str, Any]]] = {}
        for row in rows.to_dicts():
            by_day.setdefault(row["day"], []).append(row)
        return by_day

    def _truth(self, first: date, last: date) -> dict[date, DayOutcomes]:
        worth = quoted(self._amount) if self._amount else "0"
        rows = self._ask("truth", labels=self._labels, worth=worth, between=self._between(first, last))
        return {
            row["day"]: DayOutcomes(row["known"], *(self._share(row, prefix) for prefix in _PARTS)) for row in rows.to_dicts()
        }

    def _quarantined(self, first: date, last: date) -> dict[date, int]:
        rows = self._ask("quarantined", mine=self._mine, first=text(first), last=text(last))
        return dict(zip(rows["day"].to_list(), rows["n"].to_list(), strict=True))

    # ---- of the day itself

    def rules(self, day: date) -> list[Counted]:
        """Rules that fired, the most frequent first."""
        if not self._rules:
            return []
        sums = ", ".join(
            f"count(*) FILTER ({quoted(rule)}) AS f{at}, count(*) FILTER ({quoted(rule)} AND decision <> 'APPROVE') AS s{at}"
            for at, rule in enumerate(self._rules)
        )
        rows = self._ask("rules", sums=sums, between=self._between(day - timedelta(days=7), day)).to_dicts()
        of = {row["day"]: row for row in rows}
        now, before = of.get(day, {}), of.get(day - timedelta(days=1), {})
        earlier = [row for at, row in of.items() if at < day]
        found = [
            Counted(
                rule.removeprefix("rule_"),
                now.get(f"f{at}", 0),
                before.get(f"f{at}", 0),
                sum(row[f"f{at}"] for row in earlier) / len(earlier) if earlier else None,
                now.get(f"s{at}", 0),
            )
            for at, rule in enumerate(self._rules)
        ]
        return sorted((each for each in found if each.count or each.before), key=lambda each: (-each.count, each.name))

    def scores(self, day: date) -> list[ScoreBin]:
        """Decisions by score; none where no model scored."""
        lows, highs = [0.0, *EDGES.tolist()[:-1]], EDGES.tolist()
        place = " + ".join(f"CAST(fraud_probability >= {edge!r} AS INTEGER)" for edge in lows[1:])
        rows = self._ask("scores", labels=self._labels, bin=place, between=self._between(day, day)).to_dicts()
        counts = {row["at"]: row for row in rows}
        nothing = {"approved": 0, "stopped": 0, "frauds": 0}
        return [
            ScoreBin(low, high, *(counts.get(at, nothing)[name] for name in nothing))
            for at, (low, high) in enumerate(zip(lows, highs, strict=True))
            if rows
        ]

    def versions(self, day: date) -> dict[str, int]:
        """Decisions by version of the models."""
        if "versions_model" not in self._has:
            return {}
        rows = self._ask("versions", between=self._between(day, day))
        return dict(zip(rows["version"].to_list(), rows["n"].to_list(), strict=True))

    def stopped_seqs(self, day: date, most: int) -> tuple[list[int], int]:
        """Sequence numbers of a sample of stopped decisions, evenly spread and bounded; and the number of all."""
        rows = self._ask("stopped", between=self._between(day, day), most=most)
        return rows["seq"].to_list(), int(rows["n"][0]) if len(rows) else 0

    # ---- SQL

    def _ask(self, name: str, **values: object) -> pl.DataFrame:
        return self._archive.query(_filled(name, time=self._time, **values))

    def _between(self, first: date, last: date) -> str:
        """Decisions of these days; the column itself is compared, so that stretches of other days need not be read."""
        limits_us = [to_us(datetime.combine(day, time(), UTC)) for day in (first, last + timedelta(days=1))]
        start, stop = (self._instant.format(us) for us in limits_us)
        return f"{self._mine} AND {self._column} >= {start} AND {self._column} < {stop}"


def _filled(name: str, **values: object) -> str:
    return filled("penstock.offline.daily", "history.sql", name, **values)
