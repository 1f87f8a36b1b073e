"""`POST /verify/{id}`: recomputes a recorded decision from the log and compares it to the last bit."""

import asyncio
import time
from collections.abc import Collection, Iterator
from typing import Annotated, Any, Literal, NamedTuple, cast

import msgspec
from fastapi import Request
from msgspec import Meta

from penstock.clock import iso
from penstock.config import Settings
from penstock.engine import Engine, Verification, verify
from penstock.errors import BundleError, DataError, DeclarationError
from penstock.identity.roles import Actor, Right
from penstock.ledger import Ledger
from penstock.messages import Record
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.port import ServedDetector
from penstock.service.http.problems import RequestRefused, printable
from penstock.service.http.requests import DetectorName, actor_of
from penstock.service.http.route import Routes
from penstock.service.records.personal import ErasedBy, Unmasking
from penstock.wiring.governance import list_at

MOST_BEFORE = 500_000
"""Rows of the log before a decision that are replayed here, where the events of its keys are not enough; the command replays
any number.
"""

LONGEST_S = 120.0
"""Time limit of one verification: the first decisions of a demo come after 300,000 events of history."""

MOST_WAITING = 8
"""Verifications that may wait; one runs at a time."""

_WORK_S = 0.005


class Difference(msgspec.Struct):
    """A value that differs between record and recomputation."""

    column: Annotated[str, Meta(description="A field, feature, score, rule or outcome.")]
    recorded: Annotated[Any, Meta(description="What was recorded.")]
    recomputed: Annotated[Any, Meta(description="What was computed now.")]


class Verified(msgspec.Struct):
    """The verification of a recorded decision: recomputed from the log and compared to the last bit."""

    transaction_id: Annotated[str, Meta(description="Of the decision.")]
    detector: Annotated[str, Meta(description="Who decided.")]
    identical: Annotated[bool | None, Meta(description="Everything came out the same; null where it cannot be computed again.")]
    differences: Annotated[list[Difference], Meta(description="What did not.")]
    events: Annotated[int | None, Meta(description="So many events of the log rebuilt the state before it.")]
    way: Annotated[
        Literal["keys", "log"] | None,
        Meta(description="Which events: those of its keys that its features depend on, or all of the log before it."),
    ]
    reason: Annotated[str | None, Meta(description="Why it cannot be computed again here; null where it was.")]
    erased: Annotated[
        ErasedBy | None,
        Meta(description="When what its personal fields said was erased, and by whom; that changes nothing else about it."),
    ]
    checked_at: Annotated[str, Meta(description="When this was computed.")]
    took_ms: Annotated[float, Meta(description="How long that took.")]


class Parity(msgspec.Struct):
    """The last verification of a decision in this process."""

    checked_at: Annotated[str, Meta(description="When.")]
    transaction_id: Annotated[str, Meta(description="Which.")]
    identical: Annotated[bool, Meta(description="Everything came out the same to the last bit.")]
    checked: Annotated[int, Meta(description="Decisions computed again since the service began.")]
    differing: Annotated[int, Meta(description="Of these, those that did not come out the same.")]


class VerificationCounts(NamedTuple):
    """Verification counts of one detector since the service began; newest: the last completed one."""

    checked: int
    differing: int
    newest: Verified


class Verifying:
    """Verifies decisions, one at a time, and keeps the results."""

    def __init__(self, router: DetectorRouter, settings: Settings, personal: Unmasking) -> None:
        self._router, self._settings, self._personal = router, settings, personal
        self._turn = asyncio.Lock()
        self._waiting = 0
        self._checks: dict[str, VerificationCounts] = {}

    def parity(self, detector: str) -> Parity | None:
        """The last verification of a detector; None if there was none."""
        found = self._checks.get(detector)
        if found is None:
            return None
        newest = found.newest
        return Parity(newest.checked_at, newest.transaction_id, newest.identical is True, found.checked, found.differing)

    async def verify(self, detector: str | None, transaction_id: str, actor: Actor) -> Verified:
        """Recompute and compare a decision.

        Raises:
            RequestRefused: 404 there is none, 422 it cannot be read, 429 too many wait.
        """
        served, engine = found_at(self._router, detector, transaction_id)
        if self._waiting >= MOST_WAITING:
            raise RequestRefused(429, f"{self._waiting} verifications wait already; ask again when they are done")
        self._waiting += 1
        try:
            async with self._turn:
                found = await asyncio.to_thread(self._verify, served, engine, transaction_id, actor)
        finally:
            self._waiting -= 1
        if found.identical is not None:
            before = self._checks.get(served.name, VerificationCounts(0, 0, found))
            self._checks[served.name] = VerificationCounts(before.checked + 1, before.differing + (not found.identical), found)
        return found

    def _verify(self, served: ServedDetector, engine: Engine, transaction_id: str, actor: Actor) -> Verified:
        began, now_us = time.perf_counter(), engine.clock()
        said = self._personal.of(served, transaction_id, actor)
        erased = None if said is None or said["erased"] is None else ErasedBy(**said["erased"])
        differences: list[Difference] = []
        events, reason = None, None
        way: Literal["keys", "log"] | None = None
        try:
            found = self._again(engine, transaction_id)
            differences = [Difference(name, before, after) for name, before, after in found.differences]
            events, way = found.events_replayed, found.way
        except (DataError, BundleError, DeclarationError) as error:
            reason = str(error)
        return Verified(
            transaction_id=transaction_id,
            detector=served.name,
            identical=None if reason is not None else not differences,
            differences=differences,
            events=events,
            way=way,
            reason=reason,
            erased=erased,
            checked_at=iso(now_us),
            took_ms=round((time.perf_counter() - began) * 1e3, 1),
        )

    def _again(self, engine: Engine, transaction_id: str) -> Verification:
        found = engine.ledger.find(engine.detector.name, transaction_id)
        before = 0 if found is None else found[0].first_seq
        return verify(
            cast("Ledger", _Paced(engine.ledger, LONGEST_S, before)),
            engine.detector,
            transaction_id,
            self._settings.models_folder,
            list_at=list_at(engine.detector, self._settings),
            clock=engine.clock,
            index=engine.key_index,
        )


class _Paced:
    """A ledger that is read at reduced speed: half of the time is left to the traffic. before: rows that are to be read."""

    def __init__(self, ledger: Ledger, longest_s: float, before: int) -> None:
        self._ledger, self._until_s, self._before = ledger, time.perf_counter() + longest_s, before
        self._held: Record | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def record_of(self, seq: int) -> tuple[Record, int] | None:
        """The record, as the ledger finds it; consecutive labels often concern one record, which is read once."""
        held = self._held
        if held is None or not held.first_seq <= seq < held.first_seq + len(held):
            found = self._ledger.record_of(seq)
            if found is None:
                return None
            held = self._held = found[0]
        return held, seq - held.first_seq

    def read(self, from_position: int = 0, kinds: Collection[str] | None = None) -> Iterator[tuple[int, Record]]:
        """Read as the ledger does, with pauses."""
        if self._before > MOST_BEFORE:
            raise DataError(
                f"{self._before:,} events of the log come before it, those of its keys alone do not tell, and no more than "
                f"{MOST_BEFORE:,} are replayed during traffic: `penstock verify` does it with any number"
            )
        rested = time.perf_counter()
        for each in self._ledger.read(from_position, kinds):
            yield each
            now = time.perf_counter()
            if now > self._until_s:
                raise DataError("it takes longer than is allowed during traffic: `penstock verify` takes the time it needs")
            if now - rested > _WORK_S:
                time.sleep(now - rested)
                rested = time.perf_counter()


def found_at(router: DetectorRouter, detector: str | None, transaction_id: str) -> tuple[ServedDetector, Engine]:
    """The serving side of the detector that decided a transaction.

    Raises:
        RequestRefused: 404 unknown transaction.
    """
    for served in router.chosen(detector):
        engine = served.engine
        if engine.ledger.find(engine.detector.name, transaction_id) is not None:
            return served, engine
    raise RequestRefused(404, f"there is no transaction {transaction_id[:200]!r}")


# ---------------------------------------------------------------- routes

route = Routes("records", by_detector=True)


@route("POST", "/verify/{transaction_id:path}", Right.READ, refuses=(404, 429))
async def verify_decision(
    verifying: Verifying, /, transaction_id: str, request: Request, detector: DetectorName = None
) -> Verified:
    """Recompute a recorded decision from the log, and compare it to the last bit."""
    return await verifying.verify(detector, printable(transaction_id), actor_of(request))
