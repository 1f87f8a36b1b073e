"""Linked features from their definition: lists of all sightings by key and by value, filtered for each event."""

from dataclasses import dataclass, field

from penstock.features.entity import Aggregate


@dataclass
class Sighting:
    """A key that was seen with a value of a link."""

    link: tuple
    key: object
    value: object
    time: int
    values: dict


@dataclass
class LinkOracle:
    """Linked aggregates of one entity and role, computed from the definitions."""

    features: list[Aggregate]
    role: str | None
    transaction: type
    skew: int
    lateness: int
    seen: dict[tuple, list[Sighting]] = field(default_factory=dict)
    frauds: dict[object, list[int]] = field(default_factory=dict)

    def event(self, time, kind, keys, values, clock, keep=True) -> dict:
        """Features of one event, which then links its key with its values; keys: by role, under None where there are none."""
        now, own = max(time, clock - self.lateness), keys[self.role]
        sightings = self._sightings(time, kind, own, values)
        out = {}
        for f in self.features:
            at = f.at or self.role
            out[f.name] = self._value(f, keys[at], now, sightings if at == self.role else [])
        if keep and own is not None and time >= clock - self.lateness:
            for s in sightings:
                self.seen.setdefault((s.link, "key", s.key), []).append(s)
                self.seen.setdefault((s.link, "value", s.value), []).append(s)
        return out

    def label(self, key, time, change) -> None:
        """An event of a key becomes known to be fraud, or is no longer."""
        frauds = self.frauds.setdefault(key, [])
        if change > 0:
            frauds.append(time)
        elif time in frauds:
            frauds.remove(time)

    def _sightings(self, time, kind, key, values) -> list[Sighting]:
        found = {}
        for f in self.features:
            matches = kind in (f.of or (self.transaction,)) and (f.where is None or values.get(f"where:{f.where}") is True)
            for name in f.links:
                if matches and values[name] is not None:
                    found[_link(f, name)] = Sighting(_link(f, name), key, values[name], time, values)
        return [*found.values()]

    def _value(self, f: Aggregate, key, now: int, current: list[Sighting]):
        if key is None:
            return None
        low, high = now - f.window_us, now + self.skew
        others, hubs, total = set(), 0, 0
        for link in (_link(f, name) for name in f.links):
            own = {s.value for s in current if f.current and s.link == link}
            since = [s for s in self.seen.get((link, "key", key), ()) if s.time > low]
            values, met = own | {s.value for s in since}, own | {s.value for s in since if s.time <= high}
            if len(values) > f.max_degree:
                return None
            for value in values:
                of_others = [s for s in self.seen.get((link, "value", value), ()) if s.time > low and s.key != key]
                if len({s.key for s in of_others}) > f.max_degree:
                    hubs += 1
                elif value in met:
                    seen = [s for s in of_others if s.time <= high]
                    others |= {s.key for s in seen}
                    total += sum(round((s.values[f.field] or 0) * 1e6) for s in seen) if f.field else 0
        known = sum(min(self.frauds.get(other) or [now + 1]) <= now - f.delay_us for other in others)
        share = known / len(others) if others else 0.0
        answers = {"linked": len(others), "linked_frauds": known, "linked_fraud_share": share}
        return float((answers | {"linked_amount": total / 1e6, "linked_hubs": hubs})[f.kind])


def _link(f: Aggregate, name: str) -> tuple:
    return name, f.where, f.of, f.max_degree


# ---------------------------------------------------------------- rings

MOST_KEYS = 1000


@dataclass
class RingOracle:
    """Rings of one entity and role, from the definition: components are made anew for each question, as sets."""

    features: list[Aggregate]
    role: str | None
    transaction: type
    lateness: int
    log: list[tuple[int, int, object]] = field(default_factory=list)
    clock: int = 0

    def event(self, time, arrived, kind, keys, values, keep=True) -> dict:
        """Features of one event, which then links its key with its values."""
        counted, own = min(time, arrived), keys[self.role]
        self.clock = max(self.clock, counted)
        in_time = time >= self.clock - self.lateness
        out, links = {}, {}
        for f in self.features:
            matches = kind in (f.of or (self.transaction,)) and (f.where is None or values.get(f"where:{f.where}") is True)
            links[f.name] = (
                [(name, values[name]) for name in f.links if values[name] is not None] if matches and in_time else []
            )
            key, at = keys[f.at or self.role], f.at or self.role
            out[f.name] = self._value(f, key, links[f.name] if at == self.role and f.current else [], counted)
        if keep and own is not None:
            self.log.append((self.clock, counted, (own, links)))
        return out

    def label(self, key, time, change) -> None:
        """An event of a key becomes known to be fraud, or is no longer."""
        self.log.append((self.clock, time, (key, change)))

    def _value(self, f: Aggregate, key, current, counted) -> float | None:
        if key is None:
            return None
        start = (self.clock // f.window_us - 1) * f.window_us
        parts: list[set] = []
        joins: dict = {}
        frauds: dict = {}
        first: dict = {}
        for told, time, (who, what) in self.log:
            if time < start or told < start:
                continue
            if isinstance(what, dict):
                self._link(f, parts, joins, first, who, what[f.name], time)
            elif what > 0:
                frauds.setdefault(who, []).append(time)
                _part(parts, ("key", who))
            elif time in frauds.get(who, ()):
                frauds[who].remove(time)
        if counted >= start:
            self._link(f, parts, joins, first, key, current, counted)
        ring = _part(parts, ("key", key))
        known = sum(min(frauds.get(who) or [1 << 62]) <= self.clock - f.delay_us for kind, who in ring if kind == "key")
        since = min((first[node] for node in ring if node in first), default=self.clock)
        return {
            "ring": float(sum(kind == "key" for kind, _ in ring)),
            "ring_frauds": float(known),
            "ring_distinct": float(sum(kind == f.field for kind, _ in ring)),
            "ring_age": (self.clock - since) / 1e6,
        }[f.kind]

    def _link(self, f: Aggregate, parts, joins, first, key, values, time) -> None:
        for value in values:
            one, other = _part(parts, ("key", key)), _part(parts, value)
            if one is not other:
                keys = sum(kind == "key" for kind, _ in one | other)
                if joins.get(value, 0) > f.max_degree or keys > MOST_KEYS:
                    continue
                joins[value] = joins.get(value, 0) + 1
                parts[:] = [part for part in parts if part is not one and part is not other]
                parts.append(one | other)
            first[value] = min(first.get(value, time), time)


def _part(parts: list[set], node) -> set:
    for part in parts:
        if node in part:
            return part
    parts.append({node})
    return parts[-1]
