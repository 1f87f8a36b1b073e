"""Asynchronous writer of personal values into the vault: no decision waits for it."""

import logging
import queue
import threading
from collections.abc import Sequence

from penstock.errors import PenstockError
from penstock.privacy.vault import PersonalValue, Vault

_log = logging.getLogger("penstock.database")

MOST_WAITING = 100_000
"""Maximum of queued values; beyond it some are dropped, and cannot be shown later."""

_MOST_AT_ONCE = 1000


class VaultWriter:
    """Writes values from engines into a vault, in a separate thread. lost: number of dropped values."""

    def __init__(self, vault: Vault) -> None:
        self.lost = 0
        self.vault = vault
        self._waiting: queue.Queue[tuple[str, PersonalValue] | None] = queue.Queue(MOST_WAITING)
        self._thread = threading.Thread(target=self._run, name="penstock-personal", daemon=True)
        self._thread.start()

    def enqueue(self, detector: str, said: Sequence[PersonalValue]) -> None:
        """Queue values for writing."""
        for each in said:
            try:
                self._waiting.put_nowait((detector, each))
            except queue.Full:
                if not self.lost:
                    _log.error("the vault is behind: what some personal fields said is not kept")
                self.lost += 1

    def close(self) -> None:
        """Write queued values, and stop; idempotent."""
        if self._thread.is_alive():
            self._waiting.put(None)
            self._thread.join()

    def _run(self) -> None:
        while (first := self._waiting.get()) is not None:
            waiting, ended = [first], False
            while len(waiting) < _MOST_AT_ONCE and not self._waiting.empty():
                following = self._waiting.get()
                if following is None:
                    ended = True
                    break
                waiting.append(following)
            self._keep(waiting)
            if ended:
                return

    def _keep(self, waiting: Sequence[tuple[str, PersonalValue]]) -> None:
        try:
            for detector in sorted({name for name, _ in waiting}):
                self.vault.keep(detector, [said for name, said in waiting if name == detector])
        except PenstockError as error:
            self.lost += len(waiting)
            _log.error("what %d personal fields said is not kept: %s", len(waiting), error)
