"""A parsed and checked expression, and its parser."""

import functools
import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from penstock.errors import ExpressionError
from penstock.expressions.translate import Lists, Rename, to_sql
from penstock.expressions.tree import Call, Literal, Name, Node, only_in_python, walk
from penstock.expressions.work import longest
from penstock.messages import Column, Type

if TYPE_CHECKING:
    from sqlglot import exp

MAX_CHARACTERS = 4000
"""How long an expression may be."""

MAX_PARENTHESES = 32
"""How deep parentheses may be nested."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A checked condition or derived value.

    sql: its canonical text, which reads back as the same expression. type: of its value. names: the columns it reads.
    functions: the functions and operators in it. place: where it was declared, for errors.
    """

    sql: str
    type: Type
    names: frozenset[str]
    functions: frozenset[str]
    place: str
    root: Node

    @property
    def texts(self) -> frozenset[str]:
        """The columns whose text itself is read (by LIKE, LOWER, ...), not only compared: `Batch.texts` must hold them."""
        return frozenset(node.name for node in _read_as_text(self.root))

    @property
    def lists(self) -> frozenset[str]:
        """The lists that it uses."""
        return frozenset(_listed(self.root))

    def max_characters(self, columns: Mapping[str, Column]) -> int:
        """The length of the longest text that it can give, where it gives texts."""
        return longest(self.root, columns)

    def to_sql(self, dialect: str, rename: Rename | None = None, lists: Lists | None = None) -> str:
        """The same condition for duckdb, postgres or spark.

        Columns are expected as float64, BOOLEAN, text, and times: TIMESTAMP (UTC) or TIMESTAMPTZ in DuckDB, TIMESTAMPTZ in
        PostgreSQL, TIMESTAMP in Spark. `rename` maps a column to the SQL that stands for it; others are quoted. `lists` says
        which values are on each list that is asked.

        >>> parse("amount / usual > 3", {"amount": Type.NUMBER, "usual": Type.NUMBER}, place="rule").to_sql("duckdb")
        'CAST("amount" AS DOUBLE) / NULLIF("usual", 0) > 3'
        """
        return to_sql(self.root, dialect, rename, lists)


def _listed(root: Node) -> Iterator[str]:
    for node in walk(root):
        if isinstance(node, Call) and node.function.name == "IN LIST":
            name = node.args[1]
            assert isinstance(name, Literal)
            yield str(name.value)


def _read_as_text(node: Node, inside: bool = False) -> Iterator[Name]:
    if isinstance(node, Name) and inside and node.type is Type.TEXT:
        yield node
    if isinstance(node, Call):
        for arg in node.args:
            yield from _read_as_text(arg, inside or only_in_python(node))


def parse(
    sql: str, scope: Mapping[str, Type], *, place: str, expect: Type | None = None, lists: Collection[str] | None = None
) -> Expression:
    """Read and check an expression over the columns of `scope`.

    place: what the expression belongs to, as errors shall name it. expect: the type that it must have. lists: the names of
    the lists that it may ask, where it may ask any.

    >>> parse("amount > 2000 and hour(timestamp) < 6", {"amount": Type.NUMBER, "timestamp": Type.TIME}, place="rule").sql
    'amount > 2000 AND HOUR(timestamp) < 6'

    Raises:
        ExpressionError: naming the place, the text, the part of it that is wrong, and what to do.
    """
    from penstock.expressions.check import Checker

    checker = Checker(sql, scope, place, lists)
    try:
        root = checker.read(_syntax(sql, place))
    except RecursionError:
        checker.refuse("nested too deeply; derive parts of it as features of their own")
    root = checker.expect(root, expect)
    nodes = list(walk(root))
    return Expression(
        sql=to_sql(root, "penstock"),
        type=root.type or Type.BOOLEAN,
        names=frozenset(node.name for node in nodes if isinstance(node, Name)),
        functions=frozenset(node.function.name for node in nodes if isinstance(node, Call)),
        place=place,
        root=root,
    )


# ---------------------------------------------------------------- text to sqlglot's syntax tree


@functools.cache
def _dialect() -> Any:
    """The plain dialect of sqlglot, except that functions are left as written: which there are is our business."""
    from sqlglot.dialects.dialect import Dialect
    from sqlglot.parser import Parser

    logging.getLogger("sqlglot").setLevel(logging.ERROR)  # what it warns about is an error here, and said so
    parser = type("Parser", (Parser,), {"FUNCTIONS": {}, "FUNCTION_PARSERS": {}, "NO_PAREN_FUNCTIONS": {}})
    return type("Conditions", (Dialect,), {"Parser": parser})()


def _syntax(sql: str, place: str) -> "exp.Expression":
    from sqlglot import exp
    from sqlglot.errors import ParseError, TokenError

    _bound(sql, place)
    try:
        tokens = _dialect().tokenize(sql)
        _bound_tokens(tokens, sql, place)
        statements = _dialect().parser().parse_into(exp.Condition, tokens, sql)
    except (ParseError, TokenError) as error:
        raise ExpressionError(f"{place}: cannot be read{_where(error)} (in {sql!r})") from None
    if len(statements) != 1 or statements[0] is None:
        raise ExpressionError(f"{place}: there is no expression (in {sql!r})")
    return cast("exp.Expression", statements[0])


def _bound(sql: str, place: str) -> None:
    if not isinstance(sql, str) or not sql.strip():
        raise ExpressionError(f"{place}: an expression is a text such as 'amount > 2000', not {sql!r}")
    if len(sql) > MAX_CHARACTERS:
        raise ExpressionError(f"{place}: the expression has {len(sql)} characters; at most {MAX_CHARACTERS} are read")


def _bound_tokens(tokens: list[Any], sql: str, place: str) -> None:
    depth = 0
    for token in tokens:
        if token.text == ";" and token.token_type.name == "SEMICOLON":
            raise ExpressionError(f"{place}: one expression is expected, without a semicolon (in {sql!r})")
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth > MAX_PARENTHESES:
            raise ExpressionError(f"{place}: parentheses are nested deeper than {MAX_PARENTHESES} (in {sql[:80]!r}...)")


def _where(error: Exception) -> str:
    first: dict[str, Any] = next(iter(getattr(error, "errors", ())), {})
    if not first.get("highlight"):
        return ", a quote may not be closed"
    what = "something is missing here" if "missing" in first["description"] else "this is out of place"
    return f" at {first['highlight']!r}, character {first['col'] - len(first['highlight']) + 1}: {what}"
