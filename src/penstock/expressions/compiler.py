"""The compiler of expressions: to programs, within a bound of work, and to constants where they do not depend on the event."""

from collections.abc import Mapping, Sequence

from penstock.errors import DeclarationError, did_you_mean
from penstock.expressions.assembler import Assembly, value_of
from penstock.expressions.expression import Expression
from penstock.expressions.members import Members
from penstock.expressions.program import Program
from penstock.expressions.tree import Call, Literal, Node
from penstock.expressions.work import MAX_WORK, work
from penstock.messages import Column, Layout, Type

_TOLERATES_NULL = frozenset({"COALESCE", "NULLIF", "IF", "LEAST", "GREATEST", "CONCAT", "IS NULL", "IS NOT NULL", "AND", "OR"})
_DECISIVE = {"AND": 0.0, "OR": 1.0}


def assemble(items: Sequence[tuple[Expression, str]], layout: Layout, lists: Mapping[str, Members] | None = None) -> Program:
    """A program that computes each expression into the column named with it, in this order.

    An expression reads a column as the ones before it left it. lists: the contents of the lists that they use.

    Raises:
        DeclarationError: where a column is not in the layout, or is of another type, or where text functions could take long.
    """
    stages = [Assembly(layout)]
    looked_at = 0
    for expression, name in items:
        target = _target(expression, name, layout)
        looked_at += _check_work(expression, layout, looked_at)
        if expression.texts & {chosen.name for chosen in stages[-1].chosen}:
            stages.append(Assembly(layout))
        stages[-1].add(expression.root, expression.place, target)
    texts = frozenset[str]().union(*(expression.texts for expression, _ in items))
    return Program(tuple(stage.finished() for stage in stages), texts).with_lists(lists or {})


def _target(expression: Expression, name: str, layout: Layout) -> Column:
    for column in (name, *sorted(expression.names)):
        if column not in layout:
            raise DeclarationError(f"{expression.place}: no column {column!r}.{did_you_mean(column, layout)}")
    target = layout[name]
    if target.type is not expression.type:
        raise DeclarationError(
            f"{expression.place}: {expression.sql!r} is a {expression.type.value}, the column {name!r} a {target.type.value}"
        )
    return target


def _check_work(expression: Expression, columns: Mapping[str, Column], before: int = 0) -> int:
    """The work of one expression; raises if it exceeds the limit together with the work counted before.

    Raises:
        DeclarationError: naming the place, the work, the limit and the remedies.
    """
    own = work(expression.root, columns)
    if before + own > MAX_WORK:
        together = f", {before + own:,} with the expressions before it," if before else ""
        raise DeclarationError(
            f"{expression.place}: its text functions could look at {own:,} characters of one event{together} and at most "
            f"{MAX_WORK:,} are allowed; declare how long its texts are, as Annotated[str, Meta(max_length=200)], look at the "
            f"first characters alone, as LEFT({_first_text(expression, columns)}, 200), or write fewer text functions"
        )
    return own


def _first_text(expression: Expression, columns: Mapping[str, Column]) -> str:
    return max(sorted(expression.texts), key=lambda name: columns[name].max_characters, default="field")


# ---------------------------------------------------------------- constants


def constant_of(expression: Expression) -> Literal | None:
    """The value that the expression has for every event, or None where it depends on the event.

    >>> from penstock.expressions import parse
    >>> constant_of(parse("amount > 5 AND 1 = 2", {"amount": Type.NUMBER}, place="rule"))
    Literal(value=0.0, type=<Type.BOOLEAN: 'boolean'>)
    """
    return folded(expression.root)


def folded(node: Node) -> Literal | None:
    """The constant value of a part of an expression; None if it depends on the event."""
    if not isinstance(node, Call):
        return node if isinstance(node, Literal) else None
    if node.function.name == "IN LIST":
        return None
    args = [folded(arg) for arg in node.args]
    known = [arg for arg in args if arg is not None]
    name = node.function.name
    if name not in _TOLERATES_NULL and any(arg.value is None for arg in known):
        return Literal(None, node.type)
    if name in _DECISIVE and any(arg.value == _DECISIVE[name] for arg in known):
        return Literal(_DECISIVE[name], Type.BOOLEAN)
    if name == "IF" and args[0] is not None:
        return args[1] if args[0].value == 1.0 else args[2]
    return value_of(Call(node.function, tuple(known))) if len(known) == len(args) else None
