"""Query parameters: unknown ones are refused, and errors are worded as those of refused events."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from penstock.errors import did_you_mean
from penstock.ingest.refusals import shown
from penstock.service.http.problems import RequestRefused

_TRUTHS = {"true": True, "1": True, "": True, "false": False, "0": False}
_SHOWN = 60

_EXPECTED = {
    "int_parsing": "a whole number",
    "float_parsing": "a number",
    "finite_number": "a number",
    "bool_parsing": "true or false",
    "less_than_equal": "at most {le}",
    "greater_than_equal": "at least {ge}",
    "less_than": "less than {lt}",
    "greater_than": "more than {gt}",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "string_too_long": "at most {max_length} characters",
    "string_too_short": "at least {min_length} characters",
    "string_pattern_mismatch": "text matching {pattern}",
}
"""What is expected, by the kind of an error of pydantic."""
_BOUNDS = frozenset({"less_than_equal", "greater_than_equal", "less_than", "greater_than"})


def refuse_unknown(query: bytes, known: Collection[str]) -> None:
    """Refuse a query with a parameter that the route does not have: a misspelt filter would answer another question.

    Raises:
        RequestRefused: 422, with the name that may be meant.

    >>> refuse_unknown(b"limit=2", {"limit", "from"})
    >>> refuse_unknown(b"form=2026", {"limit", "from"})
    Traceback (most recent call last):
        ...
    penstock.service.http.problems.RequestRefused: form is not a query parameter here. Did you mean from?
    """
    unknown = [name for name in parsed(query) if name not in known]
    if unknown:
        hints = {name: did_you_mean(name, known) or " There are none." for name in unknown[:20]}
        errors = [(name[:_SHOWN], f"{name[:_SHOWN]} is not a query parameter here.{hint}") for name, hint in hints.items()]
        raise RequestRefused(422, errors[0][1], errors)


def parsed(query: bytes) -> dict[str, str]:
    """The parameters of a query; of one that is repeated, the last."""
    return dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True)) if query else {}


def truth(given: Mapping[str, str], name: str) -> bool:
    """The value of a parameter that is true or false; false where it is not given.

    Raises:
        RequestRefused: 422, it is neither.
    """
    value = given.get(name, "false")
    if value.lower() not in _TRUTHS:
        raise RequestRefused(422, f"{name}={value[:40]!r}: true or false is expected", [(name, "true or false is expected")])
    return _TRUTHS[value.lower()]


def worded_errors(errors: Iterable[Mapping[str, Any]]) -> list[tuple[str | None, str]]:
    """The errors of pydantic about parameters, each with its parameter.

    >>> worded_errors([{"loc": ("query", "limit"), "type": "less_than_equal", "ctx": {"le": 1000}, "input": "5000"}])
    [('limit', 'limit is 5000; expected at most 1000')]
    """
    return [_worded(".".join(map(str, error["loc"][1:])) or None, error) for error in errors]


def _worded(name: str | None, error: Mapping[str, Any]) -> tuple[str | None, str]:
    if error["type"] == "missing":
        return name, f"{name} is missing"
    given, wanted = error.get("input"), _EXPECTED.get(error["type"])
    if wanted is None:
        return name, f"{name} is {shown(given)}: {error['msg']}"
    said = str(given)[:_SHOWN] if error["type"] in _BOUNDS else shown(given)
    return name, f"{name} is {said}; expected {wanted.format(**error.get('ctx', {}))}"
