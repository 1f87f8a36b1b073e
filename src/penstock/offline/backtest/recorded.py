"""Backtest of a rule condition by SQL over recorded decisions, without computing features again."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import polars as pl

from penstock.clock import from_us
from penstock.decision.judge import rank_of
from penstock.decision.kernel import BLOCKS, BLOCKS_HARD
from penstock.detector import Detector
from penstock.errors import DataError, DeclarationError, did_you_mean
from penstock.expressions import Expression
from penstock.messages import Type
from penstock.offline.backtest.cells import ACTIONS, Cell, count_of, lowered, money_of, per_day, truth_of
from penstock.offline.backtest.query_source import ASKED, NotRecorded, QuerySource, RecordedDecisions, condition_of
from penstock.offline.backtest.result import BacktestResult, Caught, Day, Example, Money, Truth
from penstock.offline.sql_templates import quoted, text
from penstock.rules import Rule

EXAMPLES = 10
"""How many decisions of each truth are shown."""

_FITTING = {
    Type.NUMBER: {"DOUBLE", "FLOAT", "BIGINT", "INTEGER"},
    Type.BOOLEAN: {"BOOLEAN"},
    Type.TEXT: {"VARCHAR"},
    Type.TIME: {"TIMESTAMP WITH TIME ZONE", "TIMESTAMP"},
}
_DECIDES = {"allow": "APPROVE", "challenge": "CHALLENGE", "review": "REVIEW", "block": "BLOCK"}


def backtest(
    archive: QuerySource,
    detector: Detector,
    when: str,
    *,
    now_us: int,
    then: str = "block",
    hard: bool = False,
    override: bool = False,
    days: int | None = 30,
    leaving_out: str | None = None,
    replayed: Sequence[str] = (),
) -> BacktestResult:
    """The hypothetical effect of a rule with this condition on recorded decisions.

    Args:
        archive: decisions and their labels.
        detector: the one that decided; its fields, features and rules resolve the names in the condition.
        when: the condition.
        now_us: the current time, up to which labels and days count.
        then: the action that the rule would request.
        hard: as in `penstock.Rule`.
        override: the same.
        days: how many days, the newest with decisions included; all unless given.
        leaving_out: the rule whose condition this is, which is not counted among those that caught it already.
        replayed: features of the archive that were computed again.

    Raises:
        ExpressionError: the condition cannot be read.
        NotRecorded: it needs columns that were not recorded.
        DataError: nothing was decided here, or there is no such action.
    """
    began = time.perf_counter()
    if then not in ASKED:
        raise DeclarationError(f"then={then!r} is no action of a rule.{did_you_mean(str(then), ASKED)}")
    if days is not None and days < 1:
        raise DeclarationError(f"days={days}: at least 1 day is read")
    rule = Rule("condition", when, then=then, hard=hard, override=override)
    condition = condition_of(detector, when)
    found = _BacktestRecords(archive, detector, now_us)
    found.check(condition)
    return _Backtest(found, condition, rule, leaving_out, days, tuple(replayed)).result(began)


class _BacktestRecords(RecordedDecisions):
    """The recorded decisions of one detector, and queries on them."""

    def __init__(self, archive: QuerySource, detector: Detector, now_us: int) -> None:
        super().__init__(archive, detector, now_us, "penstock.offline.backtest", "condition.sql")
        if not self.columns:
            raise DataError(f"detector {detector.name!r} has decided nothing here; name another data folder or detector")
        self.newest = self._newest()
        self.rules = sorted(name.removeprefix("rule_") for name in self.columns if name.startswith("rule_"))
        self.lists = {name: members.at(now_us) for name, members in detector.lists.items()}

    def _newest(self) -> date | None:
        has_labels = self.filled("has_labels", now_us=self.now_us) if self.labelled else "false"
        row = self.ask("newest", now_us=self.now_us, has_labels=has_labels)
        self.has_labels = bool(row["has_labels"].item())
        newest = row["newest"].item()
        return newest.date() if isinstance(newest, datetime) else None

    def check(self, condition: Expression) -> None:
        """Refuse a condition that needs columns that were not recorded."""
        layout = self.detector.plan.layout
        missing = [name for name in sorted(condition.names) if self.columns.get(name) not in _FITTING[layout[name].type]]
        if missing:
            raise NotRecorded(self.detector.name, missing)

    def within(self, first: date | None) -> str:
        """Decisions of the days from `first` on; the time itself is compared, so that stretches of other days are not read."""
        assert self.newest is not None
        stop = text(f"{self.newest + timedelta(days=1)} 00:00:00+00")
        start = "" if first is None else f" AND event_time >= TIMESTAMPTZ {text(f'{first} 00:00:00+00')}"
        mine = f"{self.mine} AND " if self.shared else ""
        return f"{mine}event_time < TIMESTAMPTZ {stop}{start}"

    def read(self, within: str, names: Sequence[str]) -> pl.DataFrame:
        """Counts of decisions by day and version, and of those that have each of these columns."""
        known = "".join(f", count({quoted(name)}) AS {quoted('k' + str(at))}" for at, name in enumerate(names))
        version = "versions_detector" if "versions_detector" in self.columns else "''"
        return self.ask("read", within=within, version=version, known=known)

    def matched(self, within: str, condition: Expression, leaving_out: str | None) -> pl.DataFrame:
        """Counts of the matched decisions by the columns of `Cell`."""
        others = [name for name in self.rules if name != leaving_out]
        fired = "".join(f", count(*) FILTER (list_contains(rules, {text(name)})) AS f{at}" for at, name in enumerate(others))
        return self.ask_truth(
            "matched",
            within=within,
            condition=condition.to_sql("duckdb", lists=self.lists),
            strongest=self._strongest(others),
            control="control_decision" if "control_decision" in self.columns else "CAST(NULL AS VARCHAR)",
            rules=_fired(others),
            fired=fired,
            shown=EXAMPLES,
        )

    def rank(self, rule: Rule) -> int:
        """The rank of a rule under the detector's policy."""
        return rank_of(rule.then, self.detector.policy.order, hard=rule.hard, override=rule.override)

    def _strongest(self, names: Sequence[str]) -> str:
        """The highest rank of those of these rules that fired; of one that is no longer declared, that of what was decided."""
        declared = {rule.name: self.rank(rule) for rule in self.detector.rules}
        asked = {action.upper(): rank_of(action, self.detector.policy.order) for action in ("challenge", "review", "block")}
        as_decided = f"CASE decision {' '.join(f'WHEN {text(a)} THEN {rank}' for a, rank in asked.items())} ELSE 0 END"
        ranks = [f"CASE WHEN {_rule(name)} THEN {declared.get(name, as_decided)} ELSE 0 END" for name in names]
        return f"greatest(0, {', '.join(ranks)})" if ranks else "0"


def _rule(name: str) -> str:
    return quoted(f"rule_{name}")


def _fired(names: Sequence[str]) -> str:
    """The names of the rules that fired, as a list."""
    if not names:
        return "CAST([] AS VARCHAR[])"
    each = ", ".join(f"CASE WHEN {_rule(name)} THEN {text(name)} END" for name in names)
    return f"list_filter([{each}], lambda name : name IS NOT NULL)"


@dataclass(frozen=True, slots=True)
class _Matched(Cell):
    """Matched decisions. caught: how many of them another rule caught."""

    caught: int
    examples: tuple[Example, ...]


def _matched(row: Mapping[str, Any], then: str, rank: int) -> _Matched:
    """A row of `_BacktestRecords.matched`. then: the action that the condition requests. rank: see `judge.rank_of`."""
    before, truth, control = row["decision"], row["truth"], row["control"]
    after = _outcome(control or before, _DECIDES[then], rank, row["strongest"])
    if control is not None and after == "BLOCK" and rank < BLOCKS_HARD:
        after = before  # it would be let through again
    examples = tuple(
        Example(each["transaction_id"], each["event_time"], before, after, truth, each["worth"], each["rules"])
        for each in row["examples"]
    )
    return _Matched(row["day"], before, after, truth, row["n"], row["worth"] or 0.0, row["caught"], examples)


def _outcome(before: str, asks: str, rank: int, strongest: int) -> str:
    """The decision if one more rule had fired. strongest: the highest rank of the rules that did."""
    if max(rank, strongest) > BLOCKS:  # what one of them asks for is given, whatever others do
        return asks if rank > strongest else before
    return max(before, asks, key=ACTIONS.index)


def _examples(cells: Iterable[_Matched]) -> list[Example]:
    """Examples of decisions for each truth, changed and newest ones first."""
    found: dict[str, list[Example]] = {}
    for cell in cells:
        found.setdefault(cell.truth, []).extend(cell.examples)
    return [
        example
        for truth in Truth.__struct_fields__
        for example in sorted(found.get(truth, []), key=lambda e: (e.decision != e.then, e.event_time), reverse=True)[:EXAMPLES]
    ]


class _Backtest:
    """One condition applied to recorded decisions."""

    def __init__(
        self,
        found: _BacktestRecords,
        condition: Expression,
        rule: Rule,
        leaving_out: str | None,
        days: int | None,
        replayed: Sequence[str],
    ) -> None:
        self._found, self._condition, self._rule, self._replayed = found, condition, rule, replayed
        self._others = [name for name in found.rules if name != leaving_out]
        self._names = sorted(condition.names)
        self._first = None if days is None or found.newest is None else found.newest - timedelta(days=days - 1)
        self._read = self._matched = pl.DataFrame()
        if found.newest is not None:
            within = found.within(self._first)
            self._read = found.read(within, self._names)
            self._matched = found.matched(within, condition, leaving_out)

    def result(self, began: float) -> BacktestResult:
        """The complete result."""
        rank = self._found.rank(self._rule)
        cells = [_matched(row, self._rule.then, rank) for row in self._matched.iter_rows(named=True)]
        changed = [cell for cell in cells if cell.changed]
        read = Counter[date]()
        for row in self._read.iter_rows(named=True):
            read[row["day"]] += row["n"]
        decisions = Counter(dict.fromkeys(ACTIONS, 0))
        for cell in cells:
            decisions[cell.champion] += cell.count
        matched, caught = count_of(cells), sum(cell.caught for cell in cells)
        return BacktestResult(
            detector=self._found.detector.name,
            when=self._condition.sql,
            then=self._rule.then,
            hard=self._rule.hard,
            override=self._rule.override,
            since=min(read, default=None),
            until=self._found.newest,
            days=len(read),
            replayed=list(self._replayed),
            read=read.total(),
            matched=matched,
            decisions=dict(decisions),
            caught=caught,
            caught_by=self._caught_by(),
            new=matched - caught,
            changed=sum(cell.changed for cell in cells),
            lowered=lowered(cells),
            lowered_per_day=round(lowered(cells) / len(read), 2) if read else 0.0,
            truth=truth_of(cells),
            truth_changed=truth_of(changed),
            money=self._money(cells),
            per_day=per_day(cells, len(read)),
            by_day=self._by_day(read, cells),
            examples=_examples(cells),
            notes=self._notes(changed),
            seconds=round(time.perf_counter() - began, 3),
        )

    def _caught_by(self) -> list[Caught]:
        counts = [
            Caught(name, int(self._matched[f"f{at}"].sum())) for at, name in enumerate(self._others) if len(self._matched)
        ]
        return sorted((each for each in counts if each.count), key=lambda each: (-each.count, each.rule))

    def _money(self, cells: Sequence[Cell]) -> Money | None:
        return money_of(cells) if self._found.worth is not None else None

    def _by_day(self, read: Mapping[date, int], cells: Sequence[Cell]) -> list[Day]:
        of: dict[date | None, list[Cell]] = {}
        for cell in cells:
            of.setdefault(cell.at, []).append(cell)
        mature, found = from_us(self._found.mature_us).date(), []
        for day in sorted(read):
            here = of.get(day, [])
            found.append(
                Day(
                    date=day,
                    read=read[day],
                    matched=count_of(here),
                    changed=sum(cell.changed for cell in here),
                    young=self._found.has_labels and day >= mature,
                    truth=truth_of(here),
                    money=self._money(here),
                )
            )
        return found

    def _notes(self, changed: Sequence[Cell]) -> list[str]:
        """Caveats about the figures."""
        found, notes = self._found, []
        if not found.has_labels:
            notes.append("Nobody has labelled any transaction here, so what is fraud and what is good is not known.")
        if found.worth is None:
            notes.append("Events do not say what they are worth, so there are counts alone.")
        if lowered(changed):
            notes.append("It lowers outcomes: some of what the score or another rule stops would become less strict.")
        if self._condition.lists:
            names = ", ".join(sorted(self._condition.lists))
            notes.append(f"Taken as they are now, also for decisions that are older than their entries: {names}.")
        unknown = [name for name in found.rules if name not in {rule.name for rule in found.detector.rules}]
        if unknown:
            notes.append(f"No longer declared, and taken to have asked for what was decided: {', '.join(unknown)}.")
        return notes + self._gaps()

    def _gaps(self) -> list[str]:
        """Columns that whole versions of the detector lack."""
        if not len(self._read):
            return []
        versions = self._read.group_by("version").agg(
            pl.col("n").sum(), *(pl.col(f"k{k}").sum() for k in range(len(self._names)))
        )
        return [_gap(name, row) for k, name in enumerate(self._names) for row in versions.to_dicts() if not row[f"k{k}"]]


def _gap(name: str, row: Mapping[str, Any]) -> str:
    return (
        f"{name} is not known in any of the {row['n']:,} decisions of version {row['version']}: it was not recorded then, or"
        " nothing was there to compute it from. A replay computes it."
    )
