"""The naive feature engine that the kernel is compared with: a list per key, filtered each time."""

import math
from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from penstock.clock import EVER_US
from penstock.features.entity import Aggregate, Entity
from penstock.features.vocabulary import SCANNED

SCALE = 1e6
LABEL_KNOWN = "label known"


@dataclass
class Entry:
    """One event in one key's list. retired: it left the ring, so that it is known only together with all that did."""

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
    """What is known of one key. newest: the newest event time, whatever the type of the event."""

    entries: list[Entry] = field(default_factory=list)
    newest: int | None = None
    touched: int = 0

    def retire(self, until: float) -> None:
        """What no feature can reach any more is held as a whole."""
        for entry in self.entries:
            entry.retired |= entry.time <= until


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
        self.kept_out: set[tuple[object, int]] = set()

    def event(self, time, sequence, kind, keys, values, clock, keep=True) -> dict:
        """Features of one event (null keys give null features), which then enters the lists.

        A label that became known is an event of its own kind at that time, with the sequence number of its event.
        """
        roles = self.entity.roles or (None,)
        out = {}
        for f in self.features:
            key = keys[roles.index(f.at) if f.at else 0]
            if kind is None and key is not None:
                out[f.name] = self._value(f, self._awake(key, clock), time, values, f.at or roles[0])
        for i, (role, key) in enumerate(zip(roles, keys, strict=True)):
            if not keep or key is None or (kind == LABEL_KNOWN and (key, sequence) in self.kept_out):
                continue
            self._awake(key, clock)
            state = self.keys.setdefault(key, Key())
            if state.newest is not None and time < state.newest - self.lateness:
                if kind != LABEL_KNOWN:
                    self.kept_out.add((key, sequence))
                continue
            if kind != LABEL_KNOWN:
                state.newest = time if state.newest is None else max(state.newest, time)
            state.touched = clock
            if kind in self.kinds:
                state.entries.append(Entry(time, sequence, kind, role, values, list(keys[:i]).count(key)))
                state.entries.sort(key=lambda e: e.time)  # stable: equal times stay in order of arrival
            if state.newest is not None:  # which may be the entry itself, if it is as late as an event may be
                state.retire(state.newest - self.retention)
        return out

    def label(self, sequence, keys, change) -> None:
        """A label becomes known: it marks its event wherever that is in state, and is nothing elsewhere."""
        for i, key in enumerate(keys):
            for entry in self.keys[key].entries if key in self.keys else ():
                if entry.kind != LABEL_KNOWN and (entry.sequence, entry.nth) == (sequence, list(keys[:i]).count(key)):
                    entry.frauds += change

    def _awake(self, key, clock) -> Key:
        state = self.keys.get(key)
        if state is None:
            return Key()
        if clock - state.touched > self.horizon:
            if not self.forever:
                del self.keys[key]
                return Key()
            state.retire(math.inf)
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
        if f.kind.startswith("session"):
            return self._session(f, state, matching, current if self._is_counted(f, current) else None, time)
        high = time - f.delay_us if f.delay_us else time + self.skew
        ever = f.window_us == EVER_US
        whole = [e.time for e in state.entries if e.retired]
        seen = (
            ever and max(whole, default=-math.inf) <= high
        )  # of what is held as a whole all, or nothing where a part is later
        low = -math.inf if ever else time - f.delay_us - f.window_us
        inside = [e for e in matching if (seen if e.retired else low < e.time <= high)]
        frauds = sum(e.frauds for e in inside)
        if self._is_counted(f, current):
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
        if f.kind in SCANNED:
            return _of_values(f, [e.values[f.field] for e in inside][-f.values_read :])
        if f.kind == "approx_quantile":
            return _middle(sorted(e.values[f.field] for e in inside)[(n - 1) * f.rank // 1_000_000]) if n else None
        if f.kind in ("min", "max"):
            return (min if f.kind == "min" else max)((e.values[f.field] for e in inside), default=None)
        fixed = [int(np.rint(e.values[f.field] * SCALE)) for e in inside]
        return _aggregate(f.kind, fixed)

    def _is_counted(self, f: Aggregate, current: Entry) -> bool:
        there = f.field is None or current.values.get(f.field) is not None
        return f.current and not f.delay_us and self._matches(f, current) and there

    def _session(self, f: Aggregate, state: Key, matching: list[Entry], current: Entry | None, time: int):
        """Backwards from the event, as long as no pause is longer than the gap."""
        newest_retired = max((e.time for e in state.entries if e.retired), default=-math.inf)
        earlier = [e for e in matching if e.time <= time + self.skew] if newest_retired <= time + self.skew else []
        run: list[Entry] = []
        while earlier and (run[0].time if run else time) - earlier[-1].time <= f.window_us:
            run.insert(0, earlier.pop())
        start = run[0].time if run else time
        run += [current] if current else []
        if f.kind == "session_count":
            return float(len(run))
        if f.kind == "session_sum":
            return sum(int(np.rint(e.values[f.field] * SCALE)) for e in run) / SCALE
        return max(time - start, 0) / 1e6 if run else None

    def _remembered(self, f: Aggregate, matching: list[Entry], time: int):
        if f.kind in ("first", "since_first"):
            seen = matching[:1]
        else:  # of what is held as a whole, the newest alone is known
            seen = [e for e in matching if e.retired][-1:] + [e for e in matching if not e.retired]
        seen = sorted((e for e in seen if e.time <= time + self.skew), key=lambda e: e.time)
        if not seen or seen[-1].time <= time - f.window_us:
            return None
        return seen[-1].values[f.field] if f.field else max(time - seen[-1].time, 0) / 1e6


def _of_values(f: Aggregate, values: list):
    """Of values in order of time."""
    if not values:
        return None
    frequencies = Counter(values)
    top = max(frequencies.values())
    if f.kind == "mode":
        return next(value for value in reversed(values) if frequencies[value] == top)
    if f.kind == "share_of_top":
        return top / len(values)
    if f.kind == "entropy":
        return (_logarithm(len(values)) - sum(_logarithm(n) for n in frequencies.values())) / (len(values) * 2.0**32)
    at = Fraction(f.rank, 1_000_000) * (len(values) - 1)
    lower, upper = sorted(values)[math.floor(at)], sorted(values)[math.ceil(at)]
    return lower + (upper - lower) * float(at - math.floor(at))


def _middle(value: float) -> float:
    """The middle of the bucket of a value, of which there are 32 from each power of two to the next."""
    if abs(value) < 2.0**-20:
        return 0.0
    fraction, exponent = math.frexp(abs(value))
    return math.copysign(math.ldexp(math.floor(64 * fraction) + 0.5, exponent - 6), value)


def _logarithm(n: int) -> int:
    """n * log2(n), where the logarithm is rounded down to 32 bits behind the point: n ** (2**32), one square after another."""
    power, bits = Fraction(n), 0
    while power >= 2:
        power, bits = power / 2, bits + 1
    for _ in range(32):
        power = Fraction(math.floor(power * power * 2**62), 2**62)
        bits = 2 * bits + (power >= 2)
        power = power / 2 if power >= 2 else power
    return n * bits


def _aggregate(kind: str, fixed: list[int]):
    n, total = len(fixed), sum(fixed)
    if kind == "sum":
        return total / SCALE
    if n == 0:
        return None
    if kind == "mean":
        return float(total) / (n * SCALE)
    if n < 2:
        return None
    squares = float(Fraction(n * sum(v * v for v in fixed) - total * total))
    return math.sqrt(squares / float(n * (n - 1))) / SCALE
