"""Text functions: computed in Python, once per micro-batch, before the machine runs.

Texts stand in `Batch.texts` for as long as something needs them; the machine sees only their codes. The result of a text
function becomes an auxiliary column that the machine can load.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import repeat

from penstock.errors import ExpressionError
from penstock.expressions.like import matcher, without_case
from penstock.expressions.tree import Call, Function, Literal, Name, Node

Texts = Mapping[str, Sequence[str | None]]
Values = list[object]
Column = Callable[[Texts, int], Values]
"""Gives the values of a node for the n rows of a batch; None is null."""


def column_of(node: Node, place: str) -> Column:
    """The function that computes a node made of texts (see `tree.runs_on_texts`)."""
    if isinstance(node, Literal):
        return lambda _, n: list(repeat(node.value, n))
    if isinstance(node, Name):
        return _field(node.name, place)
    return _applied(node.function, [column_of(arg, place) for arg in node.args])


def _field(name: str, place: str) -> Column:
    def column(texts: Texts, _: int) -> Values:
        if name not in texts:
            raise ExpressionError(
                f"{place}: the text of {name!r} is not at hand, only its code, which can be compared (=, <>, IN, IS NULL); "
                "use the field that it comes from for LIKE, LOWER and the like"
            )
        return list(texts[name])

    return column


def _applied(function: Function, args: Sequence[Column]) -> Column:
    compute = function.python
    assert compute is not None

    def column(texts: Texts, n: int) -> Values:
        rows = zip(*(arg(texts, n) for arg in args), strict=True)
        if function.python_nulls:
            return [compute(*row) for row in rows]
        return [None if None in row else compute(*row) for row in rows]

    return column


def texts_read(node: Node) -> frozenset[str]:
    """The columns whose texts a text function below this node reads."""
    if isinstance(node, Name):
        return frozenset({node.name})
    return frozenset().union(*map(texts_read, node.args)) if isinstance(node, Call) else frozenset()


# ---------------------------------------------------------------- functions of one row

_matcher = lru_cache(maxsize=1024)(matcher)


def like(text: str, pattern: str) -> bool:
    """Whether the text fits the pattern: % stands for any text, _ for any one character."""
    return _matcher(pattern)(text)


def ilike(text: str, pattern: str) -> bool:
    """LIKE without regard to case."""
    return _matcher(without_case(pattern))(without_case(text))


def trim(text: str) -> str:
    """Without spaces (and spaces only) at either end."""
    return text.strip(" ")


def substr(text: str, start: float, length: float | None = None) -> str:
    """From a character on, counted from 1."""
    first = int(start) - 1
    return text[first:] if length is None else text[first : first + int(length)]


def left(text: str, count: float) -> str:
    """The first characters."""
    return text[: int(count)]


def right(text: str, count: float) -> str:
    """The last characters."""
    return text[-int(count) :] if count else ""


def split_part(text: str, separator: str, position: float) -> str:
    """The part between separators, counted from 1; empty past the last."""
    parts = text.split(separator)
    return parts[int(position) - 1] if position <= len(parts) else ""


def coalesce(*texts: str | None) -> str | None:
    """The first that is not null."""
    return next((text for text in texts if text is not None), None)


def nullif(text: str | None, other: str | None) -> str | None:
    """Null where both are equal."""
    return None if text == other else text


def concat(*texts: str | None) -> str:
    """Joined, nulls left out."""
    return "".join(text for text in texts if text is not None)
