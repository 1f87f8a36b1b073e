"""The way in: event types read from Structs, and bytes, objects and frames read into micro-batches of them."""

from penstock.ingest.personal import PREFIX, tokeniser
from penstock.ingest.quarantine import masked
from penstock.ingest.reader import Read, Reader
from penstock.ingest.schema import EventType, Schema
from penstock.ingest.steps import Steps
from penstock.ingest.texts import SeriesTexts

__all__ = ["PREFIX", "EventType", "Read", "Reader", "Schema", "SeriesTexts", "Steps", "masked", "tokeniser"]
