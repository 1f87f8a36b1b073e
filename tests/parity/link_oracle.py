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
