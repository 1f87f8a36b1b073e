"""The syntax tree of a checked expression: literals, names and function calls.

Operators are functions too. Every node knows its type; a bare NULL takes the type that its place asks for.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from penstock.messages import Type

ATOM = 9
"""The precedence of what never needs parentheses; operators are below."""


@dataclass(frozen=True, slots=True)
class Constant:
    """A parameter that has to be written out in the expression: its type, in words, and which values are allowed."""

    type: Type
    what: str
    allowed: Callable[[Any], bool]


@dataclass(frozen=True, slots=True, eq=False)
class Function:
    """One form of a function or operator: everything the checker, the machine and the translation know about it.

    name: as written, upper case. takes: the parameters; the last `optional` of them may be left out, and any number of
    further arguments of type `more` may follow. gives: the result. opcode: the machine's instruction by name, or None
    where only `python` computes it. python: a function of one row's texts; null in gives null out unless
    `python_nulls`. sql: a template by dialect ("*" for all others, "penstock" for the language itself); none is
    `NAME({0}, {1})`. precedence: of an operator. clock: reads the clock on the wall, so a zone may follow the time.
    defaults: values for arguments that the machine wants and the text leaves out.
    """

    name: str
    takes: tuple[Type | Constant, ...]
    gives: Type
    opcode: str | None
    meaning: str = ""
    sql: Mapping[str, str] | None = None
    python: Callable[..., Any] | None = None
    python_nulls: bool = False
    optional: int = 0
    more: Type | None = None
    precedence: int = ATOM
    clock: bool = False
    defaults: tuple[float, ...] = ()

    def parameter(self, position: int) -> Type | Constant:
        """The parameter for the argument at this position."""
        if position < len(self.takes):
            return self.takes[position]
        assert self.more is not None
        return self.more


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant: float, bool, text, microseconds for a time, or None for null (whose type may still be open)."""

    value: float | str | None
    type: Type | None


@dataclass(frozen=True, slots=True)
class Name:
    """A column of the layout."""

    name: str
    type: Type


@dataclass(frozen=True, slots=True)
class Call:
    """A function or operator with its arguments."""

    function: Function
    args: "tuple[Node, ...]"

    @property
    def type(self) -> Type:
        """The type of the result."""
        return self.function.gives


Node = Literal | Name | Call


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, parents first."""
    yield node
    if isinstance(node, Call):
        for arg in node.args:
            yield from walk(arg)


def runs_on_texts(node: Node) -> bool:
    """Whether the texts of fields alone give the texts of this node, so that a text function can take it."""
    if not isinstance(node, Call):
        return True
    return node.function.python is not None and all(map(runs_on_texts, node.args))


def only_in_python(node: Node) -> bool:
    """Whether this is a call that the machine cannot compute."""
    return isinstance(node, Call) and node.function.opcode is None and node.function.python is not None
