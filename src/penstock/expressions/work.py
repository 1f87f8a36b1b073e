"""A bound on the work of an expression's text functions for the longest accepted event, computed before any event.

The unit is one visit of a character, about a nanosecond. Every field declares, or is given, its longest text
(`penstock.ingest.field`), and no text function looks back, so the sum below is a bound. It measures no time, so all
processes and replays accept the same expressions.
"""

from collections.abc import Mapping

from penstock.expressions.tree import Call, Constant, Literal, Name, Node, only_in_python
from penstock.messages import Column, Type

MAX_WORK = 50_000_000
"""The most work for one event that the expressions of one program may be, in characters: those of 6,000 texts of 8 KB."""

_CUTS = frozenset({"LEFT", "RIGHT", "SUBSTR"})
"""Functions that look at the characters that they give, and at no others."""
_CASE_WORK = 16
"""To fold a letter's case by a table costs as much as to look at so many characters."""
_PLACES_TOGETHER = 8
"""So many characters of a pattern's part with _ are compared, at every place, for the price of looking at one."""


def work(node: Node, columns: Mapping[str, Column]) -> int:
    """The characters that the text functions of an expression look at, for texts as long as they may be."""
    if not isinstance(node, Call):
        return 0
    inside = sum(work(arg, columns) for arg in node.args)
    if not (only_in_python(node) or node.type is Type.TEXT):
        return inside
    if node.function.name in _CUTS:
        return inside + longest(node, columns)
    read = (arg for at, arg in enumerate(node.args) if not isinstance(node.function.parameter(at), Constant))
    return inside + _times(node) * sum(longest(arg, columns) for arg in read if arg.type is Type.TEXT)


def _times(call: Call) -> int:
    """How much one character costs."""
    if call.function.name not in ("LIKE", "ILIKE"):
        return 1
    pattern = call.args[1]
    assert isinstance(pattern, Literal)
    with_gaps = sum(len(part) for part in str(pattern.value).split("%") if "_" in part)
    return 1 + with_gaps // _PLACES_TOGETHER + (_CASE_WORK if call.function.name == "ILIKE" else 0)


def longest(node: Node, columns: Mapping[str, Column]) -> int:
    """The length of the longest text that an expression gives; a letter whose other case is several letters counts once."""
    if isinstance(node, Name):
        return columns[node.name].max_characters
    if isinstance(node, Literal):
        return len(node.value) if isinstance(node.value, str) else 0
    lengths = [longest(arg, columns) for arg in node.args if arg.type is Type.TEXT]
    name = node.function.name
    if name in ("||", "CONCAT"):
        return sum(lengths)
    count = node.args[-1]
    if name in ("LEFT", "RIGHT") or (name == "SUBSTR" and len(node.args) == 3):
        return (
            min(lengths[0], int(count.value)) if isinstance(count, Literal) and isinstance(count.value, float) else lengths[0]
        )
    return max(lengths, default=0)
