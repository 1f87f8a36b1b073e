"""The delivery queue of one channel: bounded, delivered in the background, with retries.

`post` never blocks. Delivered and failed alerts are recorded in the delivery log.
"""

import heapq
import logging
import threading
import time

from penstock.alerts.alert import Alert
from penstock.alerts.channel import Channel, Undelivered
from penstock.clock import Clock, system_clock
from penstock.errors import LedgerError
from penstock.ledger import Delivery, Outcome, Tables

_log = logging.getLogger("penstock.alerts")


class DeliveryQueue:
    """Delivers through one channel in a separate thread.

    Args:
        channel: the receiver.
        tables: hold the delivery log.
        attempts: the number after which an alert is given up.
        first_wait_s, longest_wait_s: the pause after the first failure; it doubles with each further one up to the longest.
        room: the maximum of waiting alerts; beyond it the one due last is given up.

    trouble: why the last attempt failed; None if it succeeded.
    """

    def __init__(
        self,
        channel: Channel,
        tables: Tables,
        *,
        attempts: int = 16,
        first_wait_s: float = 1.0,
        longest_wait_s: float = 300.0,
        room: int = 1000,
        clock: Clock = system_clock,
    ) -> None:
        self.channel = channel
        self._tables, self._clock = tables, clock
        self._attempts, self._room = attempts, room
        self._first_wait_s, self._longest_wait_s = first_wait_s, longest_wait_s
        self._waiting: list[tuple[float, int, int, Alert]] = []
        self._given_up: list[tuple[int, Alert]] = []
        self._posted = 0
        self._changed = threading.Condition()
        self._closed = False
        self.busy = False
        self.trouble: str | None = None
        self._thread = threading.Thread(target=self._run, name=f"penstock-alerts-{channel.name}", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Number of alerts to deliver."""
        return len(self._waiting) + self.busy

    def post(self, alert: Alert, *, attempts: int = 0) -> None:
        """Queue an alert; returns at once. attempts: those made before a restart."""
        with self._changed:
            self._add(0.0, attempts, alert)

    def close(self, timeout_s: float = 10.0) -> None:
        """Deliver due alerts as long as that works, and stop; the others wait for the next start."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout_s)

    def use(self, channel: Channel) -> None:
        """Deliver through this channel from now on, which has the same name; what waits is tried at once."""
        with self._changed:
            self.channel, self.trouble = channel, None
            self._waiting = sorted((0.0, number, attempts, alert) for _, number, attempts, alert in self._waiting)
            self._changed.notify()

    def stop(self) -> None:
        """Deliver no more, without waiting for the attempt that is being made; what waits stays in the delivery log."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify()

    def _add(self, wait_s: float, attempts: int, alert: Alert) -> None:
        self._posted += 1
        heapq.heappush(self._waiting, (time.monotonic() + wait_s, self._posted, attempts, alert))
        if len(self._waiting) > self._room:
            last = max(self._waiting)
            self._waiting.remove(last)
            heapq.heapify(self._waiting)
            self._given_up.append(last[2:])
        self._changed.notify()

    def _run(self) -> None:
        while (taken := self._next()) is not None:
            attempts, alert = taken
            self._try(alert, attempts + 1)
            self.busy = False

    def _next(self) -> tuple[int, Alert] | None:
        """The next due alert; None when the queue is closed and done."""
        while True:
            with self._changed:
                given_up, self._given_up = self._given_up, []
                due_s = self._waiting[0][0] - time.monotonic() if self._waiting else None
                if not given_up:
                    due = due_s is not None and due_s <= 0
                    if self._closed and (not due or self.trouble is not None):
                        return None
                    if due:
                        self.busy = True
                        _, _, attempts, alert = heapq.heappop(self._waiting)
                        return attempts, alert
                    self._changed.wait(due_s)
            for attempts, alert in given_up:
                self._note(alert, attempts, "failed", f"{self._room:,} alerts waited already")

    def _try(self, alert: Alert, attempts: int) -> None:
        try:
            self._note(alert, attempts, "delivered", self.channel.send(alert))
            self.trouble = None
        except Undelivered as error:
            self._failed(alert, attempts, error)
        except Exception as error:  # noqa: BLE001 -- whatever a channel does, the next alert goes out
            self._failed(alert, attempts, Undelivered(f"{type(error).__name__}: {error}", again=True))

    def _failed(self, alert: Alert, attempts: int, error: Undelivered) -> None:
        self.trouble = str(error)
        if not error.again or attempts >= self._attempts:
            self._note(alert, attempts, "failed", str(error))
            return
        self._note(alert, attempts, "waiting", str(error))
        wait_s = min(self._first_wait_s * 2.0 ** (attempts - 1), self._longest_wait_s)
        with self._changed:
            if not self._closed:
                self._add(max(wait_s, min(error.wait_s, self._longest_wait_s)), attempts, alert)

    def _note(self, alert: Alert, attempts: int, outcome: Outcome, detail: str) -> None:
        if outcome == "failed":
            _log.warning("alert %s did not get through %s: %s", alert.key, self.channel.name, detail)
        try:
            self._tables.put_delivery(Delivery(alert.key, self.channel.name, self._clock(), attempts, outcome, detail[:500]))
        except LedgerError as error:
            _log.warning("the delivery log falls behind: %s", error)
