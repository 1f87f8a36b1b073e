"""What is refused: kept with its cause, for people to look at and send again."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from penstock.errors import LedgerError
from penstock.ingest import Read, masked
from penstock.ledger import Quarantined

if TYPE_CHECKING:
    from penstock.engine.engine import Engine


class Refused:
    """The quarantine of one engine, written beside the path: nobody waits for it."""

    def __init__(self, engine: "Engine") -> None:
        self._engine = engine
        self._aside = ThreadPoolExecutor(1, thread_name_prefix="penstock-aside")

    def keep(self, bodies: Sequence[bytes], read: Read) -> None:
        """Keep what of these bodies was refused."""
        if read.refused:
            self._aside.submit(self._write, self.of(bodies, read))

    def of(self, bodies: Sequence[bytes], read: Read) -> list[Quarantined]:
        """What of these bodies was refused, as it is kept."""
        if not read.refused:
            return []
        engine = self._engine
        now, personal = engine.clock(), engine.detector.schema.personal
        kept = []
        for row, refusal in read.refused:
            where = refusal.errors[0][0] if refusal.errors else None
            kept.append(Quarantined(engine.detector.name, now, refusal.detail, where, masked(bodies[row], personal)))
        engine.totals.quarantined += len(kept)
        return kept

    def _write(self, kept: list[Quarantined]) -> None:
        try:
            self._engine.ledger.tables.quarantine(kept)
        except LedgerError:
            self._engine.totals.quarantine_lost += len(kept)

    def close(self) -> None:
        """Finish what is being written."""
        self._aside.shutdown(wait=True)
