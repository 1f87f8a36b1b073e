"""Delivery of webhooks: one thread per endpoint, in the order of the outbox, with retries.

A failing delivery holds back the later events of its endpoint. It is tried again after a pause that doubles up to an hour,
until it is delivered or older than the endpoint's retention. What was delivered is stored a little later, all at once, so
after a kill the last few events are delivered again, under the same ids.
"""

import contextlib
import logging
import random
import secrets
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from penstock.clock import SECOND_US, Clock, system_clock
from penstock.database.sqlite import Database
from penstock.errors import Conflict, LedgerError, NotFound
from penstock.webhooks.endpoints import DAY_US, Endpoint, Endpoints
from penstock.webhooks.events import Event, trial
from penstock.webhooks.outbox import Attempt, Outbox, Progress, Stored
from penstock.webhooks.signing import headers

_PAGE = 64
_SETTLE_S = 0.25
_OWNED_S = 30.0
"""How long beyond a time-out an endpoint stays claimed by a process that no longer answers."""

_PRUNE_S = 600.0
_MEASURE_S = 5.0
_DETAIL = 500

_log = logging.getLogger("penstock.webhooks")


class Answer(NamedTuple):
    """The answer to a request. status: None if there was none. wait_s: the pause that the other side asks for."""

    status: int | None
    detail: str
    wait_s: float = 0.0

    @property
    def delivered(self) -> bool:
        """Whether the receiver has taken the event."""
        return self.status is not None and 200 <= self.status < 300


Post = Callable[[str, Mapping[str, str], bytes, float], Answer]
"""Posts a body to a URL with headers, within so many seconds; never raises for what the other side does."""

OnFailing = Callable[[Endpoint], None]


class DeliveryTiming(msgspec.Struct, frozen=True, kw_only=True):
    """The pauses of delivery, in seconds. poll_s: between two looks for new events. failing_days: until a failing endpoint
    is called so.
    """

    first_wait_s: float = 1.0
    longest_wait_s: float = 3600.0
    poll_s: float = 0.25
    failing_days: float = 3.0

    @property
    def failing_us(self) -> int:
        """When an endpoint that fails is failing."""
        return round(self.failing_days * DAY_US)

    def wait_s(self, failures: int, asked_s: float) -> float:
        """The pause after so many failures in a row: between half and all of a time that doubles.

        >>> 2 <= DeliveryTiming().wait_s(3, asked_s=0.0) <= 4
        True
        >>> DeliveryTiming().wait_s(1, asked_s=60.0)
        60.0
        """
        full = min(self.first_wait_s * 2.0 ** min(failures - 1, 30), self.longest_wait_s)
        return max(full * random.uniform(0.5, 1.0), min(asked_s, self.longest_wait_s))  # noqa: S311 - spreads retries


class Webhooks:
    """The endpoints of an office, their outbox, and the delivery once it is started.

    Args:
        database: of the office; closed by its opener.
        post: sends a request.
        plain: whether endpoints may have `http://` addresses.
        on_failing: called once for an endpoint that has failed for `timing.failing_days`.
        held: whether nothing is delivered: events are added to the outbox and wait there, for the retention of each endpoint.

    attempts: by outcome, of this process. backlog: by endpoint, how many events are behind its cursor, and for how many
    seconds; measured every few seconds.
    """

    def __init__(
        self,
        database: Database,
        post: Post,
        *,
        plain: bool = False,
        timing: DeliveryTiming | None = None,
        on_failing: OnFailing = lambda _endpoint: None,
        clock: Clock = system_clock,
        held: bool = False,
    ) -> None:
        self.held = held
        self.endpoints = Endpoints(database, plain=plain, clock=clock)
        self.outbox = Outbox(database, self.endpoints, clock)
        self.timing, self.clock = timing or DeliveryTiming(), clock
        self.attempts: Counter[str] = Counter()
        self.backlog: Mapping[str, tuple[int, float]] = {}
        self._post, self._on_failing = post, on_failing
        self._owner = ""
        self._threads: dict[str, _DeliveryThread] = {}
        self._closing = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, owner: str) -> None:
        """Deliver in the background; once. owner: the name of this process, the same after a restart."""
        if self._thread is None:
            self._owner = owner
            self._closing.clear()
            self._thread = threading.Thread(target=self._run, name="penstock-webhooks", daemon=True)
            self._thread.start()

    def state(self, endpoint: Endpoint) -> str:
        """The state of the delivery to an endpoint: `delivering`, `retrying`, `failing` or `paused`."""
        return "paused" if self.held else endpoint.state(self.clock(), self.timing.failing_us)

    def close(self, within_s: float = 2.0) -> None:
        """Stop after the requests on the way, or after `within_s`: a receiver that is slow holds up no stop, and gets its event
        again. The rest is delivered after the next start. Idempotent.
        """
        until_s = time.monotonic() + within_s
        self._closing.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        threads, self._threads = list(self._threads.values()), {}
        for thread in threads:
            thread.stop()
        for thread in threads:
            thread.join(max(0.0, until_s - time.monotonic()))

    def test(self, id: str) -> Attempt:
        """Send a test event to an endpoint at once, past its queue.

        Raises:
            NotFound: there is no such endpoint. Conflict: nothing is delivered.
        """
        if self.held:
            raise Conflict("this service delivers nothing: the setting deliver is false")
        endpoint = self.endpoints.get(id)
        attempt = self.deliver(endpoint, trial(id, self.clock(), secrets.token_hex(8)), 1)[0]
        self.outbox.log_test(endpoint, attempt)
        return attempt

    def deliver(self, endpoint: Endpoint, event: Event, attempt: int) -> tuple[Attempt, Answer]:
        """Send one event once."""
        now, began = self.clock(), time.monotonic()
        signed = headers(endpoint.secrets(now), event.id, now // SECOND_US, event.body)
        fixed = {"Content-Type": "application/cloudevents+json; charset=utf-8", "User-Agent": "penstock"}
        answer = self._post(endpoint.url, fixed | signed, event.body, endpoint.timeout_ms / 1000)
        outcome = "delivered" if answer.delivered else "failed"
        self.attempts[outcome] += 1
        took_ms = round((time.monotonic() - began) * 1000)
        return _attempt(event, self.clock(), attempt, outcome, answer.status, took_ms, answer.detail), answer

    def _run(self) -> None:
        pruned_s, measured_s = -_PRUNE_S, -_MEASURE_S
        while not self._closing.is_set():
            try:
                endpoints = self.endpoints.all()
                if not self.held:
                    self._start_threads(endpoints)
                    self._look_at(endpoints)
                read = self.outbox.follow_audit() if endpoints else 0
                if time.monotonic() >= measured_s + _MEASURE_S:
                    self.backlog = {each.id: self._backlog(each) for each in endpoints}
                    measured_s = time.monotonic()
                if time.monotonic() >= pruned_s + _PRUNE_S:
                    self.outbox.prune()
                    pruned_s = time.monotonic()
            except LedgerError as error:
                _log.warning("webhooks wait for the office: %s", error)
                read = 0
            if not read:
                self._closing.wait(self.timing.poll_s)

    def _start_threads(self, endpoints: Sequence[Endpoint]) -> None:
        """One thread for each endpoint that is enabled."""
        enabled = {each.id for each in endpoints if each.enabled}
        for new in enabled - self._threads.keys():
            self._threads[new] = _DeliveryThread(self, new, self._owner)
        for gone in self._threads.keys() - enabled:
            self._threads.pop(gone).stop()

    def _backlog(self, endpoint: Endpoint) -> tuple[int, float]:
        waiting, oldest_us = self.outbox.waiting(endpoint)
        return waiting, 0.0 if oldest_us is None else max(0.0, (self.clock() - oldest_us) / SECOND_US)

    def _look_at(self, endpoints: Sequence[Endpoint]) -> None:
        now = self.clock()
        for each in endpoints:
            failing = each.state(now, self.timing.failing_us) == "failing"
            if failing and not each.alerted and self.outbox.mark_alerted(each):
                _log.error("webhook %s has failed for %.1f days: %s", each.id, self.timing.failing_days, each.error)
                self._on_failing(each)


class _DeliveryThread:
    """Delivers to one endpoint, in a thread, until stopped."""

    def __init__(self, webhooks: Webhooks, id: str, owner: str) -> None:
        self._webhooks, self._id, self._owner = webhooks, id, owner
        self._outbox, self._clock, self._timing = webhooks.outbox, webhooks.clock, webhooks.timing
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"penstock-webhook-{id}", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop after the request on the way."""
        self._stopping.set()

    def join(self, within_s: float) -> None:
        """Wait until it has stopped, at most so long."""
        self._thread.join(within_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                busy = self._turn()
            except LedgerError as error:
                _log.warning("webhook %s waits for the office: %s", self._id, error)
                busy = False
            except Exception:  # noqa: BLE001 - an error of one endpoint must not end its delivery for good
                _log.exception("webhook %s: delivery failed", self._id)
                busy = False
            if not busy:
                self._stopping.wait(self._timing.poll_s)
        with contextlib.suppress(LedgerError):
            self._outbox.release(self._id, self._owner)

    def _turn(self) -> bool:
        """Deliver the next events; False if there is nothing to do now."""
        try:
            found = self._webhooks.endpoints.get(self._id)
        except NotFound:
            return False
        if not found.enabled or (found.next_us or 0) > self._clock():
            return False
        events = self._outbox.after(found.reached, _PAGE)
        if not events or not self._outbox.claim(found, self._owner, self._until_us(found)):
            return False
        for progress, attempts in self._portions(found, events):
            if not self._outbox.settle(found, self._owner, self._until_us(found), progress, attempts):
                return True
        return True

    def _portions(self, endpoint: Endpoint, events: Sequence[Stored]) -> Iterator[tuple[Progress, list[Attempt]]]:
        """Deliver events until one fails; yields now and then how far it came."""
        attempts: list[Attempt] = []
        so_far = Progress(endpoint.reached, endpoint.failures, endpoint.failing_since_us, None, endpoint.error)
        settled_s = time.monotonic()
        for stored in events:
            if self._stopping.is_set():
                break
            if endpoint.selects(stored.event):
                attempt, answer = self._try(endpoint, stored, so_far.failures + 1)
                attempts.append(attempt)
                if attempt.outcome == "failed":
                    yield self._failed(so_far, attempt, answer), attempts
                    return
                so_far = so_far._replace(failures=0)
                if attempt.outcome == "delivered":
                    so_far = so_far._replace(failing_since_us=None, error=None)
            so_far = so_far._replace(reached=stored.seq)
            if time.monotonic() >= settled_s + _SETTLE_S:
                yield so_far, attempts
                attempts, settled_s = [], time.monotonic()
        yield so_far, attempts

    def _try(self, endpoint: Endpoint, stored: Stored, attempt: int) -> tuple[Attempt, Answer]:
        now = self._clock()
        if now - stored.added_us > endpoint.retention_us:
            self._webhooks.attempts["expired"] += 1
            detail = f"given up: it waited for more than {endpoint.retention_us / DAY_US:g} days"
            return _attempt(stored.event, now, attempt - 1, "expired", None, 0, detail), Answer(None, detail)
        return self._webhooks.deliver(endpoint, stored.event, attempt)

    def _failed(self, so_far: Progress, attempt: Attempt, answer: Answer) -> Progress:
        wait_s = self._timing.wait_s(attempt.attempt, answer.wait_s)
        return so_far._replace(
            failures=attempt.attempt,
            failing_since_us=attempt.at_us if so_far.failing_since_us is None else so_far.failing_since_us,
            next_us=self._clock() + round(wait_s * SECOND_US),
            error=answer.detail[:_DETAIL],
        )

    def _until_us(self, endpoint: Endpoint) -> int:
        return self._clock() + round(_OWNED_S * SECOND_US) + endpoint.timeout_ms * 1000


def _attempt(event: Event, at_us: int, attempt: int, outcome: str, status: int | None, took_ms: int, detail: str) -> Attempt:
    return Attempt(event.id, event.type, event.subject, at_us, attempt, outcome, status, took_ms, detail[:_DETAIL])
