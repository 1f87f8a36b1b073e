"""Translation of expressions to SQL text, for databases with the history and for the canonical text."""

import functools
import re
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC

from penstock.clock import from_us
from penstock.errors import ExpressionError, did_you_mean
from penstock.expressions.functions import COMPARISON, SIGN
from penstock.expressions.templates import DIALECTS
from penstock.expressions.tree import ATOM, Call, Constant, Literal, Name, Node, walk
from penstock.messages import Type

Rename = Mapping[str, str]
"""Column name -> the SQL that stands for it."""

Lists = Mapping[str, Collection[str]]
"""Name of a list -> the values on it."""

LANGUAGE = "penstock"
_SQL_TYPES = {Type.NUMBER: "DOUBLE", Type.BOOLEAN: "BOOLEAN", Type.TEXT: "VARCHAR", Type.TIME: "TIMESTAMP"}
_OTHER_TYPES = {
    ("postgres", Type.NUMBER): "DOUBLE PRECISION",
    ("postgres", Type.TIME): "TIMESTAMPTZ",
    ("spark", Type.TEXT): "STRING",
}


class _Sql(str):
    """A piece of SQL with its precedence; in a template `{0:p}` adds parentheses around an operator."""

    __slots__ = ("binds",)
    binds: int

    def __new__(cls, text: str, binds: int = ATOM) -> "_Sql":
        piece = super().__new__(cls, text)
        piece.binds = binds
        return piece

    def __format__(self, spec: str) -> str:
        return self.wrapped(ATOM) if spec == "p" else str(self)

    def wrapped(self, least: int) -> str:
        """In parentheses unless it binds at least so tightly."""
        return str(self) if self.binds >= least else f"({self})"


def to_sql(node: Node, dialect: str, rename: Rename | None = None, lists: Lists | None = None) -> str:
    """The expression in a dialect: duckdb, postgres, spark, or penstock for the language itself."""
    if dialect not in (*DIALECTS, LANGUAGE):
        raise ExpressionError(f"no SQL dialect {dialect!r}.{did_you_mean(dialect, DIALECTS)}")
    return str(_Writer(dialect, rename or {}, lists or {}).write(node))


class _Writer:
    def __init__(self, dialect: str, rename: Rename, lists: Lists) -> None:
        self._dialect = dialect
        self._rename = rename
        self._lists = lists

    def write(self, node: Node, bare: bool = True) -> _Sql:
        """One node; a `bare` number may be written as whole number, others say that they are floats."""
        if isinstance(node, Literal):
            return self._literal(node, bare)
        if isinstance(node, Name):
            return _Sql(self._rename.get(node.name) or self._quoted(node.name))
        if self._dialect != LANGUAGE and _folds(node):
            from penstock.expressions.assembler import value_of  # compiles; most translations need it not

            return self._literal(value_of(node), bare)
        return self._call(node)

    def _call(self, call: Call) -> _Sql:
        function = call.function
        if function.name == "IN LIST" and self._dialect != LANGUAGE:
            return self._listed(call)
        bare = function.precedence < ATOM
        pieces = [self._argument(call, i, bare) for i in range(len(call.args))]
        pieces += [
            _Sql(f"{value:g}")
            for value in function.defaults[len(pieces) - len(function.takes) :]
            if len(pieces) < len(function.takes)
        ]
        if function.name in {"AND", "OR"}:
            text = f" {function.name} ".join(piece.wrapped(function.precedence + 1) for piece in pieces)
            return _Sql(text, function.precedence)
        return _Sql(self._filled(call, pieces), function.precedence)

    def _listed(self, call: Call) -> _Sql:
        """A list by its values; an empty one is false for known values."""
        asked, name = call.args
        assert isinstance(name, Literal)
        if name.value not in self._lists:
            raise ExpressionError(f"what is on the list {name.value!r} has to be given, for databases do not know it")
        text, values = self.write(asked).wrapped(ATOM), sorted(self._lists[str(name.value)])
        among = ", ".join(map(self._text, values))
        return _Sql(f"{text} IN ({among})" if values else f"{text} <> {text}", COMPARISON)

    def _filled(self, call: Call, pieces: Sequence[_Sql]) -> str:
        function = call.function
        template = (function.sql or {}).get(self._dialect) or (function.sql or {}).get("*")
        if template is None:
            return f"{function.name}({', '.join(pieces[: len(call.args)])})"
        if len(pieces) == 2 and function.precedence < ATOM:
            left = function.precedence + (function.precedence == COMPARISON)
            pieces = [_Sql(pieces[0].wrapped(left)), _Sql(pieces[1].wrapped(function.precedence + 1))]
        filled = ", ".join(f"COALESCE({piece}, '')" for piece in pieces)
        return template.format(*pieces, rest=", ".join(pieces[1:]), filled=filled)

    def _argument(self, call: Call, i: int, bare: bool) -> _Sql:
        arg = call.args[i]
        parameter = call.function.parameter(i)
        if isinstance(parameter, Constant) and isinstance(arg, Literal) and isinstance(arg.value, float):
            return _Sql(str(int(arg.value)))
        if call.function.name in {"LIKE", "ILIKE"} and i == 1 and self._dialect in {"postgres", "spark"}:
            assert isinstance(arg, Literal)
            arg = Literal(str(arg.value).replace("\\", "\\\\"), Type.TEXT)  # there, a backslash escapes
        return self.write(arg, bare)

    # ------------------------------------------------------------ leaves

    def _literal(self, literal: Literal, bare: bool) -> _Sql:
        value, kind = literal.value, literal.type
        if value is None:
            return _Sql("NULL" if self._dialect == LANGUAGE or kind is None else f"CAST(NULL AS {self._type(kind)})")
        if isinstance(value, str):
            return _Sql(self._text(value))
        if kind is Type.BOOLEAN:
            return _Sql("TRUE" if value else "FALSE")
        if kind is Type.TIME:
            return _Sql(self._instant(value))
        return self._number(value, bare)

    def _number(self, value: float, bare: bool) -> _Sql:
        whole = value == int(value) and abs(value) < 2**31
        text = str(int(value)) if whole else repr(value)
        if self._dialect == "postgres" and not bare:
            return _Sql(f"CAST({text} AS DOUBLE PRECISION)")
        if self._dialect != LANGUAGE and "e" not in text and not (whole and bare):
            text += "e0"  # not a decimal
        return _Sql(text, SIGN if value < 0 else ATOM)

    def _text(self, value: str) -> str:
        if self._dialect == "spark":
            return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
        return "'" + value.replace("'", "''") + "'"

    def _instant(self, value: float) -> str:
        text = from_us(int(value)).astimezone(UTC).replace(tzinfo=None).isoformat(" ")
        if self._dialect == "postgres":
            return f"TIMESTAMPTZ '{text}+00'"
        return f"TIMESTAMP '{text}Z'" if self._dialect == "spark" else f"TIMESTAMP '{text}'"

    def _type(self, kind: Type) -> str:
        return _OTHER_TYPES.get((self._dialect, kind), _SQL_TYPES[kind])

    def _quoted(self, name: str) -> str:
        if self._dialect == LANGUAGE:
            return name if _is_plain(name) else '"' + name.replace('"', '""') + '"'
        return f"`{name.replace('`', '``')}`" if self._dialect == "spark" else '"' + name.replace('"', '""') + '"'


def _folds(call: Call) -> bool:
    """Whether constants alone make up this call, so that one constant can stand for it."""
    return call.type is Type.NUMBER and not any(isinstance(node, Name) for node in walk(call))


@functools.cache
def _is_plain(name: str) -> bool:
    """Whether a name can be written without quotes."""
    from sqlglot import Parser, Tokenizer

    kind = Tokenizer.KEYWORDS.get(name.upper())
    return bool(re.fullmatch(r"[A-Za-z_]\w*", name)) and (kind is None or kind in Parser.ID_VAR_TOKENS)
