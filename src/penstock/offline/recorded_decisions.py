"""Recorded decisions, as answered, from the ledger of a data folder. Safe while a service owns the folder."""

from collections.abc import Collection, Iterator, Mapping, Sequence

from penstock.detector import Detector
from penstock.engine import Engine
from penstock.errors import DataError, LedgerError
from penstock.ledger import ArchiveField, Ledger, MemoryLedger
from penstock.ledger.port import DECISIONS, Done
from penstock.messages import Record


class Shown(MemoryLedger):
    """A read-only view of another ledger for an engine: lookups by id, and nothing to recover.

    Nothing can be appended, and what the engine notes in tables stays in memory.
    """

    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._shown = ledger
        for version in ledger.tables.versions():
            self.tables.put_version(version)

    def read(self, from_position: int = 0, kinds: Collection[str] | None = None) -> Iterator[tuple[int, Record]]:  # noqa: ARG002 -- the port's signature
        """Nothing: the state is not needed to show a decision."""
        return iter(())

    def find(
        self, detector: str, transaction_id: str, kinds: Collection[str] = DECISIONS, *, until_us: int | None = None
    ) -> tuple[Record, int] | None:
        """As in the ledger that is shown."""
        return self._shown.find(detector, transaction_id, kinds, until_us=until_us)

    def layouts(self) -> Mapping[str, Mapping[str, Sequence[ArchiveField]]]:
        """The layouts of the other ledger, and those that this engine added."""
        return {**super().layouts(), **self._shown.layouts()}

    def append(self, record: Record, done: Done | None = None) -> int:  # noqa: ARG002 -- the port's signature
        """Never."""
        raise LedgerError("a ledger that is only shown takes no records; open the data folder with an engine to write")


def explain(detector: Detector, ledger: Ledger, transaction_id: str) -> bytes:
    """The recorded decision as JSON.

    Args:
        detector: that decided.
        ledger: holds the decision; may be open for reading only.
        transaction_id: of the decision.

    Raises:
        DataError: there is no such decision.
    """
    with Engine(detector, wait_for_models=True, ledger=Shown(ledger)) as engine:
        found = engine.queries.transaction(transaction_id)
    if found is None:
        raise DataError(f"there is no decision about {transaction_id!r} of detector {detector.name!r} here")
    return found
