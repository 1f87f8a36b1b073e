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
from penstock.ledger.tables import Answered, Delivery, DetectorVersion, Field, Label, Outcome, Quarantined, Raised, Tables

__all__ = [
    "INDEXED",
    "Answered",
    "Claims",
    "Delivery",
    "DetectorVersion",
    "Field",
    "FileLedger",
    "KeepsRecent",
    "Label",
    "Ledger",
    "MemoryLedger",
    "Outcome",
    "Quarantined",
    "Raised",
    "RecentRecords",
    "Tables",
]
