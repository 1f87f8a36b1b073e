"""A client of the service's API: the routes that pages read, with the service's own response types."""

import http.client
import ssl
from typing import Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import msgspec

from penstock.decoding import prepared
from penstock.errors import ConfigurationError, PenstockError, shown_url
from penstock.messages import Decision
from penstock.service.http.problems import Problem
from penstock.service.live.replay_jobs import StreamAnswer, StreamRequest
from penstock.service.records.decisions import Overview, TransactionList

T = TypeVar("T")

_TIMEOUT_S = 10.0


class ServiceAway(PenstockError):
    """No Penstock service answers at the address."""


class ServiceRefused(PenstockError):
    """The service answers that it will not."""


class Result(msgspec.Struct):
    """The fields read from a row of `GET /get`; further columns are features."""

    transaction_id: str
    predicted_class: int
    fraud_probability: float | None = None


class ServiceClient:
    """A client of a running service. Every method sends one request, and may take ten seconds to give up.

    Args:
        url: where it is, http or https.
        key: what opens it, where it asks for one.

    Raises:
        ConfigurationError: the URL is not that of a service.
    """

    def __init__(self, url: str, key: str | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ConfigurationError(f"{shown_url(url)!r} is not the URL of a service; it reads http://HOST:PORT")
        self.url = url.rstrip("/")
        self._parts, self._key = parts, key

    def detectors(self) -> list[str]:
        """The names of the served detectors."""
        return [each["name"] for each in self._get("/detectors", dict[str, list[dict[str, Any]]])["detectors"]]

    def overview(self, detector: str | None = None) -> Overview:
        """Counts, money and latency so far; by minute and by hour."""
        return self._get("/stats/overview", Overview, detector=detector)

    def transactions(self, limit: int, detector: str | None = None) -> list[Decision]:
        """The newest recorded decisions, newest first."""
        return self._get("/transactions", TransactionList, limit=limit, detector=detector).transactions

    def transaction(self, transaction_id: str) -> Decision | None:
        """One recorded decision, or None."""
        try:
            return self._get(f"/transactions/{quote(transaction_id, safe='')}", Decision)
        except _NotThere:
            return None

    def results(self, k: int, detector: str | None = None) -> list[dict[str, Any]]:
        """The rows of `GET /get`: the latest results, newest first."""
        return self._get("/get", list[dict[str, Any]], k=k, detector=detector)

    def stream(self, wish: StreamRequest) -> StreamAnswer:
        """Start a replay in the background: `POST /stream`."""
        return self._ask("POST", "/stream", StreamAnswer, msgspec.json.encode(wish))

    # ---------------------------------------------------------------- asking

    def _get(self, path: str, kind: type[T], **query: Any) -> T:
        given = {name: value for name, value in query.items() if value is not None}
        return self._ask("GET", f"{path}?{urlencode(given)}" if given else path, kind)

    def _ask(self, method: str, path: str, kind: type[T], body: bytes | None = None) -> T:
        status, answer = self._exchange(method, self._parts.path.rstrip("/") + path, body)
        if status != 200:
            raise _refusal(status, answer, self.url)
        try:
            return msgspec.json.decode(answer, type=prepared(kind))
        except msgspec.MsgspecError as error:
            raise ServiceAway(f"what answers at {shown_url(self.url)} is no service of this version: {error}") from error

    def _exchange(self, method: str, path: str, body: bytes | None) -> tuple[int, bytes]:
        headers = {"Accept": "application/json"}
        headers |= {"Authorization": f"Bearer {self._key}"} if self._key else {}
        headers |= {"Content-Type": "application/json"} if body is not None else {}
        connection = self._connection()
        try:
            connection.request(method, path, body, headers)
            with connection.getresponse() as answer:
                return answer.status, answer.read()
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ServiceAway(
                f"nobody answers at {shown_url(self.url)} ({error or type(error).__name__}); start a service there,"
                " `penstock demo` or `penstock serve DETECTOR`, or name another one: `penstock lab --url URL`"
            ) from error
        finally:
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        assert self._parts.hostname is not None
        if self._parts.scheme == "https":
            context = ssl.create_default_context()
            return http.client.HTTPSConnection(self._parts.hostname, self._parts.port, timeout=_TIMEOUT_S, context=context)
        return http.client.HTTPConnection(self._parts.hostname, self._parts.port, timeout=_TIMEOUT_S)


class _NotThere(ServiceRefused):
    """There is no such thing at the service."""


def _refusal(status: int, answer: bytes, url: str) -> ServiceRefused:
    """The meaning of a refusal, for the user."""
    if status == 401:
        return ServiceRefused(
            f"the service at {shown_url(url)} asks for a key: set PENSTOCK_KEY to one that may read (`penstock keys add`)"
        )
    try:
        detail = msgspec.json.decode(answer, type=prepared(Problem)).detail
    except msgspec.MsgspecError:
        detail = answer[:200].decode("utf-8", "replace")
    said = f"the service answers {status}: {detail}"
    return (_NotThere if status == 404 else ServiceRefused)(said)
