"""Conditions as rows of column, operator and values, as forms show them: joined by AND or by OR, and nothing else."""

from collections.abc import Iterator
from typing import Literal as OneOf

import msgspec

from penstock.clock import from_us
from penstock.expressions.tree import Call, Literal, Name, Node
from penstock.messages import Type

Operator = OneOf[
    "=", "<>", "<", "<=", ">", ">=", "in", "not in", "in list", "not in list", "like", "not like",
    "true", "false", "known", "missing",
]  # fmt: skip

_FLIPPED: dict[str, Operator] = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
_AMONG: dict[str, Operator] = {"IN": "in", "IN LIST": "in list", "LIKE": "like"}
_NOT_AMONG: dict[str, Operator] = {"IN": "not in", "IN LIST": "not in list", "LIKE": "not like"}
_ALONE: dict[str, Operator] = {"NOT": "false", "IS NULL": "missing", "IS NOT NULL": "known"}


class Comparison(msgspec.Struct, frozen=True):
    """A row: a column, an operator, and the values that it takes: none, one, or several of `in`. Times are written in UTC;
    the value of `in list` is the name of the list.
    """

    column: str
    operator: Operator
    values: list[float | str]


class Comparisons(msgspec.Struct, frozen=True):
    """A condition that is nothing but rows; match: whether all of them must hold, or any."""

    match: OneOf["all", "any"]
    rows: list[Comparison]


def comparisons_of(condition: Node) -> Comparisons | None:
    """The rows that mean the same as a condition; None where it says more than rows can.

    >>> from penstock.expressions import parse
    >>> scope = {"amount": Type.NUMBER, "usual": Type.NUMBER, "night": Type.BOOLEAN}
    >>> comparisons_of(parse("night AND 900 < amount", scope, place="rule").root).rows[1]
    Comparison(column='amount', operator='>', values=[900.0])
    >>> comparisons_of(parse("amount > 3 * usual", scope, place="rule").root) is None
    True
    """
    joined = "OR" if isinstance(condition, Call) and condition.function.name == "OR" else "AND"
    rows = [_row(part) for part in _parts(condition, joined)]
    known = [row for row in rows if row is not None]
    return Comparisons("any" if joined == "OR" else "all", known) if len(known) == len(rows) else None


def _parts(node: Node, joined: str) -> Iterator[Node]:
    """What a chain of one connective joins, chains inside it included: BETWEEN is one."""
    if isinstance(node, Call) and node.function.name == joined:
        for arg in node.args:
            yield from _parts(arg, joined)
    else:
        yield node


def _row(node: Node) -> Comparison | None:
    if isinstance(node, Name):
        return Comparison(node.name, "true", [])
    if not isinstance(node, Call):
        return None
    name, first = node.function.name, node.args[0]
    if name == "NOT" and isinstance(first, Call):
        return _taking(_NOT_AMONG.get(first.function.name), first.args)
    if name in _ALONE:
        return Comparison(first.name, _ALONE[name], []) if isinstance(first, Name) else None
    if name in _FLIPPED:
        return _compared(name, *node.args)
    return _taking(_AMONG.get(name), node.args)


def _compared(symbol: str, left: Node, right: Node) -> Comparison | None:
    if isinstance(left, Literal):
        left, right, symbol = right, left, _FLIPPED[symbol]
    if isinstance(left, Name) and left.type is Type.BOOLEAN:
        return _whether(left, symbol, right)
    return _taking(_FLIPPED[_FLIPPED[symbol]], (left, right))


def _whether(column: Name, symbol: str, wanted: Node) -> Comparison | None:
    """A comparison with TRUE or FALSE."""
    if not isinstance(wanted, Literal) or wanted.value is None or symbol not in {"=", "<>"}:
        return None
    return Comparison(column.name, "true" if (wanted.value == 1.0) == (symbol == "=") else "false", [])


def _taking(operator: Operator | None, args: tuple[Node, ...]) -> Comparison | None:
    """A row of a column and constants; None where an argument is anything else."""
    column, *values = args
    if operator is None or not isinstance(column, Name):
        return None
    given = [_value(value) for value in values if isinstance(value, Literal)]
    known = [value for value in given if value is not None]
    return Comparison(column.name, operator, known) if len(known) == len(values) else None


def _value(literal: Literal) -> float | str | None:
    if literal.type is Type.TIME and literal.value is not None:
        return from_us(int(literal.value)).replace(tzinfo=None).isoformat(" ")
    return literal.value
