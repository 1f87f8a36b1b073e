"""Conversion between batches and ledger records. A record holds everything needed to repeat a decision."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from penstock.codes import text_codes
from penstock.decision import TEXT, as_list, versions_of
from penstock.decision.record import DECIDED_BY
from penstock.decision.split_renderer import CONTRIBUTIONS, EXPLAINED
from penstock.detector import Detector
from penstock.engine.trials.shadow import ShadowEvaluator, ShadowResult
from penstock.features.state import OPEN, Closed
from penstock.ingest import ReadEvents
from penstock.ledger import ArchiveField, Ledger
from penstock.messages import Batch, Layout, Record, Type

_ACTIONS = ("APPROVE", "CHALLENGE", "REVIEW", "BLOCK")
_FIELD_TYPES = {Type.NUMBER: "number", Type.BOOLEAN: "boolean", Type.TIME: "time"}
_TYPES = {text: type_ for type_, text in _FIELD_TYPES.items()}


UNKNOWN = "unknown_fields"
"""The text column that holds, as JSON, the fields of an event that no type declares, where a detector keeps them."""


def layout_id(detector: Detector, members: Sequence[str], versions: Sequence[str | None] = ()) -> str:
    """Names the arrangement of columns in this detector's records. versions: of champion and challengers, if any."""
    unknown = "-unknown" if detector.schema.keep_unknown else ""
    tried = "".join(f"-{version}" for version in versions)
    return f"{detector.name}-{detector.version}-{'-'.join(members) or 'rules'}{unknown}{tried}"


def layout_fields(
    layout: Layout,
    members: Sequence[str],
    *,
    unknown: bool = False,
    trying: ShadowEvaluator | None = None,
    champion: str | None = None,
    lowers: bool = False,
    control: bool = False,
) -> dict[str, list[ArchiveField]]:
    """How the columns of records are called in the archive; columns that no user knows stay nameless.

    trying: what is tried next to the champion; it has separate columns. lowers: whether a rule can lower an outcome.
    control: whether some of what would be blocked is let through.
    """
    numbers = sorted((c for c in layout.values() if c.type is not Type.TEXT), key=lambda c: c.index)
    x = [ArchiveField(_public(c.name), _FIELD_TYPES[c.type]) for c in numbers]  # type: ignore[arg-type]  # the literal types of Field
    return {
        "x": x,
        "kinds": [ArchiveField("")],
        "scores": [ArchiveField("fraud_probability"), *(ArchiveField(f"score_{name}") for name in members)],
        "action": [ArchiveField("decision", "text", _ACTIONS)],
        "by": [ArchiveField("")],
        **({"lowered": [ArchiveField("lowered_decision", "text", _ACTIONS)]} if lowers else {}),
        **({"control": [ArchiveField("control_decision", "text", _ACTIONS)]} if control else {}),
        **_tried_fields(trying, champion),
        **{TEXT + c.name: [ArchiveField(c.name, "text")] for c in layout.values() if c.type is Type.TEXT},
        **({TEXT + UNKNOWN: [ArchiveField(UNKNOWN, "text")]} if unknown else {}),
    }


def _tried_fields(trying: ShadowEvaluator | None, champion: str | None) -> dict[str, list[ArchiveField]]:
    if trying is None:
        return {}
    names = ["champion_decision", *(would(name) for name in trying.names)]
    scores = ["champion_score", *(f"score_{name}" for name in trying.names[: len(trying.contenders)])]
    deciding = "" if trying.decider is None else trying.decider.challenger.version
    return {
        "would": [ArchiveField(name, "text", _ACTIONS) for name in names],
        "trial_scores": [ArchiveField(name) for name in scores],
        DECIDED_BY: [ArchiveField("versions_model", "text", (champion or "", deciding))],
    }


def would(trial: str) -> str:
    """The archive's column for the decisions of a trial's candidate."""
    return f"would_{trial}"


def keep_tried(record: Record, tried: ShadowResult | None, meta: Mapping[str, Any]) -> None:
    """Put what was tried into the record, before it goes to the ledger. meta: what is to be said of challengers."""
    if tried is None:
        return
    record.columns["would"] = tried.would
    record.meta["trial_ms"] = {name: ns // 100 / 10_000 for name, ns in zip(tried.names, tried.spent_ns, strict=True)}
    if tried.errors:
        record.meta["trial_errors"] = dict(tried.errors)
    if tried.scores is None or tried.decided_by is None:
        return
    record.columns |= {"trial_scores": tried.scores, DECIDED_BY: tried.decided_by}
    record.meta |= meta
    if len(tried.explained):
        record.meta[EXPLAINED] = tried.explained.tobytes()
        record.meta[CONTRIBUTIONS] = tried.contributions.astype(np.float32).tobytes()


def _public(name: str) -> str:
    """What a column is called outside: `rule_NAME` where a rule acted, `watch_NAME` where one would have."""
    kind, _, rest = name.rpartition(":")
    return "" if kind == "where" else f"{kind}_{rest}" if kind else rest


def rule_of(column: str, columns: Sequence[str]) -> str | None:
    """The rule whose condition a column of a record tells, whether it acted or only watched; None where it tells of none.

    >>> columns = ["amount", "rule:spike", "watch:spike", "watch_night", "rule:night"]
    >>> [rule_of(column, columns) for column in columns]
    [None, 'spike', 'spike', 'night', 'night']
    """
    kind, _, rule = column.replace("watch_", "watch:", 1).partition(":")
    return rule if kind == "rule" or (kind == "watch" and f"rule:{rule}" in columns) else None


def revisions_of(record: Record) -> dict[str, int]:
    """The revision of every list that rules asked when a record was decided, by name."""
    lists = versions_of(record).lists
    pairs = (text.rpartition(" ") for text in lists.split(", ")) if isinstance(lists, str) else ()
    return {name: int(version.partition("-")[0]) for name, _, version in pairs}


def layout_of(fields: Mapping[str, Sequence[ArchiveField]]) -> Layout:
    """The layout that `layout_fields` described: where each column stood; rules and nameless ones are not found by name."""
    layout = Layout()
    for place, field in enumerate(fields["x"]):
        known = field.name and field.name not in layout
        layout.add(field.name if known else f":{place}", _TYPES.get(field.type, Type.NUMBER))
    for name in fields:
        if name.startswith(TEXT) and name != TEXT + UNKNOWN:
            layout.add(name.removeprefix(TEXT), Type.TEXT)
    return layout


def keep_unknown(read: ReadEvents) -> None:
    """Add undeclared fields of events to the record."""
    if read.extras:
        read.batch.texts[UNKNOWN] = [None if extra is None else extra.decode() for extra in read.extras]


def applied(batch: Batch, kind: str, detector: str, first_seq: int, meta: Mapping[str, Any], codes: Any = None) -> Record:
    """The record of events without decisions."""
    return Record(
        kind=kind,
        detector=detector,
        first_seq=first_seq,
        ids=as_list(batch.ids),
        codes=text_codes(batch.ids) if codes is None else codes,
        time_us=batch.time_us,
        arrived_us=batch.arrived_us,
        columns={"x": batch.x, "kinds": batch.kinds, **{TEXT + name: as_list(texts) for name, texts in batch.texts.items()}},
        meta=dict(meta),
    )


def batch_of(record: Record, detector: Detector, names: Sequence[str] | None, fields: Collection[str] | None = None) -> Batch:
    """The events of a record, with their fields alone: everything else is computed again.

    names: what the columns of the record's matrix were called; None where they are those of `detector` today. fields: those
    that are wanted; None for all.
    """
    layout = detector.plan.layout
    n = len(record)
    stored: Any = record.columns["x"]
    x = np.full((n, layout.width), np.nan)
    codes = np.zeros((n, layout.text_width), np.int64)
    texts: dict[str, Sequence[str | None]] = {}
    for name, type_ in detector.schema.columns.items():
        if fields is not None and name not in fields:
            continue
        column = layout[name]
        if type_ is Type.TEXT:
            values: Any = record.columns.get(TEXT + name)
            texts[name] = list(values) if values is not None else [None] * n
            codes[:, column.index] = text_codes(texts[name])
        elif names is None:
            x[:, column.index] = stored[:, column.index]
        elif name in names:
            x[:, column.index] = stored[:, names.index(name)]
    kinds: Any = record.columns.get("kinds")
    kinds = np.zeros(n, np.uint8) if kinds is None else np.ascontiguousarray(kinds)
    return Batch(record.ids, kinds, record.time_us, record.arrived_us, x, codes, texts)


CLOSED = "closed"
"""Where the meta of a record says which of its events had to stay out of state; see `features.state.Closed`."""


def keep_closed(record: Record, closed: Closed) -> None:
    """Store in the record which events state refused, so that a replay refuses them, too."""
    if closed != OPEN:
        record.meta[CLOSED] = list(closed)


def closed_of(record: Record) -> Closed:
    """The events of a record that were refused by state."""
    return Closed(*record.meta.get(CLOSED, OPEN))


def rows_of(record: Record, rows: Sequence[int]) -> Record:
    """Some rows of a record, as a record of their own, which is numbered from the first of them."""
    columns = {
        name: [column[row] for row in rows] if isinstance(column, list) else column[rows]
        for name, column in record.columns.items()
    }
    return Record(
        record.kind,
        record.detector,
        record.first_seq + rows[0],
        [record.ids[row] for row in rows],
        record.codes[rows],
        record.time_us[rows],
        record.arrived_us[rows],
        columns,
        record.meta,
    )


def events_at(ledger: Ledger, seqs: Sequence[int] | NDArray[np.int64]) -> list[tuple[Record, int] | None]:
    """The record and row of each sequence number; None where it is negative or forgotten. Each record is read once."""
    found: list[tuple[Record, int] | None] = [None] * len(seqs)
    record: Record | None = None
    for place in np.argsort(seqs, kind="stable").tolist():
        seq = int(seqs[place])
        if seq < 0:
            continue
        if record is None or not record.first_seq <= seq < record.first_seq + len(record):
            at = ledger.record_of(seq)
            record = None if at is None else at[0]
        if record is not None:
            found[place] = record, seq - record.first_seq
    return found


def same_content(left: Batch, left_row: int, right: Batch, right_row: int, fields: Mapping[str, Type], layout: Layout) -> bool:
    """Whether two events have equal fields; their arrival may differ."""
    for name, type_ in fields.items():
        column = layout[name]
        if type_ is Type.TEXT:
            same = left.codes[left_row, column.index] == right.codes[right_row, column.index]
        else:
            a, b = left.x[left_row, column.index], right.x[right_row, column.index]
            same = a == b or (np.isnan(a) and np.isnan(b))
        if not same:
            return False
    return True
