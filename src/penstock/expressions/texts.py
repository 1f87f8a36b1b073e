"""Text functions: computed in Python, once per micro-batch, before the machine runs.

Texts stand in `Batch.texts` for as long as something needs them; the machine sees only their codes. What a text
function gives becomes an auxiliary column that the machine can load.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import repeat

from penstock.errors import ExpressionError
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
