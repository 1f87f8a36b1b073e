"""The schemas of the API document, completed: what docstrings say of fields, formats of texts and numbers, and examples."""

import re
from collections.abc import Mapping
from inspect import cleandoc
from typing import Any

import msgspec

from penstock.service.http.operation import REFERENCE
from penstock.service.http.vocabulary import ENUMS, MEANINGS, OBJECTS, TIMES, VALUES

_CLAUSE = re.compile(r"(?:^|(?<=[.;] )|(?<=\n\n))((?:[a-z][a-z_0-9]*(?:, | and ))*[a-z][a-z_0-9]*): ")
"""The names at the beginning of a clause of a docstring: `since, until: the days that were read`."""
_SECTION = re.compile(r"^(?:Args|Attributes|Raises|Returns):$|^>>> ", re.MULTILINE)
_TEXTS = {"date-time": "2026-03-01T12:00:00Z", "date": "2026-03-01", "uri": "https://shop.example.com/penstock"}
_JSON_TYPES = {str: "string", float: "number", int: "integer", bool: "boolean", dict: "object", type(None): "null"}
_AGAIN: Any = object()
"""In place of an example that would contain itself."""


def paragraphs(docstring: str) -> str:
    """A docstring as text: paragraphs in one line each, without sections and examples.

    >>> paragraphs('''One thing,
    ...     or another.
    ...
    ...     Args:
    ...         x: no text of the API
    ...     ''')
    'One thing, or another.'
    """
    text = _SECTION.split(cleandoc(docstring), maxsplit=1)[0]
    return "\n\n".join(" ".join(each.split()) for each in text.split("\n\n")).strip()


def first_sentence(text: str) -> str:
    """The first sentence, without its full stop.

    >>> first_sentence("Take a case. It is held. ")
    'Take a case'
    """
    return re.split(r"\.(?:\s|$)", text, maxsplit=1)[0]


def clauses(text: str, fields: Mapping[str, Any]) -> tuple[str, dict[str, str]]:
    """The text about the whole, and what it says of single fields.

    >>> clauses("A bin. low, high: its ends; count: how many. More: none.", {"low": 1, "high": 1, "count": 1})
    ('A bin. More: none.', {'low': 'Its ends.', 'high': 'Its ends.', 'count': 'How many.'})
    """
    said: dict[str, str] = {}
    whole = ""
    begin, names = 0, list[str]()
    for found in [*_CLAUSE.finditer(text), None]:
        named = [] if found is None else re.split(r", | and ", found[1])
        if found is not None and not fields.keys() >= set(named):
            continue
        clause = text[begin : len(text) if found is None else found.start()].strip()
        if names:
            clause, stop, rest = _up_to_capital(clause)
            said |= dict.fromkeys(names, clause[:1].upper() + clause[1:].rstrip(".;") + stop)
            whole = f"{whole} {rest}".rstrip()
        else:
            whole += clause
        begin, names = (0, []) if found is None else (found.end(), named)
    return whole.strip(), said


def _up_to_capital(clause: str) -> tuple[str, str, str]:
    """A clause about fields ends where a sentence with a capital letter begins, which is about the whole again."""
    ends = re.search(r"\. (?=[A-Z])", clause)
    return (clause, ".", "") if ends is None else (clause[: ends.start()], ".", clause[ends.end() :])


def complete(components: dict[str, Any]) -> None:
    """Describe every schema and each of its fields, and say which texts are instants or one of few words."""
    for struct, schema in components.items():
        fields = schema.get("properties", {})
        whole, said = clauses(paragraphs(schema.get("description", "")), fields)
        schema["description"] = OBJECTS[struct][0] if struct in OBJECTS else whole or f"{struct}."
        for name, field in fields.items():
            within = (each["description"] for each in field.get("anyOf", ()) if "description" in each)
            if f"{struct}.{name}" in MEANINGS or "description" not in field:
                field["description"] = meaning(name, struct, said.get(name) or next(within, None))
            if field.get("default", "") is None:
                del field["default"]  # of an optional field it says nothing, and generators of clients stumble over it
            _refine(name, field)


def meaning(name: str, owner: str, said: str | None = None) -> str:
    """What a name means: what is known of it for this owner, else what was said with it, else what it means everywhere."""
    return MEANINGS.get(f"{owner}.{name}") or said or MEANINGS.get(name) or f"The field `{name}`."


def _refine(name: str, schema: dict[str, Any]) -> None:
    """Formats and the words of open texts, of a schema and of its parts."""
    kind = schema.get("type")
    if kind == "integer":
        schema.setdefault("format", "int64")
    elif kind == "number":
        schema.setdefault("format", "double")
    elif kind == "string" and "enum" not in schema and "format" not in schema:
        if name in ENUMS:
            schema["enum"] = list(ENUMS[name])
        elif name in TIMES or name.endswith("_at"):
            schema["format"] = "date-time"
        elif name == "url":
            schema["format"] = "uri"
    elif kind is None and "enum" in schema:
        schema["type"] = "string" if all(isinstance(each, str) for each in schema["enum"]) else "integer"
    options = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    among = name if len(options) < 2 else ""  # a text beside numbers stays a text: generated clients could not tell them apart
    for part in (schema.get("items"), schema.get("additionalProperties"), *options, *schema.get("prefixItems", ())):
        if isinstance(part, dict):
            _refine(among, part)


class Examples:
    """Makes examples of the schemas of one document."""

    def __init__(self, components: Mapping[str, Any]) -> None:
        self._components = components

    def of(self, schema: Mapping[str, Any], *, sent: bool) -> Any:
        """An example of a body. sent: of a request, which leaves out what need not be sent."""
        return self._of(schema, "", "", (), sent=sent)

    def _of(self, schema: Mapping[str, Any], name: str, owner: str, within: tuple[str, ...], *, sent: bool) -> Any:
        for known in (f"{owner}.{name}", name):
            if known in VALUES and _fits(VALUES[known], schema):
                return VALUES[known]
        if (default := schema.get("default")) is not None:
            return default
        if "$ref" in schema:
            return self._struct(schema["$ref"].removeprefix(REFERENCE.format(name="")), within, sent=sent)
        if "anyOf" in schema:
            options = [each for each in schema["anyOf"] if each.get("type") != "null"]
            found = self._of(options[0], name, owner, within, sent=sent)
            return None if found is _AGAIN and len(options) < len(schema["anyOf"]) else found
        if "enum" in schema:
            return schema["enum"][0]
        match schema.get("type"):
            case "array":
                parts = schema.get("prefixItems") or [schema.get("items", {})]
                each = [self._of(part, name, owner, within, sent=sent) for part in parts]
                return [] if _AGAIN in each else each
            case "object":
                values = schema.get("additionalProperties")
                found = self._of(values, "value", "", within, sent=sent) if isinstance(values, dict) else 249.9
                return {} if found is _AGAIN else {"amount": found}
            case _:
                return _scalar(schema, name)

    def _struct(self, struct: str, within: tuple[str, ...], *, sent: bool) -> Any:
        if struct in within:
            return _AGAIN
        if struct in OBJECTS:
            return OBJECTS[struct][1]
        schema = self._components[struct]
        if "properties" not in schema:
            return self._of(schema, "", struct, (*within, struct), sent=sent)
        fields, required = schema["properties"], schema.get("required", ())
        if sent:
            needed = {name: each for name, each in fields.items() if name in required or f"{struct}.{name}" in VALUES}
            fields = needed or {name: each for name, each in fields.items() if name in VALUES} or fields
        found = {name: self._of(each, name, struct, (*within, struct), sent=sent) for name, each in fields.items()}
        return {name: each for name, each in found.items() if each is not _AGAIN}


def _fits(value: Any, schema: Mapping[str, Any]) -> bool:
    """Whether a value of the vocabulary is of the type that a schema asks for."""
    if "anyOf" in schema:
        return any(_fits(value, each) for each in schema["anyOf"])
    if "enum" in schema:
        return value in schema["enum"]
    if isinstance(value, list):
        return schema.get("type") == "array" and all(_fits(each, schema["items"]) for each in value)
    return schema.get("type") == _JSON_TYPES[type(value)]


def _scalar(schema: Mapping[str, Any], name: str) -> Any:
    match schema.get("type"):
        case "string":
            text = _TEXTS.get(schema.get("format", ""), name or "text")
            return text.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")]
        case "boolean":
            return True
        case "null":
            return None
        case kind:
            low = schema.get("minimum", schema.get("exclusiveMinimum", 0))
            usual = low + 1 if kind == "integer" else low + 0.5
            return min(usual, schema.get("maximum", usual))


def line_of(value: Any) -> str:
    """A value as a line of NDJSON."""
    return msgspec.json.encode(value).decode() + "\n"
