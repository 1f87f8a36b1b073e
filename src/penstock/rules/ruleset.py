"""Compiled rules: a layout column and a part of a program each."""

import hashlib
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from penstock.errors import DeclarationError, did_you_mean
from penstock.expressions import Expression, Members, Program, assemble, parse
from penstock.expressions.tree import Name, walk
from penstock.messages import Batch, Layout, Type
from penstock.rules.checks import QUIET, RuleFinding, check
from penstock.rules.rule import Rule
from penstock.wording import Template, Value, plain


@dataclass(frozen=True, slots=True)
class CompiledRule:
    """A checked rule and the columns that hold where it fired.

    index: of the column in `Batch.x` that is 1 where it fired and acts. watch: of the one that is 1 where it fired, acting or
    not; the same where it acts everywhere. reads: the columns that the condition reads, in the order of its text; values:
    those and what the reason's template says. about: the column a reason puts first, or None where it reads none. unless: the
    condition under which it does not act where it fired.
    """

    rule: Rule
    expression: Expression
    index: int
    reads: tuple[str, ...]
    about: str | None
    template: Template | None
    watch: int
    unless: Expression | None = None

    @property
    def name(self) -> str:
        """The rule's name."""
        return self.rule.name

    @property
    def action(self) -> str:
        """The requested action: allow, challenge, review or block."""
        return self.rule.then

    @property
    def hard(self) -> bool:
        """A block that no allow can lift."""
        return self.rule.hard

    @property
    def override(self) -> bool:
        """Whether its action wins over more severe ones of the score or other rules."""
        return self.rule.override

    @property
    def tried(self) -> bool:
        """Whether it is a candidate: it acts on a first share of the keys, or on none."""
        return self.rule.share is not None and self.rule.share.begin == 0

    @property
    def code(self) -> str:
        """The `decision_reason` of this rule."""
        return self.rule.code

    @property
    def target(self) -> str:
        """The name of the column that its condition fills."""
        return ("rule:" if self.watch == self.index else "watch:") + self.name

    @property
    def parts(self) -> list[tuple[Expression, str]]:
        """What is evaluated of it, with the column for each; `rule:NAME` first holds where it is not to act."""
        return [(self.expression, self.target), *([] if self.unless is None else [(self.unless, f"rule:{self.name}")])]

    @property
    def lists(self) -> frozenset[str]:
        """The lists that it asks."""
        return self.expression.lists | (frozenset() if self.unless is None else self.unless.lists)

    @property
    def said(self) -> tuple[str, ...]:
        """The columns whose values appear in `sentence`."""
        return self.reads if self.template is None else self.template.names

    def sentence(self, values: Mapping[str, Value]) -> str:
        """The reason with these values; for a rule without a reason, the condition with the values it read."""
        if self.template is not None:
            return self.template.fill(values)
        if not self.reads:
            return self.expression.sql
        return f"{self.expression.sql}: " + ", ".join(f"{name} is {plain(values[name])}" for name in self.reads)


class Ran(NamedTuple):
    """The result of a candidate in one batch. error: why it could not be evaluated, so that it fired nowhere."""

    name: str
    error: str | None
    spent_ns: int


class RuleSet:
    """All rules of a detector, checked and compiled into one program.

    Every rule gets a boolean column called `rule:NAME` in the layout; `run` fills them (1 fired, 0 did not, NaN unknown
    because of a null, which counts as not fired). One that acts on a share of the traffic, or has exceptions (`unless`), gets
    `watch:NAME` as well, for where its condition held; `rule:NAME` is where it acted.

    scope: the columns that conditions and reasons may read. lists: those that conditions may ask. known: columns that no
    event lacks, for what is said of rules before any has come.

    Hard blocks are a program of their own that runs first: whatever is wrong with other rules, these have run. So is each
    candidate, which harms nobody where it fails, and whose time is known.

    Raises:
        DeclarationError: a rule cannot work; the message names the rule and the remedy.
    """

    def __init__(
        self,
        rules: Sequence[Rule],
        layout: Layout,
        scope: Mapping[str, Type],
        lists: Mapping[str, Members] | None = None,
        known: Collection[str] = (),
    ) -> None:
        _refuse_twins(rules)
        self._scope, self._known, self._lists = scope, known, dict(lists or {})
        self.rules = tuple(_compile(rule, layout, scope, self._lists) for rule in rules)
        self.columns: NDArray[np.int64] = np.array([rule.index for rule in self.rules], np.int64)
        settled = [rule for rule in self.rules if not rule.tried]
        self.programs: list[Program] = [
            assemble([part for rule in some for part in rule.parts], layout, self._lists)
            for some in ([rule for rule in settled if rule.hard is hard] for hard in (True, False))
            if some
        ]
        self.tried_programs = [(rule, assemble(rule.parts, layout, self._lists)) for rule in self.rules if rule.tried]
        self._partial = [(rule, _codes_of(rule.rule, layout)) for rule in self.rules if rule.watch != rule.index]

    def __len__(self) -> int:
        return len(self.rules)

    def __iter__(self) -> Iterator[CompiledRule]:
        return iter(self.rules)

    def run(self, batch: Batch) -> Sequence[Ran]:
        """Fill the columns of all rules for every row of the batch; returns the results of candidates.

        Raises:
            ExpressionError: a rule that is no candidate cannot be evaluated; hard blocks and candidates have been.
        """
        ran = [_attempt(rule, program, batch) for rule, program in self.tried_programs]
        try:
            for program in self.programs:
                program.run(batch)
        finally:
            for rule, column in self._partial:
                batch.x[:, rule.index] = _acts(rule, column, batch)
        return ran

    def with_lists(self, lists: Mapping[str, Members]) -> "RuleSet":
        """The same rules with other lists, without parsing or checking again.

        Raises:
            DeclarationError: a list that a rule asks is not among them.
        """
        missing = sorted(self.asked - lists.keys())
        if missing:
            raise DeclarationError(f"a rule asks the list {missing[0]!r}, which is gone.{did_you_mean(missing[0], lists)}")
        changed = copy(self)
        changed._lists = dict(lists)
        changed.programs = [program.with_lists(lists) for program in self.programs]
        changed.tried_programs = [(rule, program.with_lists(lists)) for rule, program in self.tried_programs]
        return changed

    @property
    def asked(self) -> frozenset[str]:
        """The lists that conditions use."""
        return frozenset().union(*(rule.lists for rule in self.rules))

    @property
    def lists(self) -> str | None:
        """The version of every list that conditions ask, by name; None where they ask none."""
        return ", ".join(f"{name} {self._lists[name].version}" for name in sorted(self.asked)) or None

    @property
    def version(self) -> str:
        """A short hash of all rules with their texts, in their order."""
        parts = []
        for r in self.rules:
            more = [*([r.rule.share] if r.rule.share else []), *(["override"] if r.override else [])]
            more += [] if r.unless is None else [("unless", r.unless.sql)]
            parts.append(repr((r.name, r.expression.sql, r.action, r.hard, r.code, r.rule.reason, *more)))
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]

    @property
    def texts(self) -> frozenset[str]:
        """The columns whose texts conditions read, so that the batch must hold them."""
        return frozenset().union(*(expression.texts for rule in self.rules for expression, _ in rule.parts))

    @property
    def warnings(self) -> list[str]:
        """Warnings about rules that work, but probably not as intended."""
        return [finding.sentence for finding in self.findings if finding.kind not in QUIET]

    @property
    def findings(self) -> list[RuleFinding]:
        """The findings of the static checks."""
        return check([rule.rule for rule in self.rules], self._scope, known=self._known, lists=self._lists)


def _acts(rule: CompiledRule, column: int | None, batch: Batch) -> NDArray[np.bool_]:
    """Where a rule acts, of the rows on which it fired: those of its share, and not those that `unless` excepts."""
    acts: NDArray[np.bool_] = batch.x[:, rule.watch] == 1.0
    if rule.unless is not None:
        acts &= batch.x[:, rule.index] != 1.0
    if rule.rule.share is not None:
        acts &= rule.rule.share.holds(batch.codes[:, column]) if column is not None else False
    return acts


def _attempt(rule: CompiledRule, program: Program, batch: Batch) -> Ran:
    """Evaluate a candidate; an error in it does not affect the decision."""
    started_ns, error = time.perf_counter_ns(), None
    try:
        program.run(batch)
    except Exception as failure:  # noqa: BLE001  whatever a candidate does, the others decide
        batch.x[:, rule.watch] = np.nan
        error = f"{type(failure).__name__}: {failure}"
    return Ran(rule.name, error, time.perf_counter_ns() - started_ns)


def _refuse_twins(rules: Sequence[Rule]) -> None:
    seen: set[str] = set()
    for rule in rules:
        if rule.name in seen:
            raise DeclarationError(f"{rule.place} is declared twice; give one of them another name")
        seen.add(rule.name)


def _compile(rule: Rule, layout: Layout, scope: Mapping[str, Type], lists: Collection[str]) -> CompiledRule:
    expression = parse(rule.when, scope, place=rule.place, expect=Type.BOOLEAN, lists=lists)
    template = Template(rule.reason, scope, place=f"{rule.place}: reason") if rule.reason is not None else None
    names = [node for node in walk(expression.root) if isinstance(node, Name)]
    numbers = [node.name for node in names if node.type is Type.NUMBER]
    reads = tuple(dict.fromkeys(node.name for node in names))
    about = next(iter((*numbers, *reads)), None)
    acts = layout.add(f"rule:{rule.name}", Type.BOOLEAN).index
    unless = parse(rule.unless, scope, place=rule.place, expect=Type.BOOLEAN, lists=lists) if rule.unless else None
    partial = rule.share is not None or unless is not None
    watch = layout.add(f"watch:{rule.name}", Type.BOOLEAN).index if partial else acts
    return CompiledRule(rule, expression, acts, reads, about, template, watch, unless)


def _codes_of(rule: Rule, layout: Layout) -> int | None:
    """The column of codes whose keys are shared out; None for a rule that only watches."""
    share = rule.share
    if share is None or share.watches:
        return None
    column = layout.get(share.of or "")
    if column is None or column.type is not Type.TEXT:
        texts = [name for name, found in layout.items() if found.type is Type.TEXT]
        hint = did_you_mean(share.of or "", texts)
        raise DeclarationError(
            f"{rule.place}: the keys of {share.of!r} cannot be shared out; name a text field or feature.{hint}"
        )
    return column.index
