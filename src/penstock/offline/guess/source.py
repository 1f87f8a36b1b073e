"""The Python file of a guessed detector: readable, with each guess explained above its line."""

import json
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import polars as pl

from penstock.clock import from_us
from penstock.ingest.series import FALSE, TRUE
from penstock.offline.guess.features import entity_lines, feature_lines, rule_lines
from penstock.offline.guess.guessed import NOT_A_TIME, Guess, Guessed
from penstock.offline.guess.profile import FileColumn

_WIDTH = 118
_INDENT = "    "


class SuggestedFeatures(NamedTuple):
    """Features that a search found: lines of their entities and declarations, and the names of those that models read.

    said: what the search gained. known_in_time: those over earlier events, which may separate the classes.
    """

    said: str
    entities: Sequence[str]
    features: Sequence[str]
    inputs: Sequence[str]
    known_in_time: Sequence[str] = ()

    def lines(self) -> Iterator[str]:
        """Their part of the file."""
        yield from ("", *_comment(self.said), *self.entities, "", "suggested = [")
        yield from (f"{_INDENT}{line}" for line in self.features)
        yield "]"


def source(
    guessed: Guessed,
    name: str,
    *,
    file: str,
    path: str,
    without: Mapping[str, str] | None = None,
    limits: Mapping[str, float] | None = None,
    further: SuggestedFeatures | None = None,
) -> str:
    """The text of the file.

    Args:
        guessed: the guesses.
        name: of the detector.
        file: the name of the written file, for the commands in it.
        path: of the recorded file.
        without: inputs that models shall not read, and why.
        limits: of features that rules watch; see `limits_of`.
        further: features that a search found.
    """
    without = without or {}
    parts = [
        _head(guessed, file, path),
        _imports(guessed, further),
        _event(guessed),
        _left_out(guessed),
        _recorded(guessed),
        _features(guessed),
        *([further.lines()] if further else []),
        _inputs(guessed, without, further),
        _detector(guessed, name, limits or {}, further),
    ]
    return "\n\n".join("\n".join(lines) for part in parts if (lines := list(part))) + "\n"


def _head(guessed: Guessed, file: str, path: str) -> Iterator[str]:
    known = guessed.time.instants_us[guessed.time.instants_us != NOT_A_TIME]
    span = f"{from_us(int(known.min())):%Y-%m-%d} to {from_us(int(known.max())):%Y-%m-%d}"
    yield f'"""A detector of the payments in {guessed.file}: {len(guessed.frame):,} rows from {span}.'
    yield ""
    yield "`penstock init` guessed what the columns mean. Above each line stands what was seen, how sure that is, and what else"
    yield f"it might be: change what is wrong, and {'train' if guessed.label is not None else 'replay'} again:"
    yield ""
    again = "train {} --data {} --save --promote" if guessed.label is not None else "replay {} {}"
    yield f"    penstock {again.format(file, path)}"
    if guessed.nested:
        yield ""
        yield "Nested fields of the file are fields of their own here (`card.id` is `card_id`), also in events sent live."
    for note in guessed.notes:
        yield ""
        yield from textwrap.wrap(f"Note: {note}.", _WIDTH)
    yield '"""'


def _imports(guessed: Guessed, further: SuggestedFeatures | None) -> Iterator[str]:
    steps = guessed.time.every is not None
    yield "from datetime import UTC, datetime" if steps else "from datetime import datetime"
    yield ""
    yield "import msgspec"
    conversions = sorted({name for name, _ in _conversions(guessed)})
    if conversions:
        yield "import polars as pl"
    yield ""
    names = {"Detector", "Policy", "derive"} | ({"Entity"} if guessed.keys or (further and further.entities) else set())
    names |= {"Label", "LogisticRegression", "XGBoost"} if guessed.label is not None else set()
    names |= {"Rule"} if list(rule_lines(guessed)) else set()
    yield f"from penstock import {', '.join(sorted(names, key=_sorted_as_imports))}"
    if steps:
        yield "from penstock.ingest import Steps"
    if conversions:
        yield f"from penstock.ingest.conversions import {', '.join(conversions)}"


def _sorted_as_imports(name: str) -> tuple[bool, str]:
    return name[0].islower(), name


# ---------------------------------------------------------------- the event


def _event(guessed: Guessed) -> Iterator[str]:
    yield ""
    yield "class Payment(msgspec.Struct, kw_only=True):"
    yield f'    """A payment, by the columns of {guessed.file}. Live it comes as JSON with these fields."""'
    yield ""
    id_field = guessed.id.field if guessed.id is not None else id_name(guessed)
    yield from _field(guessed.id_guess, f"{id_field}: {'str' if guessed.id is not None else 'str | None = None'}")
    yield from _time_fields(guessed)
    for key in guessed.keys:
        yield from _field(key.guess, _typed(key.column, "str"))
    if guessed.amount is not None:
        yield from _field(guessed.amount.guess, _typed(guessed.amount.column, "float"))
    if guessed.currency is not None and guessed.currency_guess is not None:
        yield from _field(guessed.currency_guess, _typed(guessed.currency, "str"))
    for column, guess in guessed.categories:
        yield from _field(guess, _optional(column, "bool" if _is_yes_or_no(column) else "str"))
    for column, guess in guessed.numbers:
        yield from _field(guess, _optional(column, "bool" if str(column.values.dtype) == "Boolean" else "float"))
    for each in guessed.times:
        yield from _field(each.guess, _optional(each.column, "datetime"))
    if guessed.label is not None:
        yield from _field(
            guessed.label.guess, f"{guessed.label.column.field}: bool | None = None  # in recorded data; no model reads it"
        )


def id_name(guessed: Guessed) -> str:
    """The id's name where the file has none."""
    taken = {column.field for column in guessed.columns}
    return next(name for name in ("transaction_id", "payment_id", "event_id") if name not in taken)


def _time_fields(guessed: Guessed) -> Iterator[str]:
    time = guessed.time
    if time.every is None:
        yield from _field(time.guess, f"{time.field}: datetime")
        return
    yield from _field(time.guess, f"{time.field}: datetime | None = None")
    [column] = time.columns
    yield f"{_INDENT}{column.field}: {'int' if _is_written_whole(column) else 'float'} | None = None  # in place of a time"


def _is_written_whole(column: FileColumn) -> bool:
    texts = column.present.cast(pl.String)
    return column.is_whole and not texts.str.contains(".", literal=True).any()


def _field(guess: Guess, declared: str) -> Iterator[str]:
    yield from _comment(guess.text, _INDENT)
    yield _INDENT + declared


def _comment(text: str, indent: str = "") -> Iterator[str]:
    for at, line in enumerate(textwrap.wrap(text, _WIDTH - len(indent) - 4, break_long_words=False)):
        yield f"{indent}# {'  ' if at else ''}{line}"


def _typed(column: FileColumn, kind: str) -> str:
    return _optional(column, kind) if column.missing else f"{column.field}: {kind}"


def _optional(column: FileColumn, kind: str) -> str:
    return f"{column.field}: {kind} | None = None"


def _is_yes_or_no(column: FileColumn) -> bool:
    words = {str(value).lower() for value in column.present.unique().to_list()}
    return words <= {*TRUE, *FALSE}


def _left_out(guessed: Guessed) -> Iterator[str]:
    late = [each for each in guessed.left_out if each.late]
    other = [each for each in guessed.left_out if not each.late]
    for title, found in (
        ("Left out, because it seems to be known only after the decision. Models that learn from it fail live.", late),
        ("Left out, because it says nothing about a single payment, or in a form that models cannot read.", other),
    ):
        if found:
            yield ""
            yield f"# {title}"
            yield f"# If that is wrong, declare the field in Payment{' and name it in inputs' if found is late else ''}:"
            for each in found:
                yield from _comment(f"  {each.column or '(without a name)'}: {each.why}")


# ---------------------------------------------------------------- the file


def _recorded(guessed: Guessed) -> Iterator[str]:
    lines = [line for _, line in _conversions(guessed)]
    if not lines:
        return
    if guessed.time.every is not None:
        yield ""
        yield "START = datetime(2020, 1, 1, tzinfo=UTC)  # of step 0: any will do, but weekdays follow from it"
        yield ""
    yield ""
    yield "def recorded(frame: pl.DataFrame) -> pl.DataFrame:"
    yield f'    """The columns of {guessed.file} as the fields of Payment."""'
    for line in lines:
        yield from _code(f"frame = {line}")
    yield "    return frame"


def _conversions(guessed: Guessed) -> Iterator[tuple[str, str]]:
    """The functions that are called on a file, in order, with the call."""
    if guessed.nested:
        yield "flat", "flat(frame)"
    if guessed.marks:
        yield "without_marks", f"without_marks(frame, [{', '.join(map(_quoted, guessed.marks))}])"
    time = guessed.time
    made = len(time.columns) > 1
    names = {column.name: column.field for column in _used(guessed) if column.name != column.field}
    if names:
        shown = ", ".join(f"{_quoted(old)}: {_quoted(new)}" for old, new in names.items())
        yield "renamed", f"renamed(frame, {{{shown}}})"
    if time.every is not None:
        yield "read_steps", f'read_steps(frame, "{time.field}", "{time.columns[0].field}", every="{time.every}", start=START)'
    elif time.pattern is not None:
        of = ", of=[" + ", ".join(f'"{column.field}"' for column in time.columns) + "]" if made else ""
        yield "read_times", f'read_times(frame, "{time.field}", "{time.pattern}"{of})'
    for each in guessed.times:
        if each.pattern is not None:
            yield "read_times", f'read_times(frame, "{each.column.field}", "{each.pattern}")'
    numeric = [guessed.amount.column] if guessed.amount is not None else []
    for column in [*numeric, *(column for column, _ in guessed.numbers)]:
        if column.form is not None and not column.form.bare:
            thousands = f', thousands="{column.form.thousands}"' if column.form.thousands else ""
            yield "read_numbers", f'read_numbers(frame, "{column.field}", decimal="{column.form.decimal}"{thousands})'
    if guessed.label is not None and guessed.label.words:
        words = ", ".join(_quoted(word) for word in guessed.label.words)
        yield "read_labels", f'read_labels(frame, "{guessed.label.column.field}", fraud=[{words}])'


def _used(guessed: Guessed) -> Iterable[FileColumn]:
    yield from filter(None, [guessed.id, guessed.currency])
    yield from guessed.time.columns
    yield from (key.column for key in guessed.keys)
    yield from (each.column for each in (guessed.amount, guessed.label) if each is not None)
    yield from (column for column, _ in [*guessed.categories, *guessed.numbers])
    yield from (each.column for each in guessed.times)


# ---------------------------------------------------------------- what is computed and decided


def _features(guessed: Guessed) -> Iterator[str]:
    yield from ["", *entity_lines(guessed), ""] if guessed.keys else [""]
    yield "features = ["
    yield from (f"    {line}" for line in feature_lines(guessed))
    yield "]"


def _inputs(guessed: Guessed, without: Mapping[str, str], further: SuggestedFeatures | None) -> Iterator[str]:
    """What models read, where there are any."""
    if guessed.label is None:
        return
    fields = [guessed.amount.column] if guessed.amount is not None else []
    fields += [guessed.currency] if guessed.currencies > 1 and guessed.currency is not None else []
    fields += [column for column, _ in [*guessed.categories, *guessed.numbers]]
    read = [column.field for column in fields if column.field not in without]
    suggested = further.inputs if further else ()
    declared = {*suggested, *(column.field for column in fields)}
    computed = [name for name in without if name not in declared]
    for name, why in without.items():
        yield from _comment(f"No model reads {name}: {why}")
    yield "inputs = ["
    yield from _listed(read)
    if computed:
        excluded = ", ".join(f'"{name}"' for name in computed)
        yield f"    *(feature.name for feature in features if feature.name not in {{{excluded}}}),"
    else:
        yield "    *(feature.name for feature in features),"
    yield from _listed(name for name in suggested if name not in without)
    yield "]"


def _listed(names: Iterable[str]) -> list[str]:
    """Names in quotes, as many as fit a line."""
    text = "".join(f'"{name}", ' for name in names)
    return textwrap.wrap(text, _WIDTH, initial_indent=_INDENT, subsequent_indent=_INDENT)


def _detector(guessed: Guessed, name: str, limits: Mapping[str, float], further: SuggestedFeatures | None) -> Iterator[str]:
    time, label = guessed.time, guessed.label
    rules = list(rule_lines(guessed, limits))
    yield "detector = Detector("
    yield f'    name="{name}",'
    id_field = guessed.id.field if guessed.id is not None else id_name(guessed)
    yield f'    event=Payment, id="{id_field}", time="{time.field}",'
    if time.every is not None:
        yield f'    steps=Steps("{time.columns[0].field}", every="{time.every}", start=START),'
    if label is not None:
        yield from _comment(
            "A label counts in training from so long after its payment: say how long chargebacks take with you.", _INDENT
        )
        yield f'    label=Label("{label.column.field}", delay="{label.delay}"),'
    features = "[*features, *suggested]" if further else "features"
    yield f"    features={features},{' inputs=inputs,' if label is not None else ''}"
    yield f"    models=[{'XGBoost(), LogisticRegression()' if label is not None else ''}],"
    if rules:
        yield "    rules=["
        yield from (f"        {line}" for line in rules)
        yield "    ],"
    if label is not None:
        yield "    # Thresholds are left open: training chooses them. on_failure is decided where a model fails."
    yield '    policy=Policy(on_failure="review"),'
    if (time.naive or guessed.times) and time.every is None:
        yield f'    naive_times="{time.zone}",  # what a time without a zone means'
    yield from _in_lists(guessed)
    personal = [key.column.field for key in guessed.keys if key.personal]
    if personal:
        yield f"    personal=[{', '.join(map(_quoted, personal))}],  # stored as tokens, never as they came"
    if any(True for _ in _conversions(guessed)):
        yield "    recorded=recorded,"
    yield ")"


def _in_lists(guessed: Guessed) -> Iterator[str]:
    """What names a payment in lists: who pays, who is paid, how much, and the currency."""
    payer = next((key.column.field for key in guessed.keys if key.pays), None)
    payee = next((key.column.field for key in guessed.keys if not key.pays), None)
    if payer or payee:
        yield f"    headline=({_name_or_none(payer)}, {_name_or_none(payee)}),  # who pays whom, in lists of the console"
    if guessed.amount is not None:
        yield f"    amount={_quoted(guessed.amount.column.field)},"
    if guessed.amount is not None and (currency := _currency(guessed)) is not None:
        yield f'    currency="{currency}",'


def _name_or_none(name: str | None) -> str:
    return "None" if name is None else _quoted(name)


def _currency(guessed: Guessed) -> str | None:
    """The field that holds it, or the one that the amount is written with."""
    if guessed.currency is not None:
        return guessed.currency.field
    assert guessed.amount is not None
    column = guessed.amount.column
    written = str(column.present[0]) if len(column.present) else ""
    return next((code for sign, code in _SIGNS.items() if sign in written or code.lower() in column.words), None)


_SIGNS = {"€": "EUR", "$": "USD", "£": "GBP", "¥": "JPY", "₹": "INR"}


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _code(line: str) -> Iterator[str]:
    """A call in one line, or with its parts in lines of their own where it is longer."""
    if len(line) <= _WIDTH - len(_INDENT):
        yield _INDENT + line
        return
    start, _, rest = line.partition("{")
    yield f"{_INDENT}{start}{{"
    yield from (f"{_INDENT * 2}{part}," for part in rest.removesuffix("})").split(", "))
    yield f"{_INDENT}}})"
