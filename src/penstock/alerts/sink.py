"""The alert sink: reads the ledger, raises alerts, and delivers them in the background.

It never delays a decision: it reads durable records, from its own position, and delivery queues run in separate threads.
After a restart it continues from its last snapshot; alerts found again have the same key, and are not raised again.
"""

import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from penstock.alerts.alert import Alert, alert_json, alert_of
from penstock.alerts.channel import Channel, takes
from penstock.alerts.delivery_queue import DeliveryQueue
from penstock.alerts.evaluator import Evaluator
from penstock.clock import SECOND_US, Clock, system_clock, to_us
from penstock.errors import Fenced, LedgerError, SinkUnavailable
from penstock.ledger import Delivery, Ledger, Raised, Tables
from penstock.ledger.cursors import Cursor, checksum_of, discarded, misfit
from penstock.messages import Record

_SNAPSHOT_EVERY_US = 30 * SECOND_US
LOOK_EVERY_S = 2.0
"""Seconds between checks of figures and of suppressed alerts."""

SNAPSHOT = "alerts.snapshot"
"""The setting that holds the position; a sink begins at the ledger's end where it is None."""
FENCE = "alerts.fence"
"""The setting that holds the fencing number of the sender."""
_RETRIED_FOR_US = 24 * 3600 * SECOND_US
"""Undelivered alerts older than a day are dropped."""

_WARMED_US = 3600 * SECOND_US
_MOST_WARMED = 10_000
"""Maximum of records that windows are filled from."""

_log = logging.getLogger("penstock.alerts")

OnAlert = Callable[[Alert], None]
Metrics = Callable[[], Mapping[str, Mapping[str, float]]]
"""Returns the figures of the running process by detector."""


class AlertSink:
    """Raises and delivers alerts about the records of a ledger: a `penstock.stream.port.Sink`.

    Args:
        evaluators: one for each watched detector.
        tables: store alerts, deliveries and the sink's position. If they are shared with a standby, it continues exactly
            where the owner stopped.
        channels: receivers of alerts; may be empty.
        further: returns channels that come, change and go while it runs; polled. An object that is returned again has not
            changed; a name of `channels` is left out.
        held: whether a channel gets nothing from this process: what is for it waits in the tables.
        ledger: the watched ledger. A sink that has never run here begins at its end, so that nobody gets old alerts;
            windows are filled from decisions of the hour before. The beginning, without one.
        since: the ledger's end when it was opened: a sink begins in a separate thread, and decisions made until then are
            not old. The end as it begins, unless given.
        again_s: behind a broker a former owner may have died before it delivered the last alerts: raise those of so many
            seconds before the beginning again. They have the same keys.
        on_close: called when nothing is sent any more.
        on_alert: called with every new alert as well, from the thread that writes.
        metrics: figures for rules about the running process.
        others: alerts raised elsewhere, such as by a guard; polled, each is returned once.
        courier: makes the delivery queue of a channel.
    """

    name = "alerts"

    def __init__(
        self,
        evaluators: Mapping[str, Evaluator],
        tables: Tables,
        channels: Sequence[Channel] = (),
        *,
        further: Callable[[], Sequence[Channel]] = tuple,
        held: Callable[[Channel], bool] = lambda _channel: False,
        ledger: Ledger | None = None,
        since: int | None = None,
        again_s: float = 0.0,
        on_alert: OnAlert = lambda _alert: None,
        on_close: Callable[[], None] = lambda: None,
        metrics: Metrics = dict,
        others: Callable[[], Sequence[Alert]] = list,
        clock: Clock = system_clock,
        courier: Callable[[Channel, Tables], DeliveryQueue] = DeliveryQueue,
    ) -> None:
        self._evaluators, self._tables = dict(evaluators), tables
        self._ledger, self._since, self._again_us = ledger, since, round(again_s * SECOND_US)
        self._metrics, self._others, self._clock = metrics, others, clock
        self.on_alert, self._on_close = on_alert, on_close
        self._channels, self._further, self._held, self._make = tuple(channels), further, held, courier
        self._receivers: dict[str, Channel] = {}
        self._couriers: dict[str, DeliveryQueue] = {}
        self._fence = 0
        self._position = 0
        self._checksum: int | None = None
        self._found: list[Alert] = []
        self._kept_us = 0
        self.begun = False
        self._closed = threading.Event()
        self._looking: threading.Thread | None = None
        self._lock = threading.Lock()

    # ---- the port

    def begin(self, fence: int) -> int:
        """Take over with this fencing number; returns the position to continue from. See `penstock.stream.port.Sink`."""
        with self._reached():
            if self._tables.setting(FENCE, 0) > fence:
                raise Fenced(f"alerts are sent by an owner with a higher number than {fence}; this one is no longer in charge")
            self._tables.put_setting(FENCE, fence)
            kept = self._tables.setting(SNAPSHOT)
            self._fence = fence
            mine = kept is not None and kept.get("fence", 0) >= fence - 1  # no other owner in between
            mine = mine and self._fits(kept)
            self._position = self._restored(kept) if mine else self._fresh()
            self.begun = True
            self._follow_channels(self._further())
        if self._looking is None:
            self._looking = threading.Thread(target=self._look_on, name="penstock-alerts", daemon=True)
            self._looking.start()
        return self._position

    def write(self, records: Sequence[tuple[int, Record]]) -> None:
        """Evaluate records; their alerts are stored and queued before this returns. See `penstock.stream.port.Sink`.

        If the store does not answer, findings are kept for the next call, which gets the same records again.
        """
        with self._lock, self._reached():
            for position, record in records:
                if position >= self._position:
                    evaluator = self._evaluators.get(record.detector)
                    self._found += evaluator.evaluate(record) if evaluator is not None else []
                    self._position = position + 1
            if records and records[-1][0] + 1 == self._position:
                self._checksum = checksum_of(records[-1][1])
            self._settle()

    def look(self) -> None:
        """Check channels, figures of the process and suppressed alerts; the sink does so by itself every few seconds.

        Raises:
            Fenced, SinkUnavailable: as `write`.
        """
        further = self._further()
        with self._lock, self._reached():
            self._follow_channels(further)
            now_us, figures = self._clock(), self._metrics()
            self._found += self._others()
            for detector, evaluator in self._evaluators.items():
                self._found += [*evaluator.observe(figures.get(detector, {}), now_us), *evaluator.tick(now_us)]
            self._settle()

    def close(self) -> None:
        """Stop; undelivered alerts wait for the next start. Idempotent."""
        self._closed.set()
        if self._looking is not None:
            self._looking.join()
        couriers, self._couriers = self._couriers, {}
        for courier in couriers.values():
            courier.close()
        begun, self.begun = self.begun, False
        self._on_close()
        if begun:
            with self._lock:
                try:
                    self._keep(self._clock())
                except (LedgerError, Fenced) as error:
                    _log.warning("where alerts had come to could not be kept: %s", error)

    def _look_on(self) -> None:
        while not self._closed.wait(LOOK_EVERY_S):
            try:
                self.look()
            except SinkUnavailable as error:
                _log.warning("%s", error)
            except Fenced:
                return

    def on_the_way(self, channel: str) -> tuple[int, str | None]:
        """Number of alerts waiting for a channel, and why the last attempt failed; None if it succeeded. Thread-safe.

        Those of a held channel are counted in the tables.
        """
        receiver, found = self._receivers.get(channel), self._couriers.get(channel)
        if receiver is not None and self._held(receiver):
            since_us = self._clock() - _RETRIED_FOR_US
            return sum(each.channel == channel for each in self._tables.deliveries(outcome="waiting", since_us=since_us)), None
        return (0, None) if found is None else (found.waiting, found.trouble)

    # ---- raising alerts

    def _settle(self) -> None:
        """Store and queue new alerts, and store the position: at once if there are alerts, else periodically."""
        now_us = self._clock()
        if self._found:
            self._raise(self._found)
            self._found = []
            self._keep(now_us)
        elif now_us >= self._kept_us + _SNAPSHOT_EVERY_US:
            self._keep(now_us)

    def _raise(self, alerts: Sequence[Alert]) -> None:
        self._check_fence()
        receivers = self._receivers.values()
        raised = [Raised(each.key, each.detector, each.rule, each.severity, _us(each), alert_json(each)) for each in alerts]
        channels = {each.key: [channel.name for channel in receivers if takes(channel, each)] for each in alerts}
        new = self._tables.put_alerts(raised, channels)
        for alert in alerts:
            if alert.key in new:
                self.on_alert(alert)
                for courier in self._couriers.values():
                    if takes(courier.channel, alert):
                        courier.post(alert)

    def _follow_channels(self, further: Sequence[Channel]) -> None:
        """Have a delivery queue for each channel that there is now."""
        self._receivers = {channel.name: channel for channel in (*further, *self._channels)}
        wanted = {name: channel for name, channel in self._receivers.items() if not self._held(channel)}
        for gone in self._couriers.keys() - wanted.keys():
            self._couriers.pop(gone).stop()
        for name, courier in self._couriers.items():
            if courier.channel is not wanted[name]:
                courier.use(wanted[name])
        new = wanted.keys() - self._couriers.keys()
        undelivered = self._undelivered(new) if new else []
        self._couriers |= {name: self._make(wanted[name], self._tables) for name in new}
        for delivery, alert in undelivered:
            self._couriers[delivery.channel].post(alert, attempts=delivery.attempts)

    def _undelivered(self, channels: Collection[str]) -> list[tuple[Delivery, Alert]]:
        """What waits for these channels since before a restart, or since they were paused; oldest first."""
        waiting = self._tables.deliveries(outcome="waiting", since_us=self._clock() - _RETRIED_FOR_US)
        bodies = {each.key: each.body for each in self._tables.alerts(limit=10_000)} if waiting else {}
        wanted = (each for each in reversed(waiting) if each.channel in channels and each.key in bodies)
        return [(delivery, alert_of(bodies[delivery.key])) for delivery in wanted]

    # ---- position

    def _restored(self, kept: Mapping[str, Any]) -> int:
        for detector, evaluator in self._evaluators.items():
            if detector in kept["evaluators"]:
                evaluator.restore(kept["evaluators"][detector])
        return int(kept["position"])

    def _fits(self, kept: Mapping[str, Any]) -> bool:
        """Whether the stored position belongs to the ledger."""
        cursor = Cursor(int(kept["position"]), kept.get("checksum"))
        wrong = None if self._ledger is None else misfit(self._ledger, cursor)
        if wrong is not None:
            discarded(self.name, f"the position of alerts does not belong to the ledger: {wrong}; it was restored")
        self._checksum = cursor.checksum
        return wrong is None

    def _fresh(self) -> int:
        """Fill windows from the newest records; returns the position after them."""
        if self._ledger is None:
            return 0
        self._checksum = None
        now_us, stop = self._clock(), self._ledger.durable_position if self._since is None else self._since
        for position, record in self._ledger.read(self._an_hour_ago(now_us, stop)):
            if position >= stop:
                break
            evaluator = self._evaluators.get(record.detector)
            found = evaluator.evaluate(record) if evaluator is not None else []
            self._found += [alert for alert in found if _us(alert) > now_us - self._again_us]
        return stop

    def _an_hour_ago(self, now_us: int, stop: int) -> int:
        """The position of the first record that arrived within the last hour, within the bound of records to read."""
        assert self._ledger is not None
        first = max(self._ledger.first_position, stop - _MOST_WARMED)
        last = stop
        while first < last:
            middle = (first + last) // 2
            _, record = next(self._ledger.read(middle))
            if len(record) and int(record.arrived_us[-1]) >= now_us - _WARMED_US:
                last = middle
            else:
                first = middle + 1
        return first

    def _keep(self, now_us: int) -> None:
        self._check_fence()
        states = {detector: evaluator.state() for detector, evaluator in self._evaluators.items()}
        kept = {"position": self._position, "checksum": self._checksum, "fence": self._fence, "evaluators": states}
        self._tables.put_setting(SNAPSHOT, kept)
        self._kept_us = now_us

    def _check_fence(self) -> None:
        if self._tables.setting(FENCE, 0) > self._fence:
            raise Fenced("another owner sends alerts now; this one is no longer in charge")

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except LedgerError as error:
            raise SinkUnavailable(f"alerts cannot be kept: {error}") from error


def _us(alert: Alert) -> int:
    """When an alert was raised."""
    return to_us(datetime.fromisoformat(alert.at))
