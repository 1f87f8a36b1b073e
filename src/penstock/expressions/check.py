"""Type checking of sqlglot's syntax tree into a tree of our own: names, types, arguments, and unsupported constructs."""

import functools
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NoReturn

from sqlglot import exp

from penstock.clock import to_us
from penstock.errors import ExpressionError, did_you_mean
from penstock.expressions.functions import FUNCTIONS, HIDDEN, REFUSED, SYNONYMS
from penstock.expressions.tree import ATOM, Call, Constant, Function, Literal, Name, Node, runs_on_texts, walk
from penstock.expressions.zones import zone_names
from penstock.messages import Type

MAX_DEPTH = 64
"""How deep an expression may be nested; chains of AND and OR count once."""

WORDS = {Type.NUMBER: "a number", Type.BOOLEAN: "a condition (true or false)", Type.TIME: "a time", Type.TEXT: "a text"}
"""Types as errors name them."""

_OPERATORS: dict[type[exp.Expression], str] = {
    exp.Add: "+", exp.Sub: "-", exp.Mul: "*", exp.Div: "/", exp.Mod: "%", exp.DPipe: "||", exp.EQ: "=", exp.NEQ: "<>",
    exp.LT: "<", exp.LTE: "<=", exp.GT: ">", exp.GTE: ">=", exp.Like: "LIKE", exp.ILike: "ILIKE",
}  # fmt: skip
_REMEDIES = {
    (Type.BOOLEAN, Type.NUMBER): "IF(condition, 1, 0) makes a number of a condition",
    (Type.NUMBER, Type.BOOLEAN): "compare it, as in {0} <> 0",
    (Type.TEXT, Type.NUMBER): "numbers are written plainly, texts in single quotes; the event says what a field holds",
    (Type.NUMBER, Type.TEXT): "numbers are written plainly, texts in single quotes; the event says what a field holds",
    (Type.TIME, Type.NUMBER): "the difference of two times is a number of seconds",
    (Type.NUMBER, Type.TIME): "a time is written TIMESTAMP '2026-01-31 12:00:00'",
    (Type.TEXT, Type.BOOLEAN): "compare it, as in {0} = 'value'",
    (Type.TEXT, Type.TIME): "a time is written TIMESTAMP '2026-01-31 12:00:00'",
}


class Checker:
    """Reads one expression; errors name its place, quote it, and point at the part."""

    def __init__(self, sql: str, scope: Mapping[str, Type], place: str, lists: Collection[str] | None = None) -> None:
        self._sql = sql
        self._scope = scope
        self._place = place
        self._lists = lists
        self._depth = 0

    def refuse(self, what: str, at: exp.Expression | None = None) -> NoReturn:
        """Raise an error that names the fault and its place."""
        raise ExpressionError(f"{self._place}: {what} ({self._whereabouts(at)})")

    def _whereabouts(self, at: exp.Expression | None) -> str:
        spans = [(n.meta["start"], n.meta["end"]) for n in at.walk() if "start" in n.meta] if at else []
        if not spans:
            return f"in {self._sql!r}"
        start, end = min(s for s, _ in spans), max(e for _, e in spans) + 1
        while self._sql.count("(", start, end) > self._sql.count(")", start, end) and ")" in self._sql[end:]:
            end = self._sql.index(")", end) + 1
        return f"at {self._sql[start:end]!r}, character {start + 1} of {self._sql!r}"

    def expect(self, root: Node, expected: Type | None) -> Node:
        """The whole expression, which has to be of the expected type if there is one."""
        root = self._typed(root, expected or Type.BOOLEAN)
        assert root.type is not None
        if expected is not None and root.type is not expected:
            hint = _REMEDIES.get((root.type, expected), "").format(root.name if isinstance(root, Name) else "it")
            self.refuse(f"{WORDS[expected]} is expected here, this is {WORDS[root.type]}" + (f"; {hint}" if hint else ""))
        return root

    # ------------------------------------------------------------ nodes

    def read(self, e: exp.Expression) -> Node:
        """The checked node of a part of the expression."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self.refuse(f"nested deeper than {MAX_DEPTH} levels; derive parts of it as features of their own")
        reader = _READERS.get(type(e))
        if reader is None:
            self.refuse(f"{_described(e)} is not part of the language of conditions")
        node = reader(self, e)
        self._depth -= 1
        return node

    def _paren(self, e: exp.Expression) -> Node:
        return self.read(e.this)

    def _literal(self, e: exp.Expression) -> Node:
        if e.is_string:
            return Literal(e.this, Type.TEXT)
        value = float(e.this)
        if value - value != 0.0:
            self.refuse(f"the number {e.this} is too large", e)
        return Literal(value, Type.NUMBER)

    def _boolean(self, e: exp.Expression) -> Node:
        return Literal(float(bool(e.this)), Type.BOOLEAN)

    def _null(self, _: exp.Expression) -> Node:
        return Literal(None, None)

    def _column(self, e: exp.Column) -> Node:
        if len(e.parts) > 1:
            self.refuse("names here have no dots", e)
        name = e.name
        if name not in self._scope:
            if name.upper() in REFUSED:
                self.refuse(f"{name.upper()} {REFUSED[name.upper()]}", e)
            self.refuse(f"unknown name {name!r}.{did_you_mean(name, self._scope)}", e)
        return Name(name, self._scope[name])

    def _operator(self, e: exp.Expression) -> Node:
        symbol = _OPERATORS[type(e)]
        left, right = self.read(e.this), self.read(e.expression)
        if symbol in {"=", "<>", "<", "<=", ">", ">="}:
            return self._compared(symbol, left, right, e)
        call = self._call(symbol, (left, right), e)
        return self._not(call, e) if e.args.get("negate") else call

    def _compared(self, symbol: str, left: Node, right: Node, e: exp.Expression) -> Node:
        if left.type is Type.TIME:
            right = self._as_time(right, e)
        elif right.type is Type.TIME:
            left = self._as_time(left, e)
        if symbol in {"=", "<>"} and {left.type, right.type} == {Type.BOOLEAN, Type.NUMBER}:
            left, right = _as_number(left), _as_number(right)
        return self._call(symbol, (left, right), e)

    def _as_time(self, node: Node, e: exp.Expression) -> Node:
        if not isinstance(node, Literal) or node.type is not Type.TEXT:
            return node
        return Literal(self._instant(str(node.value), e), Type.TIME)

    def _instant(self, text: str, e: exp.Expression) -> float:
        try:
            instant = datetime.fromisoformat(text)
        except ValueError:
            self.refuse(f"{text!r} is not a time; write it as '2026-01-31' or '2026-01-31 12:00:00+01:00' (UTC unless said)", e)
        return float(to_us(instant if instant.tzinfo else instant.replace(tzinfo=UTC)))

    def _cast(self, e: exp.Cast) -> Node:
        is_literal = isinstance(e.this, exp.Literal) and e.this.is_string
        if not is_literal or not e.to.is_type(*_TIME_TYPES):
            self.refuse(f"CAST {REFUSED['CAST']}", e)
        return Literal(self._instant(e.this.this, e), Type.TIME)

    def _negative(self, e: exp.Expression) -> Node:
        inner = self.read(e.this)
        if isinstance(inner, Literal) and inner.type is Type.NUMBER and isinstance(e.this, exp.Literal):
            assert isinstance(inner.value, float)
            return Literal(-inner.value, Type.NUMBER)
        return self._call("NEG", (inner,), e)

    def _not(self, node: Node, e: exp.Expression) -> Node:
        return self._call("NOT", (node,), e)

    def _negation(self, e: exp.Expression) -> Node:
        if isinstance(e.this, exp.Is) and isinstance(e.this.expression, exp.Null):
            return self._call("IS NOT NULL", (self.read(e.this.this),), e)
        return self._not(self.read(e.this), e)

    def _chain(self, e: exp.Expression) -> Node:
        parts = [self.read(part) for part in _links(e, type(e))]
        return self._call("AND" if isinstance(e, exp.And) else "OR", parts, e)

    def _is(self, e: exp.Expression) -> Node:
        node = self.read(e.this)
        if isinstance(e.expression, exp.Null):
            return self._call("IS NULL", (node,), e)
        if not isinstance(e.expression, exp.Boolean):
            self.refuse("IS is followed by NULL, TRUE or FALSE", e)
        wanted = node if e.expression.this else self._not(node, e)
        return self._call("COALESCE", (wanted, Literal(0.0, Type.BOOLEAN)), e)

    def _between(self, e: exp.Expression) -> Node:
        node = self.read(e.this)
        low = self._compared(">=", node, self.read(e.args["low"]), e)
        high = self._compared("<=", node, self.read(e.args["high"]), e)
        return self._call("AND", (low, high), e)

    def _in(self, e: exp.Expression) -> Node:
        node = self.read(e.this)
        if not e.expressions:
            return self._in_list(node, e)
        items = [self.read(item) for item in e.expressions]
        plain = [item for item in items if isinstance(item, Literal) and item.type is node.type]
        tests = [self._call("IN", (node, *plain), e)] if plain and node.type in {Type.NUMBER, Type.TEXT} else []
        tests += [self._compared("=", node, item, e) for item in items if not (tests and item in plain)]
        return tests[0] if len(tests) == 1 else self._call("OR", tests, e)

    def _in_list(self, node: Node, e: exp.Expression) -> Node:
        """`field IN list('name')`: a list that people maintain, separate from the rules."""
        named = e.args.get("field")
        if not isinstance(named, exp.Anonymous) or str(named.this).upper() != "LIST":
            self.refuse("IN takes a list in parentheses, or list('name') for one that people keep", e)
        if not any(isinstance(part, Name) for part in walk(node)):
            self.refuse("what is looked for on a list is a field or feature that is a text", e)
        if self._lists is None:
            self.refuse("lists change, so only the conditions of rules may ask them", e)
        call = self._call("IN LIST", [node, *(self.read(part) for part in named.expressions)], e)
        assert isinstance(call, Call)
        name = call.args[1]
        assert isinstance(name, Literal)
        if name.value not in self._lists:
            hint = did_you_mean(str(name.value), self._lists)
            more = hint or " There is none yet: `penstock lists create`, or lists={...} of the detector, makes one."
            self.refuse(f"there is no list {name.value!r}.{more}", e)
        return call

    def _if(self, e: exp.Expression) -> Node:
        otherwise = self.read(e.args["false"]) if e.args.get("false") else Literal(None, None)
        return self._call("IF", (self.read(e.this), self.read(e.args["true"]), otherwise), e)

    def _case(self, e: exp.Expression) -> Node:
        subject = self.read(e.this) if e.this else None
        default = e.args.get("default")
        branches = [(self._when(subject, branch), self.read(branch.args["true"])) for branch in e.args["ifs"]]
        result: Node = self.read(default) if default else Literal(None, None)
        if len(branches) > MAX_DEPTH:
            self.refuse(f"more than {MAX_DEPTH} branches of CASE; put them into a lookup", e)
        kind = next((node.type for node in (result, *(then for _, then in branches)) if node.type), None)
        result = self._typed(result, kind)
        for condition, then in reversed(branches):
            result = self._call("IF", (condition, self._typed(then, kind), result), e)
        return result

    def _when(self, subject: Node | None, branch: exp.Expression) -> Node:
        condition = self.read(branch.this)
        return condition if subject is None else self._compared("=", subject, condition, branch)

    def _typed(self, node: Node, kind: Type | None) -> Node:
        return Literal(None, kind) if isinstance(node, Literal) and node.type is None else node

    def _named(self, e: exp.Expression) -> Node:
        written = str(e.this).upper()
        name = SYNONYMS.get(written, written)
        if name in REFUSED:
            self.refuse(f"{written} {REFUSED[name]}", e)
        if written not in _callable_names():
            self.refuse(f"unknown function {written}.{did_you_mean(written, _callable_names())}", e)
        return self._call(name, [self.read(arg) for arg in e.expressions], e)

    # ------------------------------------------------------------ calls

    def _call(self, name: str, args: Sequence[Node], e: exp.Expression) -> Node:
        forms = FUNCTIONS[name]
        if forms[0].clock:
            args = [self._clock(name, args, e)]
        fitting = [form for form in forms if _fits_count(form, len(args))]
        if not fitting:
            self.refuse(f"{name} takes {_counts(forms)}, not {len(args)}", e)
        form = next((form for form in fitting if all(_fits(form.parameter(i), arg) for i, arg in enumerate(args))), None)
        if form is None:
            self._wrong_types(name, fitting, args, e)
        return self._complete(form, args, e)

    def _clock(self, name: str, args: Sequence[Node], e: exp.Expression) -> Node:
        """The time that the clock on the wall of the zone shows."""
        if len(args) == 1:
            return self._call("UTC", args, e)
        if len(args) != 2:
            self.refuse(f"{name} takes a time and, if you like, a zone, not {len(args)} arguments", e)
        zone = args[1]
        if not isinstance(zone, Literal) or zone.type is not Type.TEXT:
            return self._call("LOCAL_BY", args, e)
        if zone.value not in zone_names():
            self.refuse(f"unknown time zone {zone.value!r}.{did_you_mean(str(zone.value), zone_names())}", e)
        return self._call("LOCAL", args, e)

    def _complete(self, form: Function, args: Sequence[Node], e: exp.Expression) -> Node:
        call = Call(form, tuple(self._argument(form, form.parameter(i), arg, e) for i, arg in enumerate(args)))
        if form.opcode is None and form.python and not runs_on_texts(call):
            what = f"{form.name} works on fields, texts in quotes and functions of texts"
            self.refuse(f"{what}; derive what stands inside as a separate feature and use its name", e)
        return call

    def _argument(self, form: Function, parameter: Type | Constant, arg: Node, e: exp.Expression) -> Node:
        if isinstance(parameter, Type):
            return self._typed(arg, parameter)
        if not isinstance(arg, Literal) or arg.value is None or not parameter.allowed(arg.value):
            self.refuse(f"{form.name} takes {parameter.what}", e)
        return arg

    def _wrong_types(self, name: str, forms: Sequence[Function], args: Sequence[Node], e: exp.Expression) -> NoReturn:
        given = " and ".join(WORDS[arg.type] if arg.type else "NULL" for arg in args)
        form = max(forms, key=lambda f: sum(_fits(f.parameter(i), arg) for i, arg in enumerate(args)))
        at, wrong = next((i, arg) for i, arg in enumerate(args) if not _fits(form.parameter(i), arg))
        wanted = _type_of(form.parameter(at))
        assert wrong.type is not None
        remedy = _REMEDIES.get((wrong.type, wanted), f"{WORDS[wanted]} is needed")
        written = wrong.name if isinstance(wrong, Name) else "it"
        self.refuse(f"{name} does not take {given}; {remedy.format(written)}", e)


def _links(e: exp.Expression, kind: type[exp.Expression]) -> list[exp.Expression]:
    """The parts of a chain of one connective, left to right, without recursion (chains may be long)."""
    parts: list[exp.Expression] = []
    while isinstance(e, kind):
        parts.append(e.expression)
        e = e.this
    return [e, *reversed(parts)]


def _as_number(node: Node) -> Node:
    return Call(FUNCTIONS["AS_NUMBER"][0], (node,)) if node.type is Type.BOOLEAN else node


def _type_of(parameter: Type | Constant) -> Type:
    return parameter.type if isinstance(parameter, Constant) else parameter


def _fits(parameter: Type | Constant, arg: Node) -> bool:
    return arg.type is None or arg.type is _type_of(parameter)


def _fits_count(form: Function, count: int) -> bool:
    return len(form.takes) - form.optional <= count and (form.more is not None or count <= len(form.takes))


def _counts(forms: Iterable[Function]) -> str:
    form = next(iter(forms))
    least, most = len(form.takes) - form.optional, len(form.takes)
    if form.more:
        return f"{least} arguments or more"
    return f"{least} or {most} arguments" if least < most else f"{most} argument{'s' if most > 1 else ''}"


@functools.cache
def _callable_names() -> frozenset[str]:
    """The names that may precede parentheses, without operators."""
    named = (name for name, forms in FUNCTIONS.items() if forms[0].precedence == ATOM and name not in HIDDEN)
    return frozenset(named) | frozenset(SYNONYMS)


def _described(e: exp.Expression) -> str:
    return _DESCRIPTIONS.get(type(e), f"this ({type(e).__name__})")


_DESCRIPTIONS: dict[type[exp.Expression], str] = {
    exp.Select: "a query", exp.Subquery: "a query inside a condition", exp.Exists: "a query inside a condition",
    exp.Window: "a window function (a feature does this: declare one and use its name)", exp.Alias: "a name given to a part",
    exp.Star: "the star", exp.Tuple: "a list outside of IN", exp.Command: "a command", exp.Interval: "INTERVAL (write seconds)",
    exp.Parameter: "a parameter", exp.Placeholder: "a placeholder", exp.Bracket: "an index in brackets",
    exp.BitwiseXor: "the operator ^ (write POWER)", exp.IntDiv: "DIV (write FLOOR(a / b))", exp.Escape: "ESCAPE",
    exp.NullSafeEQ: "IS NOT DISTINCT FROM", exp.NullSafeNEQ: "IS DISTINCT FROM",
}  # fmt: skip

_TIME_TYPES = (
    exp.DataType.Type.TIMESTAMP, exp.DataType.Type.TIMESTAMPTZ, exp.DataType.Type.DATE, exp.DataType.Type.DATETIME,
)  # fmt: skip

_READERS: dict[type[exp.Expression], Callable[[Checker, Any], Node]] = {
    exp.Paren: Checker._paren, exp.Literal: Checker._literal, exp.Boolean: Checker._boolean, exp.Null: Checker._null,
    exp.Column: Checker._column, exp.Cast: Checker._cast, exp.Neg: Checker._negative, exp.Not: Checker._negation,
    exp.And: Checker._chain, exp.Or: Checker._chain, exp.Is: Checker._is, exp.Between: Checker._between, exp.In: Checker._in,
    exp.If: Checker._if, exp.Case: Checker._case, exp.Anonymous: Checker._named, **dict.fromkeys(_OPERATORS, Checker._operator),
}  # fmt: skip
