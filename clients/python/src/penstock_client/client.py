"""The clients. Both drive the same generators, which say what to send and how long to pause between two attempts."""

import asyncio
import random
import time
import uuid
from collections.abc import Generator, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from penstock_client.errors import Conflict, Refused, Unavailable
from penstock_client.forms import (
    Decision,
    LabelAnswer,
    Problem,
    Status,
    read_decision,
    read_label,
    read_problem,
    read_status,
)

T = TypeVar("T")

Answer = httpx.Response | httpx.TransportError
Call = Generator[httpx.Request | float, Answer | None, T]
"""A call: yields a request to send, or the seconds to pause before the next."""

_AGAIN = frozenset({429, 502, 503, 504})
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 2.0


class _Calls:
    """Makes the calls that both clients share; see `Client`."""

    def __init__(self, url: str, key: str | None, timeout_s: float, id_field: str) -> None:
        self._url, self._timeout_s, self._id_field = url.rstrip("/") + "/v1", timeout_s, id_field
        self._headers = {"User-Agent": "penstock-client/0.1.0", "Content-Type": "application/json"}
        if key is not None:
            self._headers["Authorization"] = f"Bearer {key}"

    def decide(self, event: Mapping[str, Any], detector: str | None, explain: bool, strict: bool) -> Call[Decision]:
        path = "/predict" if detector is None else f"/detectors/{quote(detector, safe='')}/predict"
        options = [option for option, chosen in (("explain=false", not explain), ("strict=true", strict)) if chosen]
        path += "?" + "&".join(options) if options else ""
        if event.get(self._id_field) is None:
            event = {**event, self._id_field: str(uuid.uuid4())}
        response = yield from self._answered("POST", path, event)
        decision = read_decision(response.content)
        if decision.conflict:
            raise Conflict(decision)
        return decision

    def status(self, transaction_id: str, wait_s: float, detector: str | None) -> Call[Status]:
        query = {"wait_seconds": f"{wait_s:g}"} | ({} if detector is None else {"detector": detector})
        path = f"/transaction/{quote(transaction_id, safe='')}/status?{httpx.QueryParams(query)}"
        response = yield from self._answered("GET", path, None, more_s=wait_s)
        return read_status(response.content)

    def label(self, transaction_id: str, given: Mapping[str, Any]) -> Call[LabelAnswer]:
        label = {name: value for name, value in given.items() if value is not None}
        response = yield from self._answered("POST", "/labels", {"transaction_id": transaction_id, **label})
        return read_label(response.content)

    def _answered(self, method: str, path: str, body: Mapping[str, Any] | None, more_s: float = 0.0) -> Call[httpx.Response]:
        """Send until there is an answer, within the time of the call. Every attempt has the same request id."""
        until = time.monotonic() + self._timeout_s + more_s
        headers = self._headers | {"X-Request-ID": uuid.uuid4().hex}
        content = None if body is None else msgspec.json.encode(body)
        attempts, why = 0, "no attempt was made"
        while (left_s := until - time.monotonic()) > 0:
            timeout = {"timeout": httpx.Timeout(left_s).as_dict()}
            answer = yield httpx.Request(method, self._url + path, headers=headers, content=content, extensions=timeout)
            assert answer is not None
            attempts += 1
            if isinstance(answer, httpx.Response) and answer.status_code not in _AGAIN:
                if answer.status_code >= 300:
                    raise _refused(answer)
                return answer
            own_s, asked_s = _own_pause_s(attempts), _asked_pause_s(answer)
            pause_s = max(own_s, asked_s)
            why = _given_up(answer, attempts, asked_s if asked_s > own_s else None, self._timeout_s + more_s)
            if time.monotonic() + pause_s >= until:
                break
            yield pause_s
        raise Unavailable(why)


def _given_up(answer: Answer, attempts: int, asked_s: float | None, within_s: float) -> str:
    """Why there is no further attempt. asked_s: the pause that the service asked for, where the client's is shorter."""
    made = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    if asked_s is not None:
        return f"given up after {made}: the next is asked for in {asked_s:g} s, not within {within_s:g} s: {_cause(answer)}"
    return f"no answer within {within_s:g} s and {made}: {_cause(answer)}"


def _cause(answer: Answer) -> str:
    if isinstance(answer, httpx.Response):
        return f"{answer.status_code} {_problem(answer).detail}".strip()
    return f"{type(answer).__name__} {answer}".strip()


def _own_pause_s(attempts: int) -> float:
    """It grows with each attempt, at random, so that clients spread out."""
    return min(_FIRST_PAUSE_S * 2.0 ** (attempts - 1), _LONGEST_PAUSE_S) * random.uniform(0.5, 1.0)  # noqa: S311 -- no secret


def _asked_pause_s(answer: Answer) -> float:
    """The pause that the service asks for; 0 where it does not."""
    asked = answer.headers.get("Retry-After", "") if isinstance(answer, httpx.Response) else ""
    return float(asked) if asked.isascii() and asked.isdecimal() else 0.0


def _problem(response: httpx.Response) -> Problem:
    try:
        return read_problem(response.content)
    except msgspec.MsgspecError:
        return Problem(detail=response.text[:200])


def _refused(response: httpx.Response) -> Refused:
    found = _problem(response)
    return Refused(response.status_code, found.detail, found.code, found.errors, response.headers.get("X-Request-ID"))


class Client:
    """A client of one service; it keeps connections, and may be used from several threads.

    Args:
        url: of the service.
        key: its API key, where it asks for one.
        timeout_s: the time of a call with all its attempts.
        id_field: the field of events with the transaction id.
        transport: for tests, and for proxies or certificates of your own.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout_s: float = 5.0,
        id_field: str = "transaction_id",
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._calls = _Calls(url, key, timeout_s, id_field)
        self._http = httpx.Client(transport=transport)

    def decide(
        self, event: Mapping[str, Any], *, detector: str | None = None, explain: bool = True, strict: bool = False
    ) -> Decision:
        """Request the decision about one event; it is on disk when this returns. See `Unavailable`, `Refused`, `Conflict`.

        Args:
            event: its fields.
            detector: its name; otherwise the one whose required fields the event has.
            explain: without it the answer has no explanation, features and scores, and a tenth of the size.
            strict: refuse an event with a field that its type does not declare.
        """
        return self._run(self._calls.decide(event, detector, explain, strict))

    def status(self, transaction_id: str, *, wait_s: float = 0.0, detector: str | None = None) -> Status:
        """The status of a transaction and of its review, after at most `wait_s` (up to 30) while there is no decision."""
        return self._run(self._calls.status(transaction_id, wait_s, detector))

    def label(
        self,
        transaction_id: str,
        *,
        fraud: bool,
        kind: str | None = None,
        known_at: str | None = None,
        detector: str | None = None,
    ) -> LabelAnswer:
        """Report the true outcome of a transaction."""
        given = {"fraud": fraud, "kind": kind, "known_at": known_at, "detector": detector}
        return self._run(self._calls.label(transaction_id, given))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _run(self, call: Call[T]) -> T:
        answer: Answer | None = None
        try:
            step = next(call)
            while True:
                if isinstance(step, float):
                    time.sleep(step)
                    answer = None
                else:
                    try:
                        answer = self._http.send(step)
                    except httpx.TransportError as error:
                        answer = error
                step = call.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result


class AsyncClient:
    """`Client` for asyncio; the same arguments and methods."""

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout_s: float = 5.0,
        id_field: str = "transaction_id",
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._calls = _Calls(url, key, timeout_s, id_field)
        self._http = httpx.AsyncClient(transport=transport)

    async def decide(
        self, event: Mapping[str, Any], *, detector: str | None = None, explain: bool = True, strict: bool = False
    ) -> Decision:
        """See `Client.decide`."""
        return await self._run(self._calls.decide(event, detector, explain, strict))

    async def status(self, transaction_id: str, *, wait_s: float = 0.0, detector: str | None = None) -> Status:
        """See `Client.status`."""
        return await self._run(self._calls.status(transaction_id, wait_s, detector))

    async def label(
        self,
        transaction_id: str,
        *,
        fraud: bool,
        kind: str | None = None,
        known_at: str | None = None,
        detector: str | None = None,
    ) -> LabelAnswer:
        """See `Client.label`."""
        given = {"fraud": fraud, "kind": kind, "known_at": known_at, "detector": detector}
        return await self._run(self._calls.label(transaction_id, given))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _run(self, call: Call[T]) -> T:
        answer: Answer | None = None
        try:
            step = next(call)
            while True:
                if isinstance(step, float):
                    await asyncio.sleep(step)
                    answer = None
                else:
                    try:
                        answer = await self._http.send(step)
                    except httpx.TransportError as error:
                        answer = error
                step = call.send(answer)
        except StopIteration as done:
            result: T = done.value
            return result
