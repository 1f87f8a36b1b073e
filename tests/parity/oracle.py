"""The naive feature engine that the kernel is compared with: a list per key, filtered each time."""

import math
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from penstock.clock import EVER_US
from penstock.features.entity import Aggregate, Entity

SCALE = 1e6
LABEL_KNOWN = "label known"


@dataclass
class Entry:
    """One event in one key's list."""

    time: int
    sequence: int
    kind: object
    role: str | None
    values: dict
    nth: int = 0
    retired: bool = False
    frauds: int = 0


@dataclass
class Key:
    """What is known of one key."""

    entries: list[Entry] = field(default_factory=list)
    newest: int | None = None
    touched: int = 0
    lost_frauds: list[Entry] = field(default_factory=list)


class Oracle:
    """Features of one entity, computed from the definitions."""

    def __init__(self, entity: Entity, features: list[Aggregate], skew: int, lateness: int) -> None:
        self.entity, self.features, self.skew, self.lateness = entity, features, skew, lateness
        windows = [f for f in features if f.kind not in ("last", "first", "since_last", "since_first")]
        offsets = [f.delay_us + f.window_us for f in windows if f.window_us < EVER_US] + [f.delay_us for f in windows] + [0]
        self.retention = max(offsets) + lateness if max(offsets) else lateness - skew
        remembered = [f.window_us for f in features if f not in windows and f.window_us < EVER_US]
        self.horizon = max([self.retention, *(r + lateness for r in remembered)])
        self.forever = any(f.window_us == EVER_US for f in features)
        self.kinds = {kind for f in features for kind in self._kinds(f)}
        self.keys: dict[object, Key] = {}

    def event(self, time, sequence, kind, keys, values, clock, keep=True) -> dict:
        """Features of one event (null keys give null features), which then enters the lists."""
        roles = self.entity.roles or (None,)
        out = {}
        for f in self.features:
            key = keys[roles.index(f.at) if f.at else 0]
            if kind is None and key is not None:
                out[f.name] = self._value(f, self._awake(key, clock), time, values, f.at or roles[0])
        for i, (role, key) in enumerate(zip(roles, keys, strict=True)):
            if keep and key is not None and kind in self.kinds:
                self._awake(key, clock)
                state = self.keys.setdefault(key, Key())
                if state.newest is None or time >= state.newest - self.lateness:
                    entry = Entry(time, sequence, kind, role, values, list(keys[:i]).count(key))
                    self._insert(state, entry, clock)
        return out

    def label(self, time, sequence, kind, keys, values, change) -> None:
        """A label becomes known."""
        for i, key in enumerate(keys):
            state = self.keys.get(key)
            if key is None or state is None:
                continue
            nth = list(keys[:i]).count(key)
            retained = [e for e in state.entries if not e.retired]
            for entry in retained:
                if entry.sequence == sequence and entry.nth == nth:
                    entry.frauds += change
                    break
            else:
                if not retained or time <= state.newest - self.retention:
                    role = (self.entity.roles or (None,))[i]
                    state.lost_frauds.append(Entry(time, sequence, kind, role, values, nth, True, change))

    def _insert(self, state: Key, entry: Entry, clock: int) -> None:
        state.newest = entry.time if state.newest is None else max(state.newest, entry.time)
        state.touched = clock
        for old in state.entries:
            old.retired |= old.time <= state.newest - self.retention
        state.entries.append(entry)
        state.entries.sort(key=lambda e: e.time)  # stable: equal times stay in order of arrival

    def _awake(self, key, clock) -> Key:
        state = self.keys.get(key)
        if state is None:
            return Key()
        if clock - state.touched > self.horizon:
            if not self.forever:
                del self.keys[key]
                return Key()
            for entry in state.entries:
                entry.retired = True
        return state

    def _kinds(self, f: Aggregate):
        return {LABEL_KNOWN} if f.by == "known" else set(f.of) or {None}

    def _matches(self, f: Aggregate, entry: Entry) -> bool:
        ok = entry.kind in self._kinds(f) and f.role in (None, entry.role)
        return ok and (f.where is None or entry.values.get(f"where:{f.where}") is True)

    def _value(self, f: Aggregate, state: Key, time: int, values: dict, at: str | None):
        current = Entry(time, -1, None, at, values)
        matching = [e for e in state.entries if self._matches(f, e) and (f.field is None or e.values.get(f.field) is not None)]
        if f.kind in ("last", "since_last", "first", "since_first"):
            return self._remembered(f, matching, time)
        high = time - f.delay_us if f.delay_us else time + self.skew
        ever = f.window_us == EVER_US
        inside = [
            e
            for e in matching
            if (ever if e.retired else (ever or e.time > time - f.delay_us - f.window_us) and e.time <= high)
        ]
        if f.kind in ("label_count", "label_rate") and f.by == "event":
            lost = [e for e in state.lost_frauds if ever and self._matches(f, e)]
            frauds = sum(e.frauds for e in inside + lost)
        counted = (
            f.current and not f.delay_us and self._matches(f, current) and (f.field is None or values.get(f.field) is not None)
        )
        if counted:
            inside.append(current)
        n = len(inside)
        if f.kind == "count" or f.by == "known":
            return float(n)
        if f.kind == "label_count":
            return float(frauds)
        if f.kind == "label_rate":
            return frauds / n if n else 0.0
        if f.kind == "distinct":
            return float(len({e.values[f.field] for e in inside}))
        fixed = [int(np.rint(e.values[f.field] * SCALE)) for e in inside]
        return _aggregate(f.kind, fixed)

    def _remembered(self, f: Aggregate, matching: list[Entry], time: int):
        if f.kind in ("first", "since_first"):
            seen = matching[:1] if matching and (matching[0].retired or matching[0].time <= time + self.skew) else []
        else:
            seen = [e for e in matching if not e.retired and e.time <= time + self.skew] or [e for e in matching if e.retired]
        if not seen or seen[-1].time <= time - f.window_us:
            return None
        return seen[-1].values[f.field] if f.field else max(time - seen[-1].time, 0) / 1e6


def _aggregate(kind: str, fixed: list[int]):
    n, total = len(fixed), sum(fixed)
    if kind == "sum":
        return total / SCALE
    if n == 0:
        return None
    if kind == "mean":
        return float(total) / (n * SCALE)
    if kind == "min":
        return min(fixed) / SCALE
    if kind == "max":
        return max(fixed) / SCALE
    if n < 2:
        return None
    squares = float(Fraction(n * sum(v * v for v in fixed) - total * total))
    return math.sqrt(squares / float(n * (n - 1))) / SCALE
