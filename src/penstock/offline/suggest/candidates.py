"""Candidates: features that might help, generated from two tables as ordinary definitions.

`AGGREGATES` holds what is computed over the events of a key, `COMPARISONS` what is derived from it. To let the search try
another aggregate, add a line.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import polars as pl

from penstock.clock import duration_us
from penstock.detector import Detector
from penstock.features import Entity
from penstock.features.definitions import Added, Described
from penstock.offline.suggest.fields import REPEATS, Fields

Over = Literal["events", "amount", "logarithm", "number", "key", "label"]
"""What an aggregate is computed over: the events, the amount, its logarithm, other numbers, other keys, or labels."""


class AggregateRow(NamedTuple):
    """A line of the table of aggregates.

    windows: of sessions their gaps. current: whether the event itself counts. pairs: also over pairs, such as a customer in a
    category. where: conditions that it is tried with, besides none. q: which quantile.
    """

    kind: str
    over: Over
    windows: tuple[str, ...]
    current: bool = False
    pairs: bool = False
    where: tuple[str, ...] = ()
    q: float | None = None


AGGREGATES = (
    AggregateRow("count", "events", ("10m", "1h", "1d", "7d"), current=True, where=("small", "large")),
    AggregateRow("count", "events", ("1d",), current=True, pairs=True),
    AggregateRow("count", "events", ("30d", "ever"), pairs=True),
    AggregateRow("sum", "amount", ("1h", "1d", "7d"), current=True),
    AggregateRow("sum", "amount", ("30d",), pairs=True),
    AggregateRow("mean", "amount", ("7d",)),
    AggregateRow("mean", "amount", ("30d", "ever"), pairs=True),
    AggregateRow("std", "amount", ("30d", "ever"), pairs=True),
    AggregateRow("max", "amount", ("1d", "30d")),
    AggregateRow("max", "amount", ("ever",), pairs=True),
    AggregateRow("min", "amount", ("30d", "ever")),
    AggregateRow("median", "amount", ("30d",)),
    AggregateRow("quantile", "amount", ("30d",), q=0.9),
    AggregateRow("mean", "logarithm", ("ever",), pairs=True),
    AggregateRow("std", "logarithm", ("ever",), pairs=True),
    AggregateRow("mean", "number", ("30d",)),
    AggregateRow("std", "number", ("30d",)),
    AggregateRow("distinct", "key", ("1h", "1d", "7d"), current=True),
    AggregateRow("mode", "key", ("30d",)),
    AggregateRow("share_of_top", "key", ("30d",)),
    AggregateRow("entropy", "key", ("30d",)),
    AggregateRow("session_count", "events", ("30m",), current=True),
    AggregateRow("session_sum", "amount", ("30m",), current=True),
    AggregateRow("session_duration", "events", ("30m",), current=True),
    AggregateRow("last", "amount", ("ever",), pairs=True),
    AggregateRow("last", "number", ("ever",)),
    AggregateRow("since_last", "events", ("ever",), pairs=True, where=("small", "large")),
    AggregateRow("since_first", "events", ("ever",)),
    AggregateRow("label_rate", "label", ("1d", "7d", "30d", "ever")),
    AggregateRow("label_count", "label", ("7d", "30d", "ever"), pairs=True),
)
"""What is computed over the events of each key."""


class ComparisonRow(NamedTuple):
    """A line of the table of comparisons: an expression over aggregates of one entity, by what each is called here.

    name: of the feature, after its entity. parts: aggregates as (kind, over, window), read as {0}, {1}, ...; {x} is the
    event's own value.
    """

    name: str
    sql: str
    parts: tuple[tuple[str, Over, str], ...]


COMPARISONS = (
    ComparisonRow("{x}_to_mean_7d", "{x} / {0}", (("mean", "amount", "7d"),)),
    ComparisonRow("{x}_to_mean_30d", "{x} / {0}", (("mean", "amount", "30d"),)),
    ComparisonRow("{x}_to_mean_ever", "{x} / {0}", (("mean", "amount", "ever"),)),
    ComparisonRow("{x}_to_max_30d", "{x} / {0}", (("max", "amount", "30d"),)),
    ComparisonRow("{x}_to_max_ever", "{x} / {0}", (("max", "amount", "ever"),)),
    ComparisonRow("{x}_to_min_ever", "{x} / {0}", (("min", "amount", "ever"),)),
    ComparisonRow("{x}_to_median_30d", "{x} / {0}", (("median", "amount", "30d"),)),
    ComparisonRow("{x}_to_p90_30d", "{x} / {0}", (("quantile", "amount", "30d"),)),
    ComparisonRow("{x}_is_usual_30d", "{x} = {0}", (("mode", "key", "30d"),)),
    ComparisonRow("{x}_to_last", "{x} / {0}", (("last", "amount", "ever"),)),
    ComparisonRow("{x}_z_30d", "({x} - {0}) / {1}", (("mean", "amount", "30d"), ("std", "amount", "30d"))),
    ComparisonRow("{x}_z_ever", "({x} - {0}) / {1}", (("mean", "amount", "ever"), ("std", "amount", "ever"))),
    ComparisonRow("{x}_z_ever", "({x} - {0}) / {1}", (("mean", "logarithm", "ever"), ("std", "logarithm", "ever"))),
    ComparisonRow("{x}_z_30d", "({x} - {0}) / {1}", (("mean", "number", "30d"), ("std", "number", "30d"))),
    ComparisonRow("{x}_change", "{x} - {0}", (("last", "number", "ever"),)),
    ComparisonRow("pace_1h_to_7d", "{0} / {1}", (("count", "events", "1h"), ("count", "events", "7d"))),
    ComparisonRow("pace_1d_to_30d", "{0} / {1}", (("count", "events", "1d"), ("count", "events", "30d"))),
    ComparisonRow("spent_1d_to_30d", "{0} / {1}", (("sum", "amount", "1d"), ("sum", "amount", "30d"))),
)
"""What is derived for each key from its aggregates. A part that was not computed leaves its lines out."""

PEERS: tuple[tuple[str, Over, str], ...] = (("mean", "amount", "30d"), ("mean", "amount", "ever"), ("count", "events", "30d"))
"""Aggregates of an entity that are divided by those of another: a customer in a category by the customer, by the category."""

FIELDS = "fields"
"""The title of the block of what an event alone says."""
MOST_NUMBERS = 4
"""Numbers besides the amount that are aggregated."""
_HOUR_BAND, _REGION, _LOG = "hour_band", "degree_cell", "log_{}"
_LONGEST_SHARE = 0.7
"""Windows longer than this share of the recorded time are no different from `ever`."""


@dataclass(frozen=True, slots=True)
class CandidateFeature:
    """A feature that is tried. needs: names of the others that it reads."""

    name: str
    described: Described
    needs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """Candidates that are computed together, in order of declaration. tried: the names of those that models may read."""

    title: str
    candidates: tuple[CandidateFeature, ...]
    tried: tuple[str, ...]


class Group(NamedTuple):
    """Events that are aggregated together: an entity in one of its roles. pair: its key is made of two things."""

    entity: Entity
    name: str
    at: str | None = None
    role: str | None = None
    pair: tuple[str, str] | None = None


@dataclass(slots=True)
class Generator:
    """Generates the blocks of a detector's candidates.

    taken: what has a name already: declared features with their definitions, fields with None. span_us: of the recorded
    time. delay: after which labels are known; None where they are known at once, so that no feature may read them.
    """

    detector: Detector
    fields: Fields
    frame: pl.DataFrame
    taken: Mapping[str, Described | None]
    span_us: int
    delay: str | None
    _limits: dict[str, str] = field(default_factory=dict)

    def blocks(self) -> Iterator[Block]:
        """All blocks, the likeliest to help first."""
        self._limits = self._conditions()
        yield from filter(None, [self._block(FIELDS, list(self._of_fields()))])
        alone = {entity.fields for entity in self.fields.keys if not entity.roles}
        singles = [group for entity in self.fields.keys for group in _groups_of(entity, alone)]
        categories = [Group(self._entity((name,), name), name) for name in self.fields.categories if not self._is_key(name)]
        for group in (*singles, *categories, self._everybody()):
            yield from filter(None, [self._block(group.name, list(self._of_group(group)))])
        for group in self._pairs([each for each in singles if each.at is None]):
            yield from filter(None, [self._block(group.name, list(self._of_pair(group)))])

    # ---- parts

    def _block(self, title: str, found: list[CandidateFeature]) -> Block | None:
        unique: dict[str, CandidateFeature] = {}
        for each in found:
            means_another = each.name in self.taken and self.taken[each.name] != each.described
            if not means_another and all(need in unique for need in each.needs):
                unique[each.name] = each
        helpers = {_HOUR_BAND, _REGION, "everybody", *(_LOG.format(name) for name in self.fields.numbers)}
        helpers |= {name for name, each in unique.items() if each.described.kind == "mode"}  # a key, as those of the event
        tried = tuple(name for name in unique if name not in self.taken and name not in helpers)
        return Block(title, tuple(unique.values()), tried) if tried else None

    def _entity(self, fields: tuple[str, ...], name: str) -> Entity:
        return Entity(*fields, name=name if name not in self.detector.schema.columns or len(fields) == 1 else f"{name}_key")

    def _is_key(self, name: str) -> bool:
        return any((name,) in entity.keys for entity in self.fields.keys)

    def _conditions(self) -> dict[str, str]:
        """What small and large amounts are: a tenth of the events each."""
        amount = self.fields.amount
        if amount is None:
            return {}
        low, high = (self.frame[amount].quantile(share) for share in (0.1, 0.9))
        if low is None or high is None or low == high:
            return {}
        return {"small": f"{amount} < {_rounded(low)}", "large": f"{amount} > {_rounded(high)}"}

    def _windows(self, windows: Iterable[str]) -> Iterator[str]:
        for window in windows:
            if window == "ever" or duration_us(window) <= _LONGEST_SHARE * self.span_us:
                yield window

    def _everybody(self) -> Group:
        return Group(Entity("everybody", name="everybody"), "everybody")

    # ---- candidates

    def _of_fields(self) -> Iterator[CandidateFeature]:
        """What the event alone says: the clock, and the amount beside other numbers."""
        time, zone = self.detector.time, self.detector.schema.naive_times
        local = f", '{zone}'" if zone and zone != "UTC" else ""
        yield _derived("hour_of_day", f"hour({time}{local})")
        yield _derived("day_of_week", f"weekday({time}{local})")
        amount = self.fields.amount
        for name in self.fields.numbers if amount else ():
            if name != amount:
                yield _derived(f"{amount}_to_{name}", f"{amount} / {name}")
                yield _derived(f"{name}_less_{amount}", f"{name} - {amount}")

    def _of_group(self, group: Group) -> Iterator[CandidateFeature]:
        yield from self._support(group)
        made: dict[tuple[str, str, str], CandidateFeature] = {}
        for form in AGGREGATES:
            for key, candidate in self._aggregates(group, form):
                made.setdefault(key, candidate)
                yield candidate
        yield from self._comparisons(group, made)

    def _of_pair(self, group: Group) -> Iterator[CandidateFeature]:
        """A pair, and how it compares with each of its two parts."""
        yield from self._support(group)
        made: dict[tuple[str, str, str], CandidateFeature] = {}
        for form in (form for form in AGGREGATES if form.pairs):
            for key, candidate in self._aggregates(group, form):
                made.setdefault(key, candidate)
                yield candidate
        yield from self._comparisons(group, made)
        for part in group.pair or ():
            yield from self._peers(made, self._part(part))

    def _part(self, name: str) -> Group:
        known = next((entity for entity in self.fields.keys if entity.keys == ((name,),)), None)
        return Group(known, known.name) if known is not None else Group(self._entity((name,), name), name)

    def _peers(self, made: Mapping[tuple[str, str, str], CandidateFeature], part: Group) -> Iterator[CandidateFeature]:
        for kind, over, window in PEERS:
            own = made.get((kind, self._field(over) or "", window))
            forms = (form for form in AGGREGATES if (form.kind, form.over) == (kind, over) and window in form.windows)
            for form in forms if own is not None else ():
                for _, other in self._aggregates(part, form._replace(windows=(window,), where=())):
                    yield other
                    assert own is not None
                    name = f"{own.name}_to_{part.name}"
                    yield _derived(name, f"{own.name} / {other.name}", own.name, other.name)

    def _support(self, group: Group) -> Iterator[CandidateFeature]:
        """Derived fields that the group's key or its logarithms are made of."""
        fields = set(group.entity.fields)
        if "everybody" in fields:
            yield _derived("everybody", "1")
        if _HOUR_BAND in fields:
            yield _derived(_HOUR_BAND, f"floor(hour({self.detector.time}) / 4)")
        if _REGION in fields and self.fields.place:
            latitude, longitude = self.fields.place
            yield _derived(_REGION, f"floor({latitude}) * 360 + floor({longitude})")
        if self.fields.amount:
            yield _derived(_LOG.format(self.fields.amount), f"ln({self.fields.amount} + 1)")

    def _aggregates(self, group: Group, form: AggregateRow) -> Iterator[tuple[tuple[str, str, str], CandidateFeature]]:
        """The candidates of one line of the table, each with what comparisons find it by."""
        if form.over == "label" and self.delay is None:
            return
        for window in self._windows(form.windows):
            for of in self._over(group, form.over):
                for condition in (None, *(each for each in form.where if each in self._limits)):
                    if condition is not None and window in ("10m", "7d"):
                        continue
                    key = (form.kind, _place(form.over, of), window)
                    yield (
                        (key if condition is None else (*key[:2], f"{window} {condition}")),
                        self._aggregate(group, form, of, window, condition),
                    )

    def _aggregate(
        self, group: Group, form: AggregateRow, of: str | None, window: str, condition: str | None
    ) -> CandidateFeature:
        entity, remembered = group.entity, form.kind in ("last", "since_last", "since_first")
        kind = form.kind if form.q is None else f"p{100 * form.q:.6g}"
        parts = [group.name, condition, kind, of, window if not (remembered and window == "ever") else None]
        before = not form.current and not remembered and form.over != "label"
        described = Described(
            kind=form.kind,
            entity=entity.name,
            keys=() if entity.roles else entity.fields,
            roles=dict(zip(entity.roles, entity.fields, strict=True)) if entity.roles else {},
            field=of,
            window=None if remembered and window == "ever" else window,
            delay=self.delay if form.over == "label" else None,
            where=self._limits[condition] if condition else None,
            current=not before,
            role=group.role,
            at=group.at,
            q=form.q,
        )
        name = "_".join(part for part in [*parts, "before" if before else None] if part)
        return CandidateFeature(name, described)

    def _over(self, group: Group, over: Over) -> Iterator[str | None]:
        amount = self.fields.amount
        if over in ("events", "label"):
            yield None
        elif over == "key":
            own = set(group.entity.fields)
            yield from (e.fields[0] for e in self.fields.keys if not e.roles and not own & set(e.fields))
        elif over == "number":
            yield from [name for name in self.fields.numbers if name != amount][:MOST_NUMBERS]
        elif amount is not None:
            yield self._field(over)

    def _field(self, over: Over) -> str | None:
        amount = self.fields.amount
        return None if amount is None else {"amount": amount, "logarithm": _LOG.format(amount)}.get(over)

    def _comparisons(self, group: Group, made: Mapping[tuple[str, str, str], CandidateFeature]) -> Iterator[CandidateFeature]:
        for comparison in COMPARISONS:
            for of in self._over(group, comparison.parts[0][1]):
                parts = [made.get((kind, _place(over, of), window)) for kind, over, window in comparison.parts]
                found = [part for part in parts if part is not None]
                if len(found) == len(parts):
                    names = [part.name for part in found]
                    sql = comparison.sql.format(*names, x=of)
                    yield _derived(f"{group.name}_{comparison.name.format(x=of)}", sql, *names)

    # ---- pairs

    def _pairs(self, singles: Sequence[Group]) -> Iterator[Group]:
        """Keys of two things that come again together: two keys, a key in a category, at an hour of day, in a region."""
        others = [*self.fields.categories, _HOUR_BAND, *([_REGION] if self.fields.place else [])]
        single = [group.entity.fields[0] for group in singles if len(group.entity.fields) == 1]
        pairs = [(one, other) for one in single for other in others if one != other]
        pairs += [(one, other) for at, one in enumerate(single) for other in single[at + 1 :]]
        for one, other in dict.fromkeys(pairs):
            if other in (_HOUR_BAND, _REGION) or self._come_again(one, other):
                name = "_".join(each.removesuffix("_id") for each in (one, other))
                yield Group(self._entity((one, other), name), name, pair=(one, other))

    def _come_again(self, one: str, other: str) -> bool:
        if one not in self.frame.columns or other not in self.frame.columns:
            return True  # a derived key: what it holds is not known before a replay
        both = self.frame.select(one, other).drop_nulls()
        return len(both) > 0 and len(both) >= REPEATS * both.n_unique()


def _groups_of(entity: Entity, alone: Collection[tuple[str, ...]]) -> Iterator[Group]:
    """An entity without roles, or for each role in which an event has its key, the events in each role.

    alone: keys that are entities of their own, so that the events in the same role are counted there.
    """
    if not entity.roles:
        yield Group(entity, entity.name)
    for at, field_ in zip(entity.roles, entity.fields, strict=True) if entity.roles else ():
        for role in entity.roles:
            if role != at:
                yield Group(entity, f"{at}_as_{role}", at, role)
            elif (field_,) not in alone:
                yield Group(entity, at, at, role)


def _place(over: Over, of: str | None) -> str:
    """What comparisons find an aggregate of a field by: an amount may be a key, too."""
    return f"key {of}" if over == "key" else of or ""


def _derived(name: str, sql: str, *needs: str) -> CandidateFeature:
    return CandidateFeature(name, Described(derive=sql), needs)


def _rounded(value: float) -> str:
    """A limit in two digits, as a person would write it."""
    return f"{float(np.format_float_positional(value, precision=2, fractional=False)):g}"


def added_of(candidates: Iterable[CandidateFeature]) -> list[Added]:
    """Candidates as definitions."""
    return [Added(each.name, each.described) for each in candidates]


def closure(names: Iterable[str], known: Mapping[str, CandidateFeature]) -> list[CandidateFeature]:
    """These candidates and all that they read, each after what it reads."""
    found: dict[str, CandidateFeature] = {}

    def visit(name: str) -> None:
        if name in found or name not in known:
            return
        candidate = known[name]
        for other in (*candidate.needs, *candidate.described.keys, candidate.described.field or ""):
            if other != name:
                visit(other)
        found[name] = candidate

    for name in names:
        visit(name)
    return list(found.values())
