"""Storage of decisions, labels and all other state that must survive the process; `port.Ledger` is the contract.

port        the contract                     memory      the reference, in memory
tables      the SQL side of the contract     embedded    the files of one folder
claims      deduplication of ids             snapshots   engine state on disk, as of a position of the log
archive     Parquet, and SQL over all of it
"""

from penstock.ledger.claims import Claims
from penstock.ledger.embedded import FileLedger
from penstock.ledger.identities import INDEXED
from penstock.ledger.memory import MemoryLedger
from penstock.ledger.port import Ledger
from penstock.ledger.recent_records import KeepsRecent, RecentRecords
from penstock.ledger.tables import (
    ArchiveField,
    Delivery,
    DetectorVersion,
    FallbackAnswer,
    LedgerLabel,
    Outcome,
    Quarantined,
    Raised,
    Tables,
)

__all__ = [
    "INDEXED",
    "ArchiveField",
    "Claims",
    "Delivery",
    "DetectorVersion",
    "FallbackAnswer",
    "FileLedger",
    "KeepsRecent",
    "Ledger",
    "LedgerLabel",
    "MemoryLedger",
    "Outcome",
    "Quarantined",
    "Raised",
    "RecentRecords",
    "Tables",
]
