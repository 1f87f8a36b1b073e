"""The status of the parts of a service."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import msgspec

from penstock.alerts import Channel
from penstock.clock import SECOND_US, Clock, iso, system_clock
from penstock.config import Settings
from penstock.database import Database
from penstock.engine import Engine
from penstock.errors import LedgerError, shown_url
from penstock.ledger import Ledger
from penstock.stream.cases import CaseWork
from penstock.stream.sinks import Feeding
from penstock.webhooks.delivery import Webhooks
from penstock.webhooks.endpoints import Endpoint
from penstock.wiring.alert_channels import FollowedChannels
from penstock.wiring.alerts import Alerting
from penstock.wiring.health_part import PartHealth, Status
from penstock.wiring.reports.drift import DriftWork
from penstock.wiring.stores import EmbeddedStores
from penstock.wiring.workers import parts_of_workers

_BEHIND_S = 60.0
"""A store is behind if it lacks records older than this."""

_SCARCE_BYTES = 2**30
"""Less free disk than this gives a warning: nothing can be decided once the disk is full."""

_HELD = "the setting deliver is false"

_LATE = 3.0
"""A snapshot older than so many intervals is late, if events have come since."""


@dataclass(frozen=True)
class ServiceHealth:
    """The parts of a service that operations report on.

    office: the office database. alerting, work, stores, drift, webhooks: the optional parts that run next to the engines.
    followed: the channels of alerts that are set up while it runs.
    """

    settings: Settings
    office: Database
    alerting: Alerting | None = None
    work: CaseWork | None = None
    stores: EmbeddedStores | None = None
    drift: DriftWork | None = None
    clock: Clock = system_clock
    webhooks: Webhooks | None = None
    followed: FollowedChannels | None = None

    @property
    def channels(self) -> Sequence[Channel]:
        """The alert channels of this process that are in use; those of the file first."""
        if self.alerting is None or self.delivered_by != "service":
            return ()
        declared = self.alerting.channels
        names = {channel.name for channel in declared}
        further = () if self.followed is None else self.followed.latest
        return [*declared, *(channel for channel in further if channel.name not in names)]

    @property
    def delivered_by(self) -> Literal["service", "worker", "nobody"]:
        """The process that delivers alerts."""
        if self.alerting is None or not self.alerting.raises:
            return "nobody"
        return "worker" if self.settings.stream is not None else "service"

    def parts(self) -> list[PartHealth]:
        """The parts that serve all detectors. Waits for the office, and may read a record of the ledger."""
        return [
            self._office(),
            *self._held(),
            self._alerts(),
            *(self._channel(channel) for channel in self.channels),
            self._feeding("cases", None if self.work is None else self.work.feeding, "this service keeps no cases"),
            *self._webhooks(),
            self._archive(),
            self._disk(),
            *self._redis(),
            *self._drift(),
            *self._stores(),
        ]

    def _office(self) -> PartHealth:
        where = "office.sqlite" if self.settings.office is None else shown_url(self.settings.office)
        try:
            self.office.read("SELECT 1")
        except LedgerError as error:
            return PartHealth(name="office", status="failed", text=str(error))
        return PartHealth(
            name="office", status="ok", text=f"users, keys, rules, lists, cases and the log of changes are in {where}"
        )

    def _held(self) -> list[PartHealth]:
        """What leaves this service, where nothing does."""
        if self.settings.deliver:
            return []
        return [PartHealth(name="delivery", status="absent", text=f"webhooks and alerts wait, and none is sent: {_HELD}")]

    def _alerts(self) -> PartHealth:
        if self.alerting is None or not self.alerting.raises:
            text = "no rules of alerting are named (the setting alerts), and no channel is set up"
            return PartHealth(name="alerts", status="absent", text=text)
        part = self._feeding("alerts", self.alerting.feeding, "no detector is ready yet")
        if self.delivered_by == "worker" and part.status == "ok":
            return msgspec.structs.replace(part, text=f"{part.text}; people are told by the worker")
        return part

    def _channel(self, channel: Channel) -> PartHealth:
        assert self.alerting is not None
        waiting, trouble = self.alerting.on_the_way(channel.name)
        name = f"alerts: {channel.name}"
        if not self.settings.deliver:
            return PartHealth(name=name, status="absent", text=f"{waiting:,} alerts wait: {_HELD}", lag_events=waiting)
        if trouble is not None:
            return PartHealth(
                name=name, status="degraded", text=f"the last alert has not got through: {trouble}", lag_events=waiting
            )
        return PartHealth(name=name, status="ok", text=f"{waiting:,} alerts are on their way", lag_events=waiting)

    def _webhooks(self) -> list[PartHealth]:
        """The endpoints of webhooks."""
        if self.webhooks is None:
            return []
        try:
            return [_endpoint(self.webhooks, each) for each in self.webhooks.endpoints.all()]
        except LedgerError as error:
            return [PartHealth(name="webhooks", status="failed", text=str(error))]

    def _archive(self) -> PartHealth:
        if self.settings.archive is None:
            return PartHealth(
                name="archive", status="absent", text="nothing is archived beyond the data folder: the setting archive"
            )
        if self.settings.stream is not None:
            return PartHealth(name="archive", status="absent", text="the worker feeds it")
        return self._feeding("archive", None if self.stores is None else self.stores.archive, "no detector is ready yet")

    def _disk(self) -> PartHealth:
        """The disk of the data folder."""
        folder = self.settings.data.absolute()
        disk = shutil.disk_usage(next(path for path in (folder, *folder.parents) if path.exists()))
        text = f"{disk.free / 2**30:,.1f} of {disk.total / 2**30:,.1f} GiB are free where the data folder is"
        return PartHealth(name="disk", status="degraded" if disk.free < _SCARCE_BYTES else "ok", text=text)

    def _redis(self) -> list[PartHealth]:
        """Redis, for each detector that this service decides."""
        feedings = {} if self.stores is None else self.stores.redis
        parts = ((self._feeding("redis", feeding, ""), name) for name, feeding in sorted(feedings.items()))
        return [msgspec.structs.replace(part, detector=name) for part, name in parts]

    def _stores(self) -> list[PartHealth]:
        """The stores, and the workers that feed them, if there are any."""
        if self.settings.stream is not None and self.settings.workers is not None:
            return parts_of_workers([address.strip() for address in self.settings.workers.split(",")])
        if self.settings.stream is not None:
            text = "workers feed them; their addresses in the setting workers, and it is said here how they fare"
        elif self.settings.ledger is None:
            text = "everything is in the data folder"
        else:
            text = f"the ledger itself is in {shown_url(self.settings.ledger)}"
        return [PartHealth(name="stores", status="absent", text=text)]

    def _drift(self) -> list[PartHealth]:
        if self.drift is None:
            return []
        found = [
            PartHealth(name="drift", detector=name, status="degraded", text=f"drift is not watched: {trouble}")
            for name, trouble in sorted(self.drift.troubles.copy().items())
        ]
        for name, report in sorted(self.drift.reports.copy().items()):
            text = f"{len(report.alarms)} findings worth an alarm" if report.alarms else "nothing has drifted"
            found.append(PartHealth(name="drift", detector=name, status="ok", text=text))
        return found

    def _feeding(self, name: str, feeding: Feeding | None, absent: str) -> PartHealth:
        """A store that follows the ledger."""
        if feeding is None:
            return PartHealth(name=name, status="absent", text=absent)
        events, lag_s = _lag(feeding.ledger, feeding.position, self.clock())
        if feeding.trouble is not None:
            return PartHealth(name=name, status="failed", text=feeding.trouble, lag_events=events, lag_s=lag_s)
        if lag_s > _BEHIND_S:
            return PartHealth(name=name, status="degraded", text="it falls behind the ledger", lag_events=events, lag_s=lag_s)
        return PartHealth(name=name, status="ok", text="up to date with the ledger", lag_events=events, lag_s=lag_s)


def _endpoint(webhooks: Webhooks, endpoint: Endpoint) -> PartHealth:
    """The delivery to one endpoint."""
    state = webhooks.state(endpoint)
    statuses: dict[str, Status] = {"retrying": "degraded", "failing": "failed", "paused": "absent"}
    paused = f"events wait: {_HELD}" if webhooks.held else "it is paused: events wait"
    texts = {"delivering": "events are delivered", "paused": paused}
    failed = f"{endpoint.failures:,} attempts in a row failed; GET /webhooks/{endpoint.id}/deliveries says why"
    waiting, waiting_s = webhooks.backlog.get(endpoint.id, (0, 0.0))
    return PartHealth(
        name=f"webhook {endpoint.id}",
        status=statuses.get(state, "ok"),
        text=f"{endpoint.host}: {texts.get(state, failed)}",
        lag_events=waiting,
        lag_s=waiting_s,
    )


def _lag(ledger: Ledger, position: int, now_us: int) -> tuple[int, float]:
    """The number of events of a ledger behind a position, and the age of the first of them, in seconds."""
    if position >= ledger.durable_position:
        return 0, 0.0
    try:
        _, record = next(ledger.read(max(position, ledger.first_position)))
    except (LedgerError, StopIteration):
        return 0, 0.0
    arrived_us = int(record.arrived_us[0]) if len(record) else now_us
    return max(0, ledger.next_seq - record.first_seq), max(0.0, (now_us - arrived_us) / SECOND_US)


def parts_of(engine: Engine, *, every_s: float, clock: Clock = system_clock) -> list[PartHealth]:
    """The status of the parts of one engine: state, ledger, snapshots. every_s: the snapshot interval."""
    looks: Sequence[Callable[[], PartHealth]] = (
        lambda: _state(engine),
        lambda: _ledger(engine),
        lambda: _snapshots(engine, every_s, clock()),
    )
    return [msgspec.structs.replace(look(), detector=engine.detector.name) for look in looks]


def _state(engine: Engine) -> PartHealth:
    used = f"{engine.metrics.get('state_bytes', 0.0) / 2**20:,.1f} MiB"
    full = engine.pipeline.state.full
    text = "; ".join([f"the features of all keys are in memory, {used}" if full is None else full, *engine.recovery.notes])
    return PartHealth(name="state", status="ok" if full is None else "degraded", text=text)


def _ledger(engine: Engine) -> PartHealth:
    ledger = engine.ledger
    waiting = max(0, ledger.position - ledger.durable_position)
    if ledger.trouble is not None:
        return PartHealth(name="ledger", status="failed", text=f"nothing can be made durable: {ledger.trouble}")
    text = f"{ledger.next_seq:,} rows in {ledger.durable_position:,} durable records; {waiting:,} records are being written"
    return PartHealth(name="ledger", status="ok", text=text)


def _snapshots(engine: Engine, every_s: float, now_us: int) -> PartHealth:
    saved = engine.recovery.saved()
    if saved is None:
        return PartHealth(name="snapshots", status="absent", text="the state is in memory alone: there is no data folder")
    since = max(0, engine.ledger.next_seq - saved.seq)
    age_s = None if saved.at_us is None else max(0.0, (now_us - saved.at_us) / SECOND_US)
    when = "none was written since the start" if saved.at_us is None else f"the last was written at {iso(saved.at_us)}"
    status: Status = "ok"
    text = f"{when}; a restart reads {since:,} rows from the log"
    if saved.trouble is not None:
        status, text = "degraded", f"the state could not be saved: {saved.trouble}; {text}"
    elif age_s is not None and age_s > _LATE * every_s and since > engine.recovery.every_events:
        status = "degraded"
    return PartHealth(name="snapshots", status=status, text=text, lag_events=since, lag_s=age_s if since else 0.0)
