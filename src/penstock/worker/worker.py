"""One worker process: it takes part in elections, and runs each shard."""

import logging
import threading
from typing import Any

from penstock.engine.statistics.totals import Meter
from penstock.errors import BrokerError, PenstockError
from penstock.stream.parts import Parts
from penstock.worker.shard import ShardRunner

_SIGNALLED_WITHIN_S = 0.2

_log = logging.getLogger(__name__)


class Worker:
    """Runs the shards of one detector until stopped.

    Args:
        parts: the worker's parts.
        name: the name of this process, for people.
        shards: their number.
        takeover: claim from a living owner, which then ends.
    """

    def __init__(self, parts: Parts, name: str, shards: int, *, takeover: bool = False) -> None:
        self._candidate = parts.broker.candidate(name)
        self.seats = [
            ShardRunner(parts, shard, self._candidate, name, alone=shards == 1, takeover=takeover) for shard in range(shards)
        ]
        self._stop = threading.Event()
        self._failures: list[BaseException] = []

    def run(self) -> None:
        """Serve until `stop`, or until every shard has ended.

        Raises:
            PenstockError: a shard cannot continue.
        """
        threads = [threading.Thread(target=self._sit, args=(seat,), name=f"penstock-shard-{seat.shard}") for seat in self.seats]
        for thread in threads:
            thread.start()
        for thread in threads:
            # A signal just before the main thread waits does not end the wait: its handler runs after it.
            while thread.is_alive():
                thread.join(_SIGNALLED_WITHIN_S)
        self._candidate.close()
        if self._failures:
            raise self._failures[0]

    def _sit(self, seat: ShardRunner) -> None:
        try:
            seat.run(self._stop)
        except PenstockError as error:
            self._fail(error)
        except Exception as error:  # noqa: BLE001  whatever it is, the other seats end too, and the process says so
            _log.exception("shard %d", seat.shard)
            self._fail(BrokerError(f"shard {seat.shard} cannot go on: {type(error).__name__}: {error}"))

    def _fail(self, error: BaseException) -> None:
        self._failures.append(error)
        self._stop.set()

    def stop(self) -> None:
        """Commit what has been decided, feed the sinks, and end."""
        self._stop.set()

    def status(self) -> list[dict[str, Any]]:
        """The status of each shard."""
        return [seat.status() for seat in self.seats]

    def meters(self) -> dict[int, Meter]:
        """The measurements of engines by shard; without those being opened."""
        found = {seat.shard: seat.meter for seat in self.seats}
        return {shard: meter for shard, meter in found.items() if meter is not None}
