"""Feature definitions as data, for forms and the database, and their conversion to and from declared objects."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import msgspec

from penstock.clock import EVER_US
from penstock.decoding import prepared
from penstock.errors import DeclarationError, did_you_mean
from penstock.features.derive import Derived, derive
from penstock.features.entity import Aggregate, Entity
from penstock.features.vocabulary import KINDS, LINKED, MAX_DEGREE, OF_A_FIELD, REMEMBERED


class Described(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A feature: either `derive`, an SQL expression, or the `kind` of an aggregate of an `entity`.

    entity: the name of one that the detector has, or a new one over the fields `keys` (all of its key fields); roles: the
    fields of a new one by role, in place of those. window: of a session its gap. of: names of types of events, counted in
    place of transactions. The rest is as `Entity.count(...)` and its siblings take it.

    >>> spent = Described(kind="sum", entity="customer", field="amount", window="1d")
    >>> feature_of("spent", spent, {"customer": Entity("customer_id")}).window_us // 1_000_000
    86400
    """

    derive: str | None = None
    kind: str | None = None
    entity: str | None = None
    keys: tuple[str, ...] = ()
    roles: dict[str, str] = msgspec.field(default_factory=dict)
    field: str | None = None
    window: str | None = None
    delay: str | None = None
    where: str | None = None
    current: bool = True
    role: str | None = None
    at: str | None = None
    of: tuple[str, ...] = ()
    by: str = "event"
    links: tuple[str, ...] = ()
    max_degree: int = MAX_DEGREE
    q: float | None = None
    most: int | None = None


class Added(NamedTuple):
    """A feature that was made at run time."""

    name: str
    described: Described


def read_described(data: object, name: str) -> Described:
    """Read a feature from JSON.

    Raises:
        DeclarationError: it has another form.
    """
    _refuse_files(data, name)
    try:
        return msgspec.convert(data, prepared(Described))
    except msgspec.ValidationError as error:
        raise DeclarationError(f"feature {name!r} cannot be read: {error}") from None


def _refuse_files(data: object, name: str) -> None:
    """Raises where a lookup or a conversion is meant: each process would need the same file, which nothing hands round."""
    words = {*data, data.get("kind")} if isinstance(data, Mapping) else set()
    meant = next((what for word, what in _OF_FILES.items() if word in words), None)
    if meant is not None:
        raise DeclarationError(
            f"feature {name!r}: {meant} cannot be made at run time, for it reads a file that every process must have;"
            " put it into the detector's file and deploy that. What is made at run time may read it then"
        )


_OF_FILES = {
    "lookup": "a lookup",
    "ranges": "a lookup",
    "table": "a lookup",
    "money": "a conversion of money",
    "rates": "a conversion of money",
}
"""Words that a form says where it means a feature that reads a file."""


def to_plain(described: Described) -> dict[str, Any]:
    """A feature as JSON values, without defaults."""
    found: dict[str, Any] = msgspec.to_builtins(described)
    return found


def feature_of(
    name: str, described: Described, entities: Mapping[str, Entity], types: Mapping[str, type] = MappingProxyType({})
) -> Aggregate | Derived:
    """The declared object of a definition. entities, types (of events): the detector's, by name.

    Raises:
        DeclarationError: it has superfluous, missing or inconsistent parts.
    """
    place = f"feature {name!r}"
    if not name.isidentifier():
        raise DeclarationError(f"{name!r} cannot be a feature's name: use letters, digits and _, as in spent_today")
    if described.derive is not None:
        if described != Described(derive=described.derive):
            raise DeclarationError(f"{place}: an expression stands alone; leave out everything but derive")
        return derive(name, described.derive)
    if described.kind not in KINDS:
        words = (
            f"kind {described.kind!r} is not one of {', '.join(KINDS)}" if described.kind else "say its kind, or what to derive"
        )
        raise DeclarationError(f"{place}: {words}.{did_you_mean(described.kind or '', KINDS)}")
    if (described.field is not None) != (described.kind in OF_A_FIELD):
        words = "needs the field" if described.field is None else f"takes no field, but got {described.field!r}"
        raise DeclarationError(f"{place}: {described.kind} {words}")
    window = _window(described.kind, described.window, place)
    options: dict[str, object] = {"delay": described.delay, "where": described.where, "current": described.current}
    options |= {"role": described.role, "at": described.at, "of": _types(described, types, place)}
    options |= {name: value for name, value in (("q", described.q), ("most", described.most)) if value is not None}
    if described.kind in LINKED:
        options |= {"links": described.links, "max_degree": described.max_degree}
    elif described.links or described.max_degree != MAX_DEGREE:
        raise DeclarationError(f"{place}: {described.kind} takes no links; they belong to {', '.join(LINKED)}")
    else:
        options["by"] = described.by
    entity = _entity(described, entities, place)
    return entity.aggregate(described.kind, described.field, window, **options).named(name)


def describe(feature: Aggregate | Derived) -> Described:
    """A feature as data, with its entity's fields, so that it can be read alone."""
    if isinstance(feature, Derived):
        return Described(derive=feature.sql)
    entity = feature.entity
    return Described(
        kind=feature.kind,
        entity=entity.name,
        keys=() if entity.roles else entity.fields,
        roles=dict(zip(entity.roles, entity.fields, strict=True)) if entity.roles else {},
        field=feature.field,
        window=None if feature.window_us == EVER_US and feature.kind in REMEMBERED else feature.window,
        delay=feature.delay,
        where=feature.where,
        current=feature.current,
        role=feature.role,
        at=feature.at,
        of=tuple(each.__name__ for each in feature.of),
        by=feature.by,
        links=feature.links,
        max_degree=feature.max_degree,
        q=feature.q,
        most=feature.most,
    )


def _window(kind: str, window: str | None, place: str) -> str:
    looks = KINDS[kind].looks
    if window is None and kind not in REMEMBERED:
        what = "the gap that ends a session, as in 30m" if looks == "session" else "a window, as in 1h, 7d or ever"
        raise DeclarationError(f"{place}: {kind} needs {what}")
    if window is not None and looks == "back":
        raise DeclarationError(f"{place}: {kind} looks back for ever; leave out the window {window!r}")
    return window or "ever"


def _types(described: Described, types: Mapping[str, type], place: str) -> tuple[type, ...]:
    for name in described.of:
        if name not in types:
            known = ", ".join(types) or "none"
            raise DeclarationError(
                f"{place}: there is no type of event {name!r} to count; the detector has {known}.{did_you_mean(name, types)}"
                " A new type goes into informs=[...] of the detector's file"
            )
    return tuple(types[name] for name in described.of)


def _entity(described: Described, entities: Mapping[str, Entity], place: str) -> Entity:
    name = described.entity
    known = entities.get(name or "")
    keys, roles = described.keys, described.roles
    if known is not None and not (keys or roles):
        return known
    if keys and roles:
        raise DeclarationError(f"{place}: an entity has keys or roles, not both")
    if not (keys or roles):
        if name is None:
            known_ones = ", ".join(entities) or "none yet"
            raise DeclarationError(f"{place}: say of which entity: one of {known_ones}, or give the fields of its key (keys)")
        raise DeclarationError(
            f"{place}: there is no entity {name!r}.{did_you_mean(name, entities)} A new one needs keys, the fields of its key"
        )
    made = Entity(*keys, name=name) if keys else Entity(roles=roles, name=name)
    same = entities.get(made.name)
    if same is not None and (same.fields, same.roles) != (made.fields, made.roles):
        raise DeclarationError(
            f"{place}: entity {made.name!r} is keyed by {', '.join(same.fields)}; give the new one another name"
        )
    return same or made
