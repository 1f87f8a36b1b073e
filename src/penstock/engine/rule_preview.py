"""A condition evaluated on one event as a rule would see it, by a running engine, which stays as it is.

The event is looked at on the engine's thread. What evaluates the condition may run on any: it is compiled for this one event,
which takes longer than the event itself, and must not keep others waiting.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np

from penstock.codes import text_codes
from penstock.decision.reasons import public, typed
from penstock.detector import Detector
from penstock.detector.plan import scope
from penstock.engine.engine import Engine
from penstock.errors import MalformedEvent, NotFound
from penstock.messages import Action, Batch, Record, Type
from penstock.rules import Rule, RuleSet
from penstock.wording import Value


@dataclass(frozen=True, slots=True)
class PreviewResult:
    """The preview of a condition on one event.

    fired: None where it cannot be told, because something that it reads is missing; the rule does not fire then. values: what
    it reads. sentence: the reason, where it fired. decision: what was decided, or would be without the rule.
    """

    transaction_id: str
    fired: bool | None
    values: Mapping[str, float | bool | str | None]
    sentence: str | None
    decision: str


Evaluate = Callable[[], PreviewResult]
"""Says what the condition is, on any thread.

Raises:
    DeclarationError: the rule cannot work.
"""


def on_event(engine: Engine, rule: Rule, body: bytes) -> Evaluate:
    """A function that evaluates the condition on a hypothetical event.

    Raises:
        MalformedEvent: it is no transaction.
    """
    read = engine.reader.read([body], engine.clock())
    for _, refusal in read.refused:
        raise MalformedEvent(refusal.detail, refusal.errors[0][0] if refusal.errors else None)
    if read.batch.kinds[0]:
        raise MalformedEvent("this is an informing event, which rules are not asked about", "type")
    judged = engine.pipeline.decide(read.batch, engine.ledger.next_seq, write=False, explain=False)
    action = Action(int(judged.verdicts.action[0]))
    return partial(_seen, engine.detector, rule, judged.batch, action)


def on_recorded(engine: Engine, rule: Rule, transaction_id: str) -> Evaluate:
    """A function that evaluates the condition on a recorded transaction, with the recorded values.

    Raises:
        NotFound: nothing was decided about it here.
    """
    found = engine.ledger.find(engine.detector.name, transaction_id)
    if found is None:
        raise NotFound(f"there is no decision about {transaction_id[:200]!r}")
    record, row = found
    columns: dict[str, np.ndarray] = record.columns  # type: ignore[assignment]  # the columns named here are arrays
    return partial(_seen, engine.detector, rule, _recorded(engine, record, row), Action(int(columns["action"][row])))


def _recorded(engine: Engine, record: Record, row: int) -> Batch:
    """One recorded row, in the layout of today; what was not recorded is null."""
    layout = engine.detector.plan.layout
    x, codes = np.full((1, layout.width), np.nan), np.zeros((1, layout.text_width), np.int64)
    texts: dict[str, list[str | None]] = {}
    for name, column in layout.items():
        value = engine.queries.value(record, row, name)
        if column.type is Type.TEXT:
            texts[name] = [value if isinstance(value, str) else None]
            codes[0, column.index] = text_codes(texts[name])[0]
        elif isinstance(value, float):
            x[0, column.index] = value
    here = slice(row, row + 1)
    return Batch(record.ids[here], np.zeros(1, np.uint8), record.time_us[here], record.arrived_us[here], x, codes, dict(texts))


def _seen(detector: Detector, rule: Rule, batch: Batch, action: Action) -> PreviewResult:
    """The rule alone, over the columns that all rules may read."""
    layout = detector.plan.layout.without("rule:", "watch:")
    own = layout.width
    rules = RuleSet([rule], layout, scope(layout), detector.lists)
    x = np.full((1, layout.width), np.nan)
    x[:, :own] = batch.x[:, :own]
    rules.run(Batch(batch.ids, batch.kinds, batch.time_us, batch.arrived_us, x, batch.codes, batch.texts))
    [compiled] = rules.rules

    def value(name: str) -> Value:
        column = layout[name]
        return batch.texts[name][0] if column.type is Type.TEXT else typed(float(x[0, column.index]), column.type)

    answer = float(x[0, compiled.watch])
    fired = None if np.isnan(answer) else answer == 1.0
    sentence = compiled.sentence({name: value(name) for name in compiled.said}) if fired else None
    read = {name: public(value(name)) for name in compiled.reads}
    return PreviewResult(batch.ids[0], fired, read, sentence, action.name)
