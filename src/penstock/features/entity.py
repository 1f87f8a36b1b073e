"""Declarations of entities and of aggregates over their events."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from penstock.clock import EVER_US, duration_us
from penstock.errors import DeclarationError, did_you_mean
from penstock.features.ratio import Ratio, trend
from penstock.features.vocabulary import (
    KINDS,
    LABELLED,
    LARGEST_DEGREE,
    LARGEST_MOST,
    LINKED,
    MAX_DEGREE,
    MOST,
    RANKED,
    REMEMBERED,
    RINGS,
    SCANNED,
    UNWINDOWED,
)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One declared feature: an aggregate over the earlier events of an entity's key."""

    entity: "Entity"
    kind: str
    field: str | None = None
    window: str = "ever"
    delay: str | None = None
    where: str | None = None
    current: bool = True
    of: tuple[type, ...] = ()
    role: str | None = None
    at: str | None = None
    by: str = "event"
    q: float | None = None
    most: int | None = None
    given_name: str | None = None
    links: tuple[str, ...] = ()
    max_degree: int = MAX_DEGREE

    def named(self, name: str) -> Self:
        """The same aggregate under another name."""
        if not name.isidentifier():
            raise DeclarationError(f"{name!r} cannot be a feature's name: use letters, digits and _, as in spent_today")
        return replace(self, given_name=name)

    def per(self, *names: str) -> "Aggregate":
        """The same aggregate over the events that also share the values of these fields.

        >>> Entity("customer_id").mean("amount", "30d").per("category").name
        'customer_category_mean_amount_30d'
        """
        return replace(self, entity=self.entity.with_fields(*names))

    def ratio_to(self, other: "Aggregate") -> Ratio:
        """The aggregate over another one, such as a customer's mean over that of its category."""
        return Ratio(self, other)

    def trend(self, window: str) -> Ratio:
        """The aggregate over the same one within a longer window; counts and sums are compared per unit of time."""
        if self.kind in UNWINDOWED:
            raise DeclarationError(f"feature {self.name}: {self.kind} has no trend; take an aggregate over a window, as mean")
        found = trend(self, window)
        _check(found.lower)
        return found

    @property
    def definition(self) -> tuple[object, ...]:
        """The aggregate without its name: aggregates with equal definitions have equal values."""
        entity, window, delay = (self.entity.fields, self.entity.roles), self.window_us, self.delay_us
        read = (self.field, self.links, self.max_degree, self.where, self.of, self.role, self.rank, self.values_read)
        return (entity, self.kind, window, delay, *read, self.current, self.at, self.by)

    @property
    def name(self) -> str:
        """The given name, or entity_aggregate[_field][_window][_delay].

        >>> Entity("terminal_id").count("7d", delay="7d").name
        'terminal_count_7d_delay_7d'
        """
        if self.given_name:
            return self.given_name
        rank = f"p{100 * self.q:.6g}" if isinstance(self.q, int | float) else "quantile"
        kind = self.kind.replace("quantile", rank)
        parts = [self.entity.name, kind, *self.links, self.field]
        if self.window != "ever" or self.kind not in REMEMBERED:
            parts.append(self.window)
        parts += [f"newest_{self.most}" if self.most else None]
        parts += [f"delay_{self.delay}" if self.delay else None, self.role]
        parts += [f"at_{self.at}" if self.at else None, "before" if not self.current and self.kind not in REMEMBERED else None]
        return "_".join(part for part in parts if part).replace(".", "_")

    @property
    def window_us(self) -> int:
        """Length of the window in microseconds; `EVER_US` where it has none."""
        return duration_us(self.window, what=f"feature {self.name}: window")

    @property
    def reach_us(self) -> int:
        """How far before an event it looks, in microseconds; a session has no limit."""
        return EVER_US if KINDS[self.kind].looks == "session" else self.window_us + self.delay_us

    @property
    def values_read(self) -> int:
        """The maximum of newest values of the window that are read; 0 for kinds of aggregates that read no single values."""
        return (self.most or MOST) if self.kind in SCANNED else 0

    @property
    def rank(self) -> int:
        """Which quantile it is, in millionths; 0 for other aggregates."""
        return round((self.q or 0) * 1_000_000) if self.kind != "median" else 500_000

    @property
    def delay_us(self) -> int:
        """How far before the event the window ends, in microseconds."""
        return duration_us(self.delay, what=f"feature {self.name}: delay") if self.delay else 0


class Linked(Aggregate):
    """How many other keys share values with a key, and features of these keys.

    >>> shared = Entity("customer_id").linked("device", window="30d")
    >>> shared.name, shared.known_frauds(delay="7d").name
    ('customer_linked_device_30d', 'customer_linked_frauds_device_30d_delay_7d')
    """

    __slots__ = ()

    def known_frauds(self, *, delay: str | None = None) -> "Linked":
        """How many of the other keys are known frauds: an event of theirs from before `delay` is labelled as fraud."""
        return self._of_them("linked_frauds", delay=delay)

    def share_of_frauds(self, *, delay: str | None = None) -> "Linked":
        """Known frauds / other keys; 0 if there are no others."""
        return self._of_them("linked_fraud_share", delay=delay)

    def amount(self, field: str) -> "Linked":
        """The exact sum of a number over the events of the other keys with these values within the window."""
        return self._of_them("linked_amount", field=field)

    def hubs(self) -> "Linked":
        """How many of the key's values are left out because more than `max_degree` other keys were seen with them."""
        return self._of_them("linked_hubs")

    def _of_them(self, kind: str, **options: str | None) -> "Linked":
        feature = replace(self, kind=kind, given_name=None, **options)  # type: ignore[arg-type]  # checked just below
        _check(feature)
        return feature


class Ring(Aggregate):
    """How many keys are connected with a key by chains of shared values, and features of these keys.

    >>> ring = Entity("customer_id").ring(["device", "ip"], window="30d")
    >>> ring.name, ring.distinct("device").name
    ('customer_ring_device_ip_30d', 'customer_ring_distinct_device_ip_device_30d')
    """

    __slots__ = ()

    def known_frauds(self, *, delay: str | None = None) -> "Ring":
        """How many keys of the ring are known frauds: an event of theirs from before `delay` is labelled as fraud."""
        return self._of_it("ring_frauds", delay=delay)

    def distinct(self, link: str) -> "Ring":
        """How many values of one of the links the ring has."""
        return self._of_it("ring_distinct", field=link)

    def age(self) -> "Ring":
        """Seconds since the first event that is in the ring."""
        return self._of_it("ring_age")

    def _of_it(self, kind: str, **options: str | None) -> "Ring":
        feature = replace(self, kind=kind, given_name=None, **options)  # type: ignore[arg-type]  # checked just below
        _check(feature)
        return feature


class Entity:
    """An entity: what a key identifies, such as a customer, card or device.

    One field, several fields together, or one thing in several roles:

    >>> Entity("customer_id").name
    'customer'
    >>> Entity("user_id", "merchant").name
    'user_merchant'
    >>> Entity("account", roles={"sent": "nameOrig", "received": "nameDest"}).fields
    ('nameOrig', 'nameDest')

    With roles, an aggregate counts the events in which the account had the given `role` (any, where it is left out)
    and is computed for the account that has the role `at` in this event: the first role declared, unless said.

    Every aggregate takes: `where`, an SQL condition over the event's own fields; `delay`, which moves the window back
    to (t - delay - window, t - delay]; `current=False`, which leaves the event itself out; `of`, informing event types
    to count instead of transactions.
    """

    def __init__(self, *fields: str, roles: Mapping[str, str] | None = None, name: str | None = None) -> None:
        if roles:
            if len(fields) > 1:
                raise DeclarationError(f"Entity{fields}: with roles=..., give the entity's name and nothing else")
            self.roles = tuple(roles)
            self.fields: tuple[str, ...] = tuple(roles.values())
            self.name = name or (fields[0] if fields else "_".join(self.fields))
        else:
            if not fields:
                raise DeclarationError("Entity() needs the field (or fields) that hold its key, as in Entity('customer_id')")
            self.roles = ()
            self.fields = fields
            self.name = name or "_".join(field.removesuffix("_id") for field in fields)

    def __repr__(self) -> str:
        return f"Entity({self.name})"

    @property
    def keys(self) -> tuple[tuple[str, ...], ...]:
        """The key fields of each role: one tuple where the entity has no roles."""
        return tuple((field,) for field in self.fields) if self.roles else (self.fields,)

    def with_fields(self, *fields: str) -> "Entity":
        """The entity whose keys are made of these fields, too.

        Raises:
            DeclarationError: it has roles, or a field already.
        """
        known = [name for name in fields if name in self.fields]
        if self.roles or known or not fields:
            why = "it has roles" if self.roles else f"its key has {known[0]!r} already" if known else "no field is named"
            raise DeclarationError(f"{self.name} cannot be split by {', '.join(fields) or 'nothing'}: {why}")
        return Entity(*self.fields, *fields, name="_".join([self.name, *(field.removesuffix("_id") for field in fields)]))

    def count(self, window: str, **options: object) -> Aggregate:
        """How many events."""
        return self._aggregate("count", None, window, options)

    def sum(self, field: str, window: str, **options: object) -> Aggregate:
        """The exact sum of a number; 0 over nothing."""
        return self._aggregate("sum", field, window, options)

    def mean(self, field: str, window: str, **options: object) -> Aggregate:
        """The mean of a number; null over nothing."""
        return self._aggregate("mean", field, window, options)

    def std(self, field: str, window: str, **options: object) -> Aggregate:
        """The sample standard deviation; null below two values."""
        return self._aggregate("std", field, window, options)

    def min(self, field: str, window: str, **options: object) -> Aggregate:
        """The smallest value; null over nothing."""
        return self._aggregate("min", field, window, options)

    def max(self, field: str, window: str, **options: object) -> Aggregate:
        """The largest value; null over nothing."""
        return self._aggregate("max", field, window, options)

    def median(self, field: str, window: str, **options: object) -> Aggregate:
        """The middle value, or the mean of the two in the middle; null over nothing."""
        return self._aggregate("median", field, window, options)

    def quantile(self, field: str, window: str, q: float, **options: object) -> Aggregate:
        """The value below which a share q of the values lies, on the line between two of them; null over nothing."""
        return self._aggregate("quantile", field, window, {"q": q, **options})

    def approx_quantile(self, field: str, window: str, q: float, **options: object) -> Aggregate:
        """A quantile of all values of the window, however many, to 1/64 of it; null over nothing. A key takes 17 KB."""
        return self._aggregate("approx_quantile", field, window, {"q": q, **options})

    def distinct(self, field: str, window: str, **options: object) -> Aggregate:
        """How many different values."""
        return self._aggregate("distinct", field, window, options)

    def mode(self, field: str, window: str, **options: object) -> Aggregate:
        """The most frequent value, of several the one seen last; null over nothing."""
        return self._aggregate("mode", field, window, options)

    def share_of_top(self, field: str, window: str, **options: object) -> Aggregate:
        """The share of the most frequent value, from 0 to 1; null over nothing."""
        return self._aggregate("share_of_top", field, window, options)

    def entropy(self, field: str, window: str, **options: object) -> Aggregate:
        """How evenly the values are spread, in bits: 0 where all are equal; null over nothing."""
        return self._aggregate("entropy", field, window, options)

    def session_count(self, gap: str, **options: object) -> Aggregate:
        """How many events the current session has: those since the latest pause longer than the gap."""
        return self._aggregate("session_count", None, gap, options)

    def session_sum(self, field: str, gap: str, **options: object) -> Aggregate:
        """The exact sum of a number over the current session; 0 over nothing."""
        return self._aggregate("session_sum", field, gap, options)

    def session_duration(self, gap: str, **options: object) -> Aggregate:
        """Seconds since the first event of the current session; null without one."""
        return self._aggregate("session_duration", None, gap, options)

    def label_count(self, window: str, **options: object) -> Aggregate:
        """Known frauds among the events of the window; with by="known", frauds that became known within it."""
        return self._aggregate("label_count", None, window, options)

    def label_rate(self, window: str, **options: object) -> Aggregate:
        """Known frauds / events of the window; 0 for an empty one."""
        return self._aggregate("label_rate", None, window, options)

    def last(self, field: str, within: str = "ever", **options: object) -> Aggregate:
        """The value at the latest earlier event that has one; null after `within`."""
        return self._aggregate("last", field, within, options)

    def first(self, field: str, **options: object) -> Aggregate:
        """The value at the first event that had one."""
        return self._aggregate("first", field, "ever", options)

    def since_last(self, within: str = "ever", **options: object) -> Aggregate:
        """Seconds since the latest earlier event; null at the first, and after `within`."""
        return self._aggregate("since_last", None, within, options)

    def since_first(self, **options: object) -> Aggregate:
        """Seconds since the first event; null at the first."""
        return self._aggregate("since_first", None, "ever", options)

    def linked(self, links: str | Sequence[str], window: str, **options: object) -> Linked:
        """How many other keys were seen within the window with a value of `links` that this key was seen with.

        links: one field, such as the device, or several. max_degree (50): a value with which more others were seen is left out.
        where, of: which events link; delay is an option of `known_frauds` and `share_of_frauds`.
        """
        fields = (links,) if isinstance(links, str) else tuple(links)
        return self._aggregate("linked", None, window, {"links": fields, **options}, Linked)  # type: ignore[return-value]

    def ring(self, links: str | Sequence[str], window: str, **options: object) -> Ring:
        """How many keys, this one included, values of `links` connect with this key within one to two windows.

        max_degree (50): a value connects no more others than that; where, of: as of `linked`.
        """
        fields = (links,) if isinstance(links, str) else tuple(links)
        return self._aggregate("ring", None, window, {"links": fields, **options}, Ring)  # type: ignore[return-value]

    def aggregate(self, kind: str, field: str | None = None, window: str = "ever", **options: object) -> Aggregate:
        """The aggregate of this kind, one of `vocabulary.KINDS`, for callers with the kind as text."""
        if kind in LINKED:
            return self._aggregate(kind, field, window, options, Ring if kind in RINGS else Linked)
        return self._aggregate(kind, field, window, options)

    def _aggregate(
        self, kind: str, field: str | None, window: str, options: dict[str, object], made: type[Aggregate] = Aggregate
    ) -> Aggregate:
        of = options.pop("of", ())
        options["of"] = of if isinstance(of, tuple) else (of,)
        known = {"where", "delay", "current", "of", "role", "at", *(("links", "max_degree") if kind in LINKED else ("by",))}
        known |= {"q", "most"} if kind in SCANNED else {"q"} if kind in RANKED else set()
        if unknown := options.keys() - known:
            name = min(unknown)
            raise DeclarationError(f"{self.name}.{kind}(...): there is no option {name!r}.{did_you_mean(name, known)}")
        feature = made(self, kind, field, window, **options)  # type: ignore[arg-type]  # checked just below
        _check(feature)
        return feature


def _check(feature: Aggregate) -> None:
    """Refuse inconsistent arguments; those that depend on the event's fields are checked later."""
    place = f"feature {feature.name}"
    if feature.window_us <= 0:
        raise DeclarationError(f"{place}: a window of {feature.window!r} is empty; give at least a second, as in 1s")
    for option, role in (("role", feature.role), ("at", feature.at)):
        if role is not None and role not in feature.entity.roles:
            raise DeclarationError(
                f"{place}: {option}={role!r} is not a role of {feature.entity.name}.{did_you_mean(role, feature.entity.roles)}"
            )
    if feature.kind in LINKED:
        _check_links(feature, place)
    if feature.kind in UNWINDOWED and feature.delay:
        raise DeclarationError(f"{place}: {feature.kind} cannot be delayed; use a count or a rate with delay=...")
    if feature.by not in ("event", "known") or (feature.by == "known" and feature.kind != "label_count"):
        raise DeclarationError(f"{place}: by={feature.by!r} is not understood; label_count takes by='event' or by='known'")
    if feature.window_us == EVER_US and not KINDS[feature.kind].whole:
        what = "gap" if KINDS[feature.kind].looks == "session" else "window"
        raise DeclarationError(f"{place}: {feature.kind} needs a {what} with a length, as in 30d, not 'ever'")
    _check_scan(feature, place)


def _check_scan(feature: Aggregate, place: str) -> None:
    """Refuse a share or a number of values that cannot be read."""
    is_share = isinstance(feature.q, int | float) and 0 <= feature.q <= 1
    if (feature.kind in RANKED) != (feature.q is not None) or not (is_share or feature.q is None):
        raise DeclarationError(f"{place}: q={feature.q!r}: a quantile needs its share of the values, from 0 to 1, as in q=0.9")
    if feature.most is not None and not (isinstance(feature.most, int) and 1 <= feature.most <= LARGEST_MOST):
        remedy = "; approx_quantile takes all of them in" if feature.kind in ("median", "quantile") else ""
        raise DeclarationError(f"{place}: most={feature.most!r}: the newest 1 to {LARGEST_MOST:,} values can be read{remedy}")


def _check_links(feature: Aggregate, place: str) -> None:
    """Refuse links that cannot be followed."""
    if not feature.links or not all(isinstance(link, str) for link in feature.links):
        raise DeclarationError(f"{place}: name the fields whose values link keys, as in linked('device', window='30d')")
    if len(set(feature.links)) < len(feature.links):
        raise DeclarationError(f"{place}: a field is named twice among its links: {', '.join(feature.links)}")
    if set(feature.links) & set(feature.entity.fields):
        raise DeclarationError(f"{place}: {feature.entity.name} cannot be linked by its own key; name another field")
    if not isinstance(feature.max_degree, int) or not 1 <= feature.max_degree <= LARGEST_DEGREE:
        raise DeclarationError(f"{place}: max_degree={feature.max_degree!r} is not a whole number from 1 to {LARGEST_DEGREE}")
    if feature.delay and feature.kind not in LABELLED:
        raise DeclarationError(f"{place}: {feature.kind} cannot be delayed; give the delay to known_frauds or share_of_frauds")
    if feature.kind == "ring_distinct" and feature.field is not None and feature.field not in feature.links:
        raise DeclarationError(f"{place}: {feature.field!r} is no link of the ring; its links are {', '.join(feature.links)}")
    if (feature.field is not None) != (feature.kind in ("linked_amount", "ring_distinct")):
        words = "needs the field to add up or count" if feature.field is None else f"takes no field, but got {feature.field!r}"
        raise DeclarationError(f"{place}: {feature.kind} {words}")
    if feature.kind == "linked_amount" and len(feature.links) > 1:
        raise DeclarationError(
            f"{place}: over several links an event could be added up more than once; declare an amount for each of "
            f"{', '.join(feature.links)}"
        )
