"""Parts of a decision: `fields` and `explain` of a query choose what is answered."""

from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import msgspec
from fastapi import Query

from penstock.errors import did_you_mean
from penstock.messages import Decision
from penstock.service.http.operation import REFERENCE, part_of, ref
from penstock.service.http.problems import RequestRefused

KEPT = frozenset({"transaction_id", "conflict"})
"""Fields that are always answered: whose decision it is."""

_EXPLAINING = frozenset({"explanation", "features", "scores"})
_KNOWN = frozenset(field.encode_name for field in msgspec.structs.fields(Decision)) | {"answered", "personal"}
_MOST = 64

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_encode = msgspec.json.Encoder().encode

FIELDS = "Only these fields of each decision, separated by commas, such as `decision,explanation.reasons`."
EXPLAIN = "Whether decisions have `explanation`, `features` and `scores`: nine tenths of their bytes."

Fields = Annotated[str | None, Query(description=FIELDS, max_length=2000, examples=["decision,fraud_probability"])]
Explain = Annotated[bool, Query(description=EXPLAIN)]


class Projection(NamedTuple):
    """The fields of decisions that a caller asks for. fields: by name, the names within it, none for all of it; empty for
    all fields. left_out: fields that are not answered.
    """

    fields: dict[str, list[str]]
    left_out: frozenset[str]

    def __call__(self, decision: bytes) -> bytes:
        """The decision with these fields alone.

        >>> whole = b'{"transaction_id":"tx1","decision":"BLOCK","explanation":{"decision_reason":"x","rules":[]}}'
        >>> projection("decision,explanation.rules")(whole)
        b'{"transaction_id":"tx1","decision":"BLOCK","explanation":{"rules":[]}}'
        >>> projection(None, explain=False)(whole)
        b'{"transaction_id":"tx1","decision":"BLOCK"}'
        """
        found: dict[str, Any] = _decode(decision)
        for name in list(found):
            if name in self.left_out or (self.fields and name not in self.fields and name not in KEPT):
                del found[name]
            elif inner := self.fields.get(name):
                found[name] = _within(found[name], inner)
        return _encode(found)


def projection(fields: str | None, *, explain: bool = True) -> Projection | None:
    """The projection that a query asks for; None for whole decisions.

    Raises:
        RequestRefused: 422, a decision has no such field.
    """
    if fields is None and explain:
        return None
    chosen: dict[str, list[str]] = {}
    for name in [each.strip() for each in (fields or "").split(",") if each.strip()][:_MOST]:
        outer, _, inner = name.partition(".")
        if outer not in _KNOWN:
            message = f"{name[:60]} is not a field of decisions.{did_you_mean(outer, _KNOWN)}"
            raise RequestRefused(422, message, [("fields", message)])
        chosen.setdefault(outer, []).append(inner)
    whole = {name: [] if "" in inner else inner for name, inner in chosen.items()}
    return Projection(whole, frozenset() if explain else _EXPLAINING - whole.keys())


def _within(value: msgspec.Raw, names: list[str]) -> Any:
    """The named members of an object; any other value as it is."""
    if bytes(value)[:1] != b"{":
        return value
    members = _decode(value)
    return {name: members[name] for name in names if name in members}


# ---------------------------------------------------------------- in the OpenAPI document


def describe_part(components: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Add the schema of what `fields` and `explain` leave of an answer; return the reference to it.

    Every field of a decision is optional then, except `KEPT`, and so are the fields of an object within it. An answer that
    contains decisions contains parts of them.

    components: schemas by name. schema: a reference to one of them.
    """
    whole = components[(name := _named(schema))]
    fields = whole["properties"]
    decision = fields.keys() <= _KNOWN
    part = {**whole, "title": part_of(name), "description": f"{name}: the fields that were asked for."}
    part["required"] = [each for each in whole.get("required", ()) if each in KEPT or not decision]
    part["properties"] = {
        each: _optional(components, field) if decision else _in_parts(components, field) for each, field in fields.items()
    }
    components[part_of(name)] = part
    return ref(part_of(name))


def _named(schema: Mapping[str, Any]) -> str:
    name: str = schema["$ref"].removeprefix(REFERENCE.format(name=""))
    return name


def _optional(components: dict[str, Any], field: dict[str, Any]) -> dict[str, Any]:
    """A field of a decision, whose own fields are optional where it is an object, or null."""
    if "anyOf" in field:
        return {**field, "anyOf": [_optional(components, each) for each in field["anyOf"]]}
    if "$ref" not in field:
        return field
    name = _named(field)
    components[part_of(name)] = {
        **{each: given for each, given in components[name].items() if each != "required"},
        "title": part_of(name),
        "description": f"{name}: the fields that were asked for.",
    }
    return {**field, **ref(part_of(name))}


def _in_parts(components: dict[str, Any], field: dict[str, Any]) -> dict[str, Any]:
    """A field that holds decisions, with parts of them."""
    if field.get("type") == "array" and "$ref" in field["items"]:
        return {**field, "items": describe_part(components, field["items"])}
    return field
