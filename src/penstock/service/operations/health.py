"""`/operations/health`: the status of each part of the service."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from penstock.clock import iso
from penstock.engine import Engine
from penstock.errors import NotReady
from penstock.identity.roles import Right
from penstock.service.changes.followers import FollowerTask
from penstock.service.decide.broker_client import BrokerClient
from penstock.service.decide.detectors import DetectorRouter, visible_detectors
from penstock.service.decide.port import ServedDetector
from penstock.service.http.requests import filled
from penstock.service.http.route import Routes
from penstock.service.operations.process import ProcessForm, ProcessHistory
from penstock.wiring.health import ServiceHealth, parts_of
from penstock.wiring.health_part import PartHealth, Status

LOOK_EVERY_S = 5.0
"""Seconds between two checks, so that the start of a status is known."""

_FULL = 0.5
"""A queue filled beyond this share cannot keep up."""


class PartForm(msgspec.Struct, frozen=True):
    """One part of the service."""

    name: Annotated[
        str,
        Meta(
            description="state, ledger, snapshots, queue, models, rules, office, alerts (and `alerts: CHANNEL`), cases,"
            " archive, disk, stores (and `store: NAME`), drift, broker, replica, `worker: ADDRESS`, standby."
        ),
    ]
    detector: Annotated[str | None, Meta(description="Whose part it is; null where it serves all.")]
    status: Annotated[
        str, Meta(description="ok, degraded (it goes on, with less), failed, or absent (this service does not have it).")
    ]
    text: Annotated[str, Meta(description="What the part knows of itself, in one sentence.")]
    since: Annotated[str, Meta(description="From when on this process has seen it in this status.")]
    lag_events: Annotated[int | None, Meta(description="Events (of alerts' channels: alerts) that it has still to take in.")]
    lag_s: Annotated[float | None, Meta(description="How long the oldest of these has waited, in seconds.")]


class OperationsHealth(msgspec.Struct, frozen=True):
    """The status of all parts."""

    status: Annotated[str, Meta(description="The worst of the parts: ok, degraded or failed.")]
    at: Annotated[str, Meta(description="When the parts were looked at.")]
    parts: Annotated[list[PartForm], Meta(description="In the order of an event's path, then what runs beside it.")]
    process: Annotated[ProcessForm, Meta(description="The process that answers: version, memory, disk, and its last day.")]


class Board:
    """Checks every part, and remembers since when its status holds. Used on the event loop."""

    def __init__(self, router: DetectorRouter, operating: ServiceHealth, rules: Mapping[str, FollowerTask]) -> None:
        self._router, self._operating, self._rules = router, operating, rules
        self._since: dict[tuple[str, str | None], tuple[Status, int]] = {}
        self._looking = asyncio.Lock()
        self._history = ProcessHistory(operating.settings.data, operating.clock())

    async def run(self) -> None:
        """Check periodically, until the task is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> OperationsHealth:
        """Check every part once."""
        async with self._looking:
            parts = [part for served in self._router.values() for part in self._of_detector(served)]
            parts += await asyncio.to_thread(self._operating.parts)
            if (among := visible_detectors()) is not None:
                parts = [part for part in parts if part.detector is None or part.detector in among]
            now_us = self._operating.clock()
            forms = [self._form(part, now_us) for part in parts]
            statuses = {part.status for part in parts}
            worst = next((status for status in ("failed", "degraded") if status in statuses), "ok")
            lag_s = max((part.lag_s for part in parts if part.lag_s is not None), default=0.0)
            starting = any(served.not_ready is not None for served in self._router.values())
            process = await asyncio.to_thread(self._history.measured, now_us, worst, lag_s, starting)
        return OperationsHealth(worst, iso(now_us), forms, process)

    def _form(self, part: PartHealth, now_us: int) -> PartForm:
        key = part.name, part.detector
        status, since_us = self._since.get(key, (part.status, now_us))
        if status != part.status:
            since_us = now_us
        self._since[key] = part.status, since_us
        lag_s = None if part.lag_s is None else round(part.lag_s, 3)
        return filled(PartForm, part, since=iso(since_us), lag_s=lag_s)

    def _of_detector(self, served: ServedDetector) -> Sequence[PartHealth]:
        """The status of the parts of one detector."""
        broker = [_broker(served), _replica(served)] if isinstance(served, BrokerClient) else []
        try:
            engine = served.engine
        except NotReady as reason:
            return [*broker, PartHealth(name="state", detector=served.name, status="failed", text=str(reason))]
        inside = parts_of(engine, every_s=served.settings.snapshot_every_s) if isinstance(engine, Engine) else []
        return [*broker, *inside, _queue(served), _models(served), self._of_rules(served)]

    def _of_rules(self, served: ServedDetector) -> PartHealth:
        task = self._rules.get(served.name)
        if task is None:
            return PartHealth(name="rules", detector=served.name, status="ok", text="those of the detector's file decide")
        follower = task.follower
        if follower.trouble is not None:
            text = f"the rules in force stay in force: {follower.trouble}"
            return PartHealth(name="rules", detector=served.name, status="degraded", text=text)
        text = f"rule set revision {follower.revision} active"
        return PartHealth(name="rules", detector=served.name, status="ok", text=text)


def _queue(served: ServedDetector) -> PartHealth:
    waiting, most, rejected = served.queued_events, served.settings.queue_limit, served.measures.turned_away
    status: Status = "degraded" if waiting > _FULL * most else "ok"
    text = f"{waiting:,} of at most {most:,} events wait to be decided; {rejected:,} requests were turned away"
    return PartHealth(name="queue", detector=served.name, status=status, text=text, lag_events=waiting)


def _models(served: ServedDetector) -> PartHealth:
    version, trouble = served.engine.model_version, served.models_trouble
    if version is None:
        waits = served.engine.ready
        if waits is None:
            return PartHealth(
                name="models", detector=served.name, status="absent", text="the detector declares none: rules decide alone"
            )
        return PartHealth(
            name="models", detector=served.name, status="failed", text=waits if trouble is None else f"{waits}; {trouble}"
        )
    if trouble is not None:
        text = f"{version} goes on deciding: {trouble}"
        return PartHealth(name="models", detector=served.name, status="degraded", text=text)
    return PartHealth(name="models", detector=served.name, status="ok", text=f"version {version} decides")


def _broker(served: BrokerClient) -> PartHealth:
    trouble = served.trouble
    return PartHealth(name="broker", detector=served.name, status="failed" if trouble else "ok", text=trouble or "it answers")


def _replica(served: ServedDetector) -> PartHealth:
    reason = served.not_ready
    if reason is not None:
        return PartHealth(name="replica", detector=served.name, status="failed", text=f"it cannot be up to date: {reason}")
    return PartHealth(name="replica", detector=served.name, status="ok", text="it follows what the worker decides")


# ---------------------------------------------------------------- routes

route = Routes("operations", by_detector=True)


@route("GET", "/operations/health", Right.READ | Right.OPERATE)
async def get_operations_health(board: Board, /) -> OperationsHealth:
    """Each part: its status, in a sentence, since when, and its lag."""
    return await board.look()
