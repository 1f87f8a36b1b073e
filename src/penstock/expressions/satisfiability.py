"""Satisfiability of conditions: whether one can ever be true, or ever be false, decided without events.

Each column, and each expression that is compared with constants, has finitely many *cells*: the constants it is compared
with, the gaps between them, and null. A comparison is a set of cells, kept as the bits of a number. A way for a condition to
come out is one set for each column; if some column is left with no cell, that way is closed. Two expressions that are
compared with each other have three cells and null: less, equal, greater. Any other condition is true, false or null.

Findings have no false positives. Not detected: dependencies between columns (a sum within an hour and one within a day),
ranges of features (a count below zero), arithmetic (`a + 1 > 2` and `a <= 1`), and conditions with more than `MOST_WAYS`
ways.
"""

import bisect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from penstock.expressions.compiler import folded
from penstock.expressions.translate import to_sql
from penstock.expressions.tree import Call, Literal, Node
from penstock.messages import Type

MOST_WAYS = 2_000
"""More ways than this are not followed."""

Ways = list[dict[str, int]]
"""Each way: the cells that are left to each column, by its text."""

_FLIPPED = {"<": ">", "<=": ">=", ">": "<", ">=": "<=", "=": "=", "<>": "<>"}
_TESTS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "<>": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}
_ORDERED = (-1.0, 0.0, 1.0)
_TRUE, _OTHERWISE, _FALSE, _NOT_FALSE = "true", "not true", "false", "not false"
_OPPOSITE = {_TRUE: _FALSE, _FALSE: _TRUE, _OTHERWISE: _NOT_FALSE, _NOT_FALSE: _OTHERWISE}
_OUTCOMES: Mapping[Any, Collection[str]] = {
    1.0: (_TRUE, _NOT_FALSE),
    0.0: (_FALSE, _OTHERWISE),
    None: (_OTHERWISE, _NOT_FALSE),
}
_ALL_OF = {("AND", _TRUE), ("AND", _NOT_FALSE), ("OR", _OTHERWISE), ("OR", _FALSE)}


class TooMany(Exception):
    """There are too many ways to follow; nothing is known."""


def can_be_true(condition: Node, *, known: Collection[str] | None = ()) -> bool:
    """Whether some event could make the condition true. known: columns that are never null; None means all.

    >>> from penstock.expressions import parse
    >>> can_be_true(parse("amount > 5 AND amount < 3", {"amount": Type.NUMBER}, place="rule").root)
    False

    Raises:
        TooMany: it cannot be told.
    """
    return _Cells([condition], known).any([(condition, _TRUE)])


def can_fail(condition: Node, *, known: Collection[str] | None = ()) -> bool:
    """Whether some event could make the condition false or null; see `can_be_true`."""
    return _Cells([condition], known).any([(condition, _OTHERWISE)])


def implies(narrow: Node, wide: Node, *, known: Collection[str] | None = ()) -> bool:
    """Whether `wide` is true wherever `narrow` is; see `can_be_true`."""
    return not _Cells([narrow, wide], known).any([(narrow, _TRUE), (wide, _OTHERWISE)])


class _Cells:
    """The cells of everything that some conditions compare."""

    def __init__(self, conditions: Sequence[Node], known: Collection[str] | None) -> None:
        self._known = None if known is None else frozenset(known)
        self._points: dict[str, list[Any]] = {}
        for condition in conditions:
            for subject, values in _compared(condition):
                points = self._points.setdefault(subject, [])
                for value in values:
                    at = bisect.bisect_left(points, value)
                    if points[at : at + 1] != [value]:
                        points.insert(at, value)

    def any(self, wanted: Iterable[tuple[Node, str]]) -> bool:
        """Whether there is a way in which each condition comes out as wanted."""
        return bool(_joined([self._ways(node, how) for node, how in wanted]))

    def _ways(self, node: Node, how: str) -> Ways:
        constant = folded(node)
        if constant is not None:
            return [{}] if how in _OUTCOMES[constant.value] else []
        if isinstance(node, Call):
            name = node.function.name
            if name in ("AND", "OR"):
                each = (self._ways(arg, how) for arg in node.args)
                return _joined(each) if (name, how) in _ALL_OF else [way for ways in each for way in ways]
            if name == "NOT":
                return self._ways(node.args[0], _OPPOSITE[how])
            if _is_true(node):
                return self._ways(node.args[0], {_FALSE: _OTHERWISE, _NOT_FALSE: _TRUE}.get(how, how))
        return self._atom(node, how)

    def _atom(self, node: Node, how: str) -> Ways:
        subject, test, plain = _atom(node)
        null = 0 if self._never_null(subject, plain) else 1
        yes = no = 0
        for place, cell in enumerate(self._cells(subject), 1):
            if test(*cell):
                yes |= 1 << place
            else:
                no |= 1 << place
        if isinstance(node, Call) and node.function.name in ("IS NULL", "IS NOT NULL"):
            yes, no, null = (null, yes | no, 0) if node.function.name == "IS NULL" else (yes | no, null, 0)
        mask = {_TRUE: yes, _FALSE: no, _OTHERWISE: no | null, _NOT_FALSE: yes | null}[how]
        return [{subject: mask}] if mask else []

    def _never_null(self, subject: str, plain: bool) -> bool:
        return self._known is None or (plain and subject.removesuffix(_DISCRETE) in self._known)

    def _cells(self, subject: str) -> Iterator[tuple[Any, Any]]:
        """The cells of a subject, each as the interval that it is: a point twice, or what lies below and above a gap."""
        points = self._points.get(subject, [])
        if subject.endswith(_DISCRETE):
            yield from ((value, value) for value in points)
            return
        below: Any = None
        for point in points:
            yield below, point
            yield point, point
            below = point
        yield below, None


_DISCRETE = "\x00"
"""What the text of a subject ends in whose values are all listed."""

_Test = Callable[[Any, Any], bool]


def _atom(node: Node) -> tuple[str, _Test, bool]:
    """The subject of an atom, the cells that make it true, and whether it is a plain column."""
    if not isinstance(node, Call):
        return _text(node) + _DISCRETE, lambda low, _high: low == 1.0, True
    name, args = node.function.name, node.args
    if name in ("IS NULL", "IS NOT NULL"):
        subject = _text(args[0]) + (_DISCRETE if args[0].type is Type.BOOLEAN else "")
        return subject, lambda _low, _high: True, _is_plain(args[0])
    if name in _TESTS:
        return _comparison(name, args)
    if name == "IN" and all(isinstance(arg, Literal) for arg in args[1:]):
        values = {arg.value for arg in args[1:] if isinstance(arg, Literal)}
        if None not in values:
            return _text(args[0]), lambda low, high: low == high and low in values, _is_plain(args[0])
    return _text(node) + _DISCRETE, lambda low, _high: low == 1.0, False


def _comparison(name: str, args: tuple[Node, ...]) -> tuple[str, _Test, bool]:
    left, right = args
    first, second = folded(left), folded(right)
    if second is None and first is not None:
        name, left, second = _FLIPPED[name], right, first
    if second is not None and second.value is not None:
        value = second.value
        if left.type is Type.BOOLEAN or _is_flag(left):
            left = left.args[0] if isinstance(left, Call) and _is_flag(left) else left
            return _text(left) + _DISCRETE, lambda low, _high: _TESTS[name](low, value), _is_plain(left)
        return _text(left), _interval(name, value), _is_plain(left)
    texts = sorted((_text(left), _text(right)))
    name = name if texts[0] == _text(left) else _FLIPPED[name]
    return f"{texts[0]} against {texts[1]}{_DISCRETE}", lambda low, _high: _TESTS[name](low, 0.0), False


def _interval(name: str, value: Any) -> _Test:
    """Whether a comparison with this value is true of a cell: of any number in a gap, since no gap holds the value."""

    def test(low: Any, high: Any) -> bool:
        if low == high and low is not None:
            return _TESTS[name](low, value)
        above = low is not None and low >= value
        return name == "<>" or (name in (">", ">=") if above else name in ("<", "<="))

    return test


def _compared(node: Node) -> Iterator[tuple[str, list[Any]]]:
    """The subject of each atom of a condition, and the values that matter."""
    if folded(node) is not None:
        return
    if isinstance(node, Call) and (node.function.name in ("AND", "OR", "NOT") or _is_true(node)):
        for arg in node.args:
            yield from _compared(arg)
        return
    subject = _atom(node)[0]
    if " against " in subject and subject.endswith(_DISCRETE):
        yield subject, list(_ORDERED)
    elif subject.endswith(_DISCRETE):
        yield subject, [0.0, 1.0]
    elif isinstance(node, Call):
        found = [folded(arg) for arg in (node.args[1:] if node.function.name == "IN" else node.args)]
        yield subject, [each.value for each in found if each is not None and each.value is not None]


def _is_true(node: Node) -> bool:
    """`condition IS TRUE`: null counts as false."""
    if not isinstance(node, Call) or node.function.name != "COALESCE" or len(node.args) != 2:
        return False
    return isinstance(node.args[1], Literal) and node.args[1].value == 0.0 and node.type is Type.BOOLEAN


def _is_flag(node: Node) -> bool:
    """A condition that stands where a number is expected: 0 or 1."""
    return isinstance(node, Call) and node.function.name == "AS_NUMBER"


def _is_plain(node: Node) -> bool:
    return not isinstance(node, Call | Literal)


def _text(node: Node) -> str:
    """The canonical text of a node; commutative operands are ordered."""
    if isinstance(node, Call) and node.function.name in ("AND", "OR", "=", "<>", "+", "*"):
        return f"{node.function.name}({', '.join(sorted(map(_text, node.args)))})"
    if isinstance(node, Call):
        return f"{node.function.name}({', '.join(map(_text, node.args))})"
    return to_sql(node, "penstock")


def _joined(each: Iterable[Ways]) -> Ways:
    """The ways in which all come out as wanted."""
    found: Ways = [{}]
    for ways in each:
        if len(found) * len(ways) > MOST_WAYS:
            raise TooMany
        found = [both for left, right in product(found, ways) if (both := _both(left, right)) is not None]
        if not found:
            break
    return found


def _both(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int] | None:
    both = dict(left)
    for subject, cells in right.items():
        both[subject] = both.get(subject, -1) & cells
        if not both[subject]:
            return None
    return both
