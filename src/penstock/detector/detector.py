"""A detector: one fraud problem, declared once and compiled when it is declared.

`Detector(...)` checks everything it is given and raises a `DeclarationError` that names the place and the remedy, so a
detector that exists can run. `plan` is the compiled form that the engine, replay and Spark execute.
"""

import inspect
import re
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import polars as pl

from penstock.cases.policy import CasePolicy
from penstock.clock import duration_us
from penstock.decision import Policy
from penstock.decision.phrases import Phrase
from penstock.detector.compiler import Compiler, words_of
from penstock.detector.plan import Feature, fingerprint
from penstock.detector.recipe import Recipe
from penstock.errors import DeclarationError, did_you_mean
from penstock.features import Aggregate, Derived, Label
from penstock.features.definitions import Added, feature_of
from penstock.features.kernel.words import STATE_FORMAT
from penstock.features.ratio import Ratio
from penstock.features.vocabulary import KINDS, AggregateKind
from penstock.ingest import Schema, Steps
from penstock.messages import Type
from penstock.models import Model
from penstock.rules import Rule
from penstock.rules.lists import Declared, declared_lists

if TYPE_CHECKING:
    from penstock.features.state import FeatureState


class DetectorWarning(UserWarning):
    """Something in a detector works, but probably not as meant."""


class Detector:
    """The declaration of one fraud problem: event schema, features, models, rules and policy.

    Args:
        name: unique among the detectors served together; letters, digits and `_`.
        event: a msgspec Struct, one field per column; `id` and `time` name two of them.
        features: aggregates of entities and their ratios, `derive(...)`, `lookup(...)`, `Money(...)`; none is needed.
        models: [] for a detector of rules alone.
        rules, policy: they turn conditions and scores into decisions.
        lists: by name the values that `field IN list('name')` finds, or the file that holds them; people change them later.
        label: the field of recorded data with the label; see `Label`.
        informs: further event types that change state and get no decision.
        skew: how far clocks jitter. lateness: how far behind a key's newest event one may still enter its state.
        max_ahead: how far ahead of its arrival an event may be stamped and still enter state.
        dedupe: how long an id is remembered.
        naive_times: the zone of times without one; refused where it is None.
        personal: text fields that are replaced by keyed hashes before anything is written.
        person: the text field that says whose personal fields an event holds, who can be erased; that of the first entity
            unless given.
        keep_unknown: keep fields that the schema does not know, in the ledger.
        steps: the field that says when an event happened where it has no time; see `penstock.ingest.Steps`.
        inputs: the columns that models read; every numeric field and feature unless given. Texts only where named here:
            they are encoded by the rate of fraud that training saw for each.
        words: a phrase for a feature or field, used in reasons; see `penstock.decision.phrases`.
        headline: the fields that name an event in one line: who pays, who is paid (None where no field says so), then further
            ones; the keys of the first two entities unless given. Lists show them next to the amount.
        amount: the number that is the money at stake, in totals, cases and backtests; unless given, the field called `amount`,
            or the one whose name says `amount`, `amt` or `value`.
        currency: of the amounts: its ISO 4217 code, such as EUR, or the text field that holds it.
        cases: how decisions to review are grouped into cases, and which come first; see `CasePolicy`.
        recorded: turns the columns of a recorded file, as published, into those of the event.
        training: the default training options; without it, a split by time.

    Raises:
        DeclarationError: the message names the place and the remedy.
    """

    def __init__(
        self,
        name: str,
        *,
        event: type[msgspec.Struct],
        id: str,
        time: str,
        features: Sequence[Feature | Ratio] = (),
        models: Sequence[Model] = (),
        rules: Sequence[Rule] = (),
        policy: Policy | None = None,
        lists: Mapping[str, Declared] | None = None,
        label: Label | None = None,
        informs: Sequence[type[msgspec.Struct]] = (),
        skew: str = "5s",
        lateness: str = "1d",
        max_ahead: str = "1d",
        dedupe: str = "30d",
        naive_times: str | None = None,
        personal: Collection[str] = (),
        person: str | None = None,
        keep_unknown: bool = False,
        steps: Steps | None = None,
        inputs: Sequence[str] | None = None,
        words: dict[str, str] | None = None,
        headline: Sequence[str | None] | None = None,
        amount: str | None = None,
        currency: str | None = None,
        cases: CasePolicy | None = None,
        recorded: Callable[[pl.DataFrame], pl.DataFrame] | None = None,
        training: Recipe | None = None,
    ) -> None:
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,62}", name):
            raise DeclarationError(
                f"detector name {name!r}: use up to 63 lower-case letters, digits and _, as in 'card_payments'"
            )
        self.name = self.reference = name  # what the command line calls it: its file, where it was loaded from one
        self.event, self.id, self.time = event, id, time
        self.features, self.models, self.rules = _spelled_out(features), tuple(models), tuple(rules)
        self.policy = policy or Policy()
        self.label, self.informs = label, tuple(informs)
        self.skew_us = duration_us(skew, what=f"detector {name!r}: skew")
        self.lateness_us = duration_us(lateness, what=f"detector {name!r}: lateness")
        self.max_ahead_us = duration_us(max_ahead, what=f"detector {name!r}: max_ahead")
        self.dedupe_us = duration_us(dedupe, what=f"detector {name!r}: dedupe")
        self.words = dict(words or {})
        for feature, phrase in self.words.items():
            Phrase(phrase, place=f"detector {name!r}: words of {feature!r}")
        self.recorded = recorded
        self.training = training
        self.folder = _declaring_folder()
        self.lists = declared_lists(lists or {}, self.folder)
        self.schema = Schema(
            event,
            informs,
            id=id,
            time=time,
            label=label.field if label else None,
            label_time=label.known_at if label else None,
            naive_times=naive_times,
            personal=personal,
            person=person,
            keep_unknown=keep_unknown,
            steps=steps,
            amount=amount,
        )
        _check_models(name, self.models)
        self.person = self._person()
        self.added: tuple[Added, ...] = ()
        self._declared, self._inputs = self.features, None if inputs is None else tuple(inputs)
        self.plan = Compiler(self, self._inputs).compile()
        _check_columns(name, self.models, self.plan.inputs)
        self.headline = self._headline(headline)
        self.currency, self.currency_field = self._currency(currency)
        self.cases = cases or CasePolicy()
        self.case_subject = self._case_subject()
        self.version = self._version()
        for doubt in self.warnings:
            warnings.warn(f"detector {name!r}: {doubt}", DetectorWarning, stacklevel=2)

    def __repr__(self) -> str:
        return f"Detector({self.name!r}, {len(self.features)} features, {len(self.models)} models, {len(self.rules)} rules)"

    def with_rules(self, rules: Sequence[Rule], lists: Mapping[str, Declared] | None = None) -> "Detector":
        """The same detector with other rules, and other lists where any are given; its state and its models go on.

        Raises:
            DeclarationError: a rule cannot work.
        """
        changed = copy(self)
        changed.rules = tuple(rules)
        changed.lists = self.lists if lists is None else declared_lists(lists, self.folder)
        if changed.rules == self.rules and lists is not None:
            changed.plan = replace(self.plan, rules=self.plan.rules.with_lists(changed.lists))
            return changed
        changed.plan = self.plan.with_rules(rules, changed.lists, self.schema.required)
        changed.version = changed._version()
        return changed

    def with_order(self, order: str) -> "Detector":
        """The same detector whose policy decides in this order: one of `penstock.decision.policy.ORDERS`."""
        changed = copy(self)
        changed.policy = replace(self.policy, order=order)
        changed.version = changed._version()
        return changed

    def with_features(self, added: Sequence[Added]) -> "Detector":
        """The same detector with these features in addition to its declared ones, replacing earlier added ones.

        The meaning of the features in the file stays, so models that read them still fit; the state is another one.

        Raises:
            DeclarationError: one of them cannot work, or a rule reads one that is gone.
        """
        changed = copy(self)
        changed.added = tuple(sorted(added, key=lambda each: each.name))  # whatever the order, the columns are the same
        entities = {f.entity.name: f.entity for f in self._declared if isinstance(f, Aggregate)}
        types = {each.__name__: each for each in self.schema.kinds}
        for each in (each for each in changed.added if each.described.keys or each.described.roles):
            feature = feature_of(each.name, each.described, entities, types)
            entities |= {feature.entity.name: feature.entity} if isinstance(feature, Aggregate) else {}
        made = [feature_of(each.name, each.described, entities, types) for each in changed.added]
        changed.features = (*self._declared, *made)
        changed.plan = Compiler(changed, self._inputs).compile()
        changed.version = changed._version()
        return changed

    def computing(self, features: Sequence[Feature], inputs: Sequence[str] = ()) -> "Detector":
        """The same events and labels with these features instead of the declared ones, no models or rules, for computing alone.

        Raises:
            DeclarationError: one of them cannot work, or an input is no column.
        """
        changed = copy(self)
        changed.features = changed._declared = tuple(features)
        changed.added, changed.models, changed.rules, changed._inputs = (), (), (), tuple(inputs)
        changed.plan = Compiler(changed, changed._inputs).compile()
        changed.version = changed._version()
        return changed

    def with_inputs(self, inputs: Sequence[str]) -> "Detector":
        """The same detector whose models read these columns.

        Raises:
            DeclarationError: one of them is no number, boolean or text.
        """
        changed = copy(self)
        changed._inputs = tuple(inputs)
        changed.plan = Compiler(changed, changed._inputs).compile()
        changed.version = changed._version()
        return changed

    @property
    def warnings(self) -> list[str]:
        """Warnings about declarations that work, but probably not as intended."""
        return [*_self_comparisons(self.features, self.rules), *self.plan.rules.warnings]

    def state(self, *, memory_limit: int | None = None) -> "FeatureState":
        """An empty state for this detector's features."""
        from penstock.features.state import FeatureState  # with the kernels that it runs

        plan = self.plan
        return FeatureState(
            plan.entities,
            plan.layout,
            links=plan.links,
            remembered=plan.remembered,
            max_ahead_us=self.max_ahead_us,
            memory_limit=memory_limit,
        )

    def reads_of(self, feature: Feature) -> frozenset[str]:
        """The fields and features that a feature reads."""
        if isinstance(feature, Aggregate):
            words = {feature.field or "", *feature.links, *feature.entity.fields, *words_of(Derived("", feature.where or ""))}
        else:
            words = words_of(feature)
        return frozenset(name for name in words if name in self.plan.layout)

    @property
    def state_fingerprint(self) -> str:
        """Changes when the state must be rebuilt: with any aggregate, its inputs, or how late events are treated."""
        aggregates = sorted(f.name for f in self.features if isinstance(f, Aggregate))
        parts = [f"{name}={self.plan.fingerprints[name]}" for name in aggregates]
        return fingerprint(
            "\n".join([*parts, f"{self.skew_us} {self.lateness_us} {self.max_ahead_us}", f"format {STATE_FORMAT}"])
        )

    def fingerprint(self, names: Sequence[str]) -> str:
        """A hash of the definitions of these columns: a model is bound to that of the features it reads."""
        return fingerprint("\n".join(f"{name}={self.plan.fingerprints[name]}" for name in names))

    def _person(self) -> str | None:
        if not self.schema.personal or self.schema.person is not None:
            return self.schema.person
        aggregates = (feature for feature in self.features if isinstance(feature, Aggregate))
        firsts = (feature.entity.keys[0] for feature in aggregates)
        return next((key[0] for key in firsts if len(key) == 1 and self.schema.columns.get(key[0]) is Type.TEXT), None)

    def _headline(self, given: Sequence[str | None] | None) -> tuple[str | None, ...]:
        columns = self.schema.columns
        if given is None:
            keys = (role[0].name for plan in self.plan.entities for role in plan.keys if len(role) == 1)
            return tuple(name for name in dict.fromkeys(keys) if name in columns)[:2]
        for name in given:
            if name is not None and name not in columns:
                raise DeclarationError(
                    f"detector {self.name!r}: headline names {name!r}, which is not a field of {self.event.__name__}."
                    f"{did_you_mean(name, columns)}"
                )
        return tuple(given)

    def _case_subject(self) -> str | None:
        """The name of the entity by whose keys decisions are grouped into cases; None if each is a case by itself."""
        names = [plan.entity.name for plan in self.plan.entities]
        if not self.cases.grouped:
            return None
        if self.cases.by is not None:
            if self.cases.by.name not in names:
                raise DeclarationError(
                    f"detector {self.name!r}: cases are grouped by {self.cases.by.name!r}, of which no feature is an aggregate."
                    f"{did_you_mean(self.cases.by.name, names)}"
                )
            return self.cases.by.name
        first = self.headline[0] if self.headline else None
        by_field = (
            plan.entity.name for plan in self.plan.entities for role in plan.keys if [each.name for each in role] == [first]
        )
        return next(by_field, names[0] if names else None)

    def _currency(self, given: str | None) -> tuple[str | None, str | None]:
        """The one currency of all amounts, and the field that names it for each event."""
        texts = [name for name, type_ in self.schema.columns.items() if type_ is Type.TEXT]
        if given is None:
            return None, "currency" if "currency" in texts else None
        if given in texts:
            return None, given
        if re.fullmatch(r"[A-Z]{3}", given):
            return given, None
        raise DeclarationError(
            f"detector {self.name!r}: currency={given!r} is neither a code of three capitals, such as 'EUR', nor a text field "
            f"of {self.event.__name__}.{did_you_mean(given, texts)}"
        )

    def _version(self) -> str:
        parts = [f"{name}={print_}" for name, print_ in sorted(self.plan.fingerprints.items())]
        parts += [
            _declared_models(self.models),
            repr(self.policy),
            self.plan.rules.version,
            repr(self.label),
            str(self.dedupe_us),
        ]
        return fingerprint("\n".join([*parts, *self.policy.version]))[:12]


def _declared_models(models: Sequence[Model]) -> str:
    """The declarations of models in the form of version 0.1, so that its decisions keep their version.

    It omits unused options that 0.1 did not have; 0.1 grew 200 trees where the number is open.
    """
    return re.sub(r", (forbid=\[\]|monotone=\{\})", "", repr(models)).replace("trees=None", "trees=200")


def _declaring_folder() -> Path:
    """The folder of the file that declares the detector: paths in it are relative to that."""
    here = Path(__file__).resolve()
    frame = inspect.currentframe()
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if path.suffix == ".py" and path.resolve() != here:
            return path.resolve().parent
        frame = frame.f_back
    return Path.cwd()


def _spelled_out(features: Sequence[Feature | Ratio]) -> tuple[Feature, ...]:
    """The features, with each ratio replaced by its two aggregates."""
    names = {each.definition: each.name for each in features if isinstance(each, Aggregate)}
    found: list[Feature] = []
    for each in features:
        found += each.spelled_out(names) if isinstance(each, Ratio) else [each]
    return tuple(found)


def _self_comparisons(features: Sequence[Feature], rules: Sequence[Rule]) -> list[str]:
    """Expressions that compare a field with an aggregate of it that contains the event itself."""
    found = []
    containing = {
        f.name: f for f in features if isinstance(f, Aggregate) and f.current and not f.delay and _holds_value(KINDS[f.kind])
    }
    expressions = [(f"feature {f.name!r}", f.sql) for f in features if isinstance(f, Derived)]
    expressions += [(f"rule {rule.name!r}", rule.when) for rule in rules]
    for place, sql in expressions:
        words = set(re.findall(r"[A-Za-z_]\w*", sql))
        for name in sorted(words & containing.keys()):
            feature = containing[name]
            if feature.field in words:
                found.append(
                    f"{place} compares {feature.field} with {name}, which contains the event itself; "
                    f"compare with {feature.entity.name}.{feature.kind}(..., current=False)"
                )
    return found


def _holds_value(kind: AggregateKind) -> bool:
    """Whether an aggregate of this kind reads the values of a field, including that of the event."""
    return kind.looks in ("window", "session") and (kind.field == "numbers" or kind.gives_field)


def _check_models(name: str, models: Sequence[Model]) -> None:
    names = [model.name for model in models]
    for model in names:
        if names.count(model) > 1:
            raise DeclarationError(f"detector {name!r}: two models are called {model!r}; give one of them another name=...")


def _check_columns(name: str, models: Sequence[Model], inputs: Sequence[str]) -> None:
    """Check the inputs that models name in `monotone` and `forbid`."""
    for model in models:
        for option in ("monotone", "forbid"):
            for column in getattr(model, option, ()):
                if column not in inputs:
                    raise DeclarationError(
                        f"detector {name!r}: model {model.name!r} has {option} for {column!r}, which is no input of models."
                        f"{did_you_mean(column, inputs)}"
                    )
