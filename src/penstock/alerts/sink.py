"""The sink of alerts: reads the ledger, raises what the rules find, and hands it to people in the background.

It is never on a decision's way: it reads what is durable, from a position of its own, and couriers deliver in threads of
their own. After a restart it goes on from its last snapshot; what it finds again has the key it had, and is not raised again.
"""

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from penstock.alerts.alert import Alert, alert_json, alert_of
from penstock.alerts.channel import Channel, takes
from penstock.alerts.delivery_queue import DeliveryQueue
from penstock.alerts.evaluator import Evaluator
from penstock.clock import SECOND_US, Clock, system_clock, to_us
from penstock.errors import Fenced, LedgerError, SinkUnavailable
from penstock.ledger import Ledger, Raised, Tables
from penstock.ledger.cursors import Cursor, checksum_of, discarded, misfit
from penstock.messages import Record

_SNAPSHOT_EVERY_US = 30 * SECOND_US
LOOK_EVERY_S = 2.0
"""Time between looks at figures and at what was held back."""

_SETTING = "alerts.snapshot"
FENCE = "alerts.fence"
"""The setting that holds the number of whoever sends."""
_TOLD_AGAIN_US = 24 * 3600 * SECOND_US
"""What has waited for longer than a day is no news any more."""

_WARMED_US = 3600 * SECOND_US
_MOST_WARMED = 10_000
"""Records that windows are filled from at most."""

_log = logging.getLogger("penstock.alerts")

OnAlert = Callable[[Alert], None]
Metrics = Callable[[], Mapping[str, Mapping[str, float]]]
"""Gives the figures of the running process by detector."""


class AlertSink:
    """Raises and delivers alerts about the records of a ledger: a `penstock.stream.port.Sink`.

    Args:
        evaluators: one for each detector whose decisions are watched.
        tables: keep alerts, deliveries and the sink's own position. Where they are shared with a standby, it goes on exactly
            where the owner stopped.
        channels: where alerts go; none is fine.
        ledger: what is watched. Where the sink has never run here it begins at the end, so that nobody is told of old times;
            windows are filled from what was decided in the hour before. The beginning, where there is none.
        since: where that end was when the ledger was opened: a sink begins in a thread of its own, and what is decided until
            it has begun is no old time. The end as it begins, unless given.
        again_s: behind a broker another owner may have died before it told of the last decisions: raise what so many seconds
            before the beginning raised. It has the keys it had there.
        on_close: called when nothing is sent any more.
        on_alert: told of every new alert as well, from the thread that writes.
        metrics: figures for rules about the running process.
        others: alerts that were raised elsewhere, such as by a guard; asked now and then, each is given once.
        courier: makes the courier of a channel.
    """

    name = "alerts"

    def __init__(
        self,
        evaluators: Mapping[str, Evaluator],
        tables: Tables,
        channels: Sequence[Channel] = (),
        *,
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
        self._channels, self._make = tuple(channels), courier
        self._couriers: list[DeliveryQueue] = []
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
        """Take over with this fencing number; the position to go on from. See `penstock.stream.port.Sink`."""
        with self._reached():
            if self._tables.setting(FENCE, 0) > fence:
                raise Fenced(f"alerts are sent by an owner with a higher number than {fence}; this one is no longer in charge")
            self._tables.put_setting(FENCE, fence)
            kept = self._tables.setting(_SETTING)
            self._fence = fence
            mine = kept is not None and kept.get("fence", 0) >= fence - 1  # nobody else was in charge meanwhile
            mine = mine and self._fits(kept)
            self._position = self._restored(kept) if mine else self._fresh()
            self.begun = True
            if not self._couriers:
                self._couriers = [self._make(channel, self._tables) for channel in self._channels]
                self._resume()
        if self._looking is None:
            self._looking = threading.Thread(target=self._look_on, name="penstock-alerts", daemon=True)
            self._looking.start()
        return self._position

    def write(self, records: Sequence[tuple[int, Record]]) -> None:
        """Evaluate records; what they raise is kept before this returns, and on its way. See `penstock.stream.port.Sink`.

        Where the store does not answer, what was found is kept for the next call, which is given the same records again.
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
        """Look at the figures of the process and at what was held back; the sink does so by itself every few seconds.

        Raises:
            Fenced, SinkUnavailable: as `write`.
        """
        with self._lock, self._reached():
            now_us, figures = self._clock(), self._metrics()
            self._found += self._others()
            for detector, evaluator in self._evaluators.items():
                self._found += [*evaluator.observe(figures.get(detector, {}), now_us), *evaluator.tick(now_us)]
            self._settle()

    def close(self) -> None:
        """Stop; what could not be delivered yet waits for the next start. Twice is fine."""
        self._closed.set()
        if self._looking is not None:
            self._looking.join()
        couriers, self._couriers = self._couriers, []
        for courier in couriers:
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
        """How many alerts wait for a channel, and why the last one has not got through; None where it has. From any thread."""
        found = next((courier for courier in tuple(self._couriers) if courier.channel.name == channel), None)
        return (0, None) if found is None else (found.waiting, found.trouble)

    # ---- what is found

    def _settle(self) -> None:
        """Raise what was found, and keep how far this has come: at once where something was, else now and then."""
        now_us = self._clock()
        if self._found:
            self._raise(self._found)
            self._found = []
            self._keep(now_us)
        elif now_us >= self._kept_us + _SNAPSHOT_EVERY_US:
            self._keep(now_us)

    def _raise(self, alerts: Sequence[Alert]) -> None:
        self._check_fence()
        raised = [Raised(each.key, each.detector, each.rule, each.severity, _us(each), alert_json(each)) for each in alerts]
        channels = {each.key: [channel.name for channel in self._channels if takes(channel, each)] for each in alerts}
        new = self._tables.put_alerts(raised, channels)
        for alert in alerts:
            if alert.key in new:
                self.on_alert(alert)
                for courier in self._couriers:
                    if takes(courier.channel, alert):
                        courier.post(alert)

    def _resume(self) -> None:
        """Post what was raised before a restart and still waits."""
        waiting = self._tables.deliveries(outcome="waiting", since_us=self._clock() - _TOLD_AGAIN_US)
        bodies = {each.key: each.body for each in self._tables.alerts(limit=10_000)} if waiting else {}
        by_name = {courier.channel.name: courier for courier in self._couriers}
        for delivery in reversed(waiting):
            if delivery.channel in by_name and delivery.key in bodies:
                by_name[delivery.channel].post(alert_of(bodies[delivery.key]), attempts=delivery.attempts)

    # ---- where it has come to

    def _restored(self, kept: Mapping[str, Any]) -> int:
        for detector, evaluator in self._evaluators.items():
            if detector in kept["evaluators"]:
                evaluator.restore(kept["evaluators"][detector])
        return int(kept["position"])

    def _fits(self, kept: Mapping[str, Any]) -> bool:
        """Whether the position that was kept belongs to the ledger."""
        cursor = Cursor(int(kept["position"]), kept.get("checksum"))
        wrong = None if self._ledger is None else misfit(self._ledger, cursor)
        if wrong is not None:
            discarded(self.name, f"the position of alerts does not belong to the ledger: {wrong}; it was restored")
        self._checksum = cursor.checksum
        return wrong is None

    def _fresh(self) -> int:
        """Fill windows from the newest records; the position after them."""
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
        """The position of the first record that arrived within the last hour, or is among the newest ones that are read."""
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
        self._tables.put_setting(_SETTING, kept)
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
