"""The messages that follow from what an owner has committed: made when it decides, or again from the journal."""

from collections.abc import Sequence

import msgspec

from penstock.engine import Engine
from penstock.ledger import Quarantined
from penstock.ledger.encoding import decode, header_of
from penstock.ledger.port import DECISIONS
from penstock.messages import Record
from penstock.stream.entry import decode as decode_entry
from penstock.stream.port import Outgoing

_encode = msgspec.json.Encoder().encode


def decided(record: Record, rendered: Sequence[bytes]) -> list[Outgoing]:
    """New decisions, by transaction id."""
    return list(map(Outgoing, ["decisions"] * len(rendered), record.ids, rendered))


def quarantined(event: Quarantined) -> Outgoing:
    """An event that could not be taken."""
    said = {"detector": event.detector, "cause": event.cause, "field": event.field}
    return Outgoing("quarantine", event.detector, _encode(said | {"body": event.body.decode(errors="replace")}))


def outgoing_of(engine: Engine, data: bytes) -> list[Outgoing]:
    """The outgoing messages of a journal entry that this engine has applied, as when it was committed."""
    entry = decode_entry(data)
    found: list[Outgoing] = []
    for frame in entry.frames:
        header = header_of(frame)
        record = decode(header, frame) if header is not None else None
        if record is not None and record.kind in DECISIONS:
            found += decided(record, engine.queries.render(record, range(len(record))))
    return found + list(map(quarantined, entry.quarantined))
