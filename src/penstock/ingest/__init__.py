"""Event intake: schemas read from Structs; bytes, objects and frames read into micro-batches."""

from penstock.ingest.personal import PREFIX, tokeniser
from penstock.ingest.quarantine import is_masked, masked, masked_event
from penstock.ingest.reader import Reader, ReadEvents
from penstock.ingest.schema import EventType, Schema
from penstock.ingest.steps import Steps
from penstock.ingest.texts import SeriesTexts

__all__ = [
    "PREFIX",
    "EventType",
    "ReadEvents",
    "Reader",
    "Schema",
    "SeriesTexts",
    "Steps",
    "is_masked",
    "masked",
    "masked_event",
    "tokeniser",
]
