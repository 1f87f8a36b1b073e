"""Constant folding: the value of an expression that does not depend on the event."""

from penstock.expressions.assembler import value_of
from penstock.expressions.expression import Expression
from penstock.expressions.tree import Call, Literal, Node
from penstock.messages import Type

_TOLERATES_NULL = frozenset({"COALESCE", "NULLIF", "IF", "LEAST", "GREATEST", "CONCAT", "IS NULL", "IS NOT NULL", "AND", "OR"})
_DECISIVE = {"AND": 0.0, "OR": 1.0}


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
