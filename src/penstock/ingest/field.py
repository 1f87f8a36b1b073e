"""One field of an event type: its declaration, and its decoding from JSON."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Annotated, Any, Literal, cast

import msgspec
from msgspec import NODEFAULT, UNSET, Meta, inspect

from penstock.errors import DeclarationError
from penstock.ingest.personal import TOKEN_LENGTH
from penstock.messages import MAX_TEXT, Type

WHOLE_LIMIT = 2**53 - 1
"""The largest whole number: up to here float64 holds every one."""
UNITS_LIMIT = 2**60
"""The largest other number, in units of its resolution: sums are 64-bit integers, and one value must not fill them."""
DEFAULT_SCALE = 1e6
"""Units per 1.0 where a number's field does not declare a resolution."""

MAX_TEXT_BYTES = MAX_TEXT
"""The longest text of a field that declares no `max_length`, in bytes of UTF-8."""

TIME_FORMS = "a time such as 2026-02-06T10:00:00Z, or seconds, milliseconds or microseconds since 1970 as a number"
"""What a time may be, in words."""

_REMEDIES = {
    "DecimalType": "declare a float; Annotated[float, Meta(extra={'scale': 1e-8})] keeps sums exact to 1e-8",
    "DateType": "declare a datetime; a date alone is read as its midnight",
    "UUIDType": "declare a str",
    "BytesType": "declare a str",
    "AnyType": "declare str, int, float, bool or datetime",
    "ListType": "send its length or its parts as fields of their own",
    "StructType": "send its parts as fields of their own",
    "DictType": "send its parts as fields of their own",
}


@dataclass(frozen=True, slots=True)
class Field:
    """A field as declared.

    name: as in JSON and in recorded files, and the name of its column. attribute: its name in Python. whole: only
    whole numbers. scale: units per 1.0 in sums. default: what stands in where the field is absent, or NODEFAULT.
    limits: the arguments of its `msgspec.Meta`. choices: the only texts allowed, where they are listed.
    """

    name: str
    attribute: str
    type: Type
    nullable: bool
    default: Any = NODEFAULT
    whole: bool = False
    scale: float = DEFAULT_SCALE
    limits: tuple[tuple[str, Any], ...] = ()
    choices: tuple[str, ...] | None = None
    personal: bool = False

    @property
    def needed(self) -> bool:
        """Whether an event without this field is refused."""
        return self.default is NODEFAULT

    @property
    def max_bytes(self) -> int | None:
        """The longest text, in bytes of UTF-8; None where the declaration limits its characters, or lists the texts."""
        limited = self.choices is not None or "max_length" in dict(self.limits)
        return None if limited or self.type is not Type.TEXT else MAX_TEXT_BYTES

    @property
    def max_characters(self) -> int:
        """The longest text of the column, in characters."""
        if self.personal:
            return TOKEN_LENGTH
        return max(map(len, self.choices), default=0) if self.choices else dict(self.limits).get("max_length", MAX_TEXT_BYTES)

    @property
    def bounds(self) -> dict[str, float]:
        """Limits of a number: the declared ones and those of the numbers themselves. NaN keeps to none."""
        largest: float = WHOLE_LIMIT if self.whole else min(UNITS_LIMIT / self.scale, 1e300)
        bounds = {name: value for name, value in self.limits if name in {"ge", "gt", "le", "lt", "multiple_of"}}
        if max(bounds.get("ge", -math.inf), bounds.get("gt", -math.inf)) < -largest:
            bounds.pop("gt", None)
            bounds["ge"] = -largest
        if min(bounds.get("le", math.inf), bounds.get("lt", math.inf)) > largest:
            bounds.pop("lt", None)
            bounds["le"] = largest
        return {name: float(value) for name, value in bounds.items()}

    def decoded(self, *, times: Any) -> Any:
        """The type as which msgspec reads this field; `times` is the type of times."""
        match self.type:
            case Type.TEXT if self.choices is not None:
                kind: Any = Literal[self.choices]
            case Type.TEXT if self.limits:
                kind = Annotated[str, Meta(**{"max_length": MAX_TEXT_BYTES, **dict(self.limits)})]  # before its pattern
            case Type.TEXT:
                kind = str | int  # a key sent as a number is the same key
            case Type.NUMBER:
                kind = Annotated[float, Meta(**cast("Any", self.bounds))]  # whole numbers too, so that 3.0 is one: see `Form`
            case Type.BOOLEAN:
                kind = bool
            case Type.TIME:
                kind = times
        return kind | None if self.nullable else kind

    @property
    def expected(self) -> str:
        """The accepted values, in words."""
        words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below", "multiple_of": "a multiple of"}
        if self.type is Type.NUMBER:
            limits = [f"{words[name]} {_plain(value)}" for name, value in self.limits]
            return " ".join(["a whole number" if self.whole else "a number", " and ".join(limits)]).strip()
        if self.type is Type.TIME:
            return TIME_FORMS
        if self.type is Type.BOOLEAN:
            return "true or false"
        if self.choices is not None:
            return "one of " + ", ".join(self.choices)
        words = {"min_length": "at least {} characters", "max_length": "at most {} characters", "pattern": "the form {}"}
        limits = [words[name].format(value) for name, value in self.limits]
        return " ".join(["text", *(["of", " and ".join(limits)] if limits else [])])


def _plain(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


# ---------------------------------------------------------------- reading declarations


def read_fields(struct: type[msgspec.Struct], known: Mapping[str, bool]) -> list[Field]:
    """The fields of a Struct in order; `known` lists the personal ones (others may be absent from it)."""
    info = inspect.type_info(struct)
    assert isinstance(info, inspect.StructType)
    if info.array_like:
        raise DeclarationError(f"{struct.__name__} is declared array_like; events are JSON objects, so leave that out")
    return [_read(struct, field, personal=known.get(field.encode_name, False)) for field in info.fields]


def _read(struct: type[msgspec.Struct], field: inspect.Field, *, personal: bool) -> Field:
    place = f"{struct.__name__}.{field.name}"
    kinds, nullable, extra = _alternatives(field.type)
    type_, whole, limits, choices = _merged(place, kinds)
    default = _default(field)
    scale = _scale(place, extra, whole=whole, number=type_ is Type.NUMBER)
    if personal and (type_ is not Type.TEXT or choices is not None):
        raise DeclarationError(
            f"{place} is personal but not free text; a personal field is replaced by a token: declare it as str"
        )
    if default is None and not nullable:
        raise DeclarationError(f"{place} has the default None but does not allow it; write '| None' after its type")
    return Field(field.encode_name, field.name, type_, nullable, default, whole, scale, limits, choices, personal)


def _alternatives(type_: inspect.Type) -> tuple[list[inspect.Type], bool, dict[str, Any]]:
    """The types of a union without None, whether None or UNSET is among them, and `Meta(extra=...)`."""
    extra: dict[str, Any] = {}
    while isinstance(type_, inspect.Metadata):
        extra.update(type_.extra or {})
        type_ = type_.type
    if not isinstance(type_, inspect.UnionType):
        return [type_], isinstance(type_, inspect.NoneType), extra
    kinds: list[inspect.Type] = []
    nullable = type_.includes_none
    for part in type_.types:
        inner, _, more = _alternatives(part)
        extra.update(more)
        kinds.extend(kind for kind in inner if not isinstance(kind, inspect.NoneType))
    return kinds, nullable, extra


_Merged = tuple[Type, bool, tuple[tuple[str, Any], ...], tuple[str, ...] | None]


def _merged(place: str, kinds: list[inspect.Type]) -> _Merged:
    """The one column type of a union's members: int | float is a number, str | int is text."""
    found = [_column(place, kind) for kind in kinds]
    types = {type_ for type_, *_ in found}
    if len(found) == 2 and types == {Type.TEXT, Type.NUMBER} and all(whole or t is Type.TEXT for t, whole, *_ in found):
        return next(entry for entry in found if entry[0] is Type.TEXT)
    if len(found) == 2 and types == {Type.NUMBER}:
        return Type.NUMBER, False, tuple(limit for entry in found for limit in entry[2]), None
    if len(found) != 1:
        names = ", ".join(type(kind).__name__.removesuffix("Type").lower() for kind in kinds) or "null"
        raise DeclarationError(f"{place} may hold several types ({names}); a column has one: str, int, float, bool or datetime")
    return found[0]


def _column(place: str, kind: inspect.Type) -> _Merged:
    match kind:
        case inspect.StrType():
            return Type.TEXT, False, _limits(kind, "min_length", "max_length", "pattern"), None
        case inspect.IntType() | inspect.FloatType():
            limits = _limits(kind, "ge", "gt", "le", "lt", "multiple_of")
            return Type.NUMBER, isinstance(kind, inspect.IntType), limits, None
        case inspect.BoolType():
            return Type.BOOLEAN, False, (), None
        case inspect.DateTimeType():
            return Type.TIME, False, (), None
        case inspect.LiteralType(values=values) if all(isinstance(value, str) for value in values):
            return Type.TEXT, False, (), tuple(str(value) for value in values)
        case inspect.EnumType(cls=cls) if all(isinstance(member.value, str) for member in cls):
            return Type.TEXT, False, (), tuple(member.value for member in cls)
    name = type(kind).__name__
    remedy = _REMEDIES.get(name, "declare str, int, float, bool, datetime, or a Literal or Enum of texts")
    raise DeclarationError(f"{place} is of a type that no column holds ({name.removesuffix('Type').lower()}); {remedy}")


def _limits(kind: Any, *names: str) -> tuple[tuple[str, Any], ...]:
    return tuple((name, getattr(kind, name)) for name in names if getattr(kind, name) is not None)


def _default(field: inspect.Field) -> Any:
    if field.default_factory is not NODEFAULT:
        return field.default_factory()
    if field.default is UNSET:
        return None
    if isinstance(field.default, Enum):
        return field.default.value
    return field.default


def _scale(place: str, extra: Mapping[str, Any], *, whole: bool, number: bool) -> float:
    """Units per 1.0, from `Meta(extra={"scale": resolution})`."""
    resolution = extra.get("scale")
    if resolution is None:
        return 1.0 if whole else DEFAULT_SCALE
    valid = isinstance(resolution, int | float) and 1e-15 <= resolution <= 1e15
    if not (number and valid):
        raise DeclarationError(
            f"{place}: scale {resolution!r} is not a resolution; give a number such as 0.01, on a numeric field"
        )
    units = 1 / resolution
    return float(round(units)) if units >= 1 else units
