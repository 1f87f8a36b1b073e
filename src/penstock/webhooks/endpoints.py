"""The endpoints that webhooks are delivered to: subscriptions with a selector, a secret and a durable cursor."""

import re
import secrets
from collections.abc import Sequence
from typing import Any, cast
from urllib.parse import urlsplit

import msgspec

from penstock import audit
from penstock.clock import SECOND_US, Clock, system_clock
from penstock.database.sqlite import Database, DatabaseTransaction, Row
from penstock.errors import Conflict, MalformedEvent, NotFound, did_you_mean
from penstock.messages import Action
from penstock.webhooks.events import TYPES, Event
from penstock.webhooks.signing import new_secret
from penstock.webhooks.tables import SCHEMA

MOST_ENDPOINTS = 50
DAY_US = 86_400 * SECOND_US
OVERLAP_US = DAY_US
"""How long the secret before a rotation still signs as well."""

_URL = re.compile(r"[!-~]{1,2000}")
_COLUMNS = (
    "id, url, description, types, detectors, decisions, enabled, retention_us, timeout_ms, secret, previous, "
    "previous_until_us, created_us, created_by, reached, generation, tries, failures, failing_since_us, alerted, next_us, "
    "delivered_us, error, owner, owned_until_us"
)


class Selector(msgspec.Struct, frozen=True):
    """The events that an endpoint gets; an empty list selects all.

    types: names, or beginnings that end in `*`. detectors: by name. decisions: the outcomes of decisions.

    >>> Selector(types=("penstock.case.*",)).selects("penstock.case.decided", "shop", None)
    True
    >>> Selector(decisions=("BLOCK",)).selects("penstock.decision.made", "shop", "APPROVE")
    False
    """

    types: tuple[str, ...] = ()
    detectors: tuple[str, ...] = ()
    decisions: tuple[str, ...] = ()

    def selects(self, type: str, detector: str | None, decision: str | None) -> bool:
        """Whether it selects an event."""
        return (
            (not self.types or any(_matches(pattern, type) for pattern in self.types))
            and (not self.detectors or detector is None or detector in self.detectors)
            and (not self.decisions or decision is None or decision in self.decisions)
        )


class Endpoint(msgspec.Struct, frozen=True):
    """An endpoint with the state of its delivery.

    reached: the number of the last event that is done with. generation: grows when somebody moves the cursor. failures:
    in a row; failing_since_us: of the first of them. next_us: not tried before. owner: the process that delivers.
    """

    id: str
    url: str
    description: str
    selector: Selector
    enabled: bool
    retention_us: int
    timeout_ms: int
    secret: str
    previous: str | None
    previous_until_us: int | None
    created_us: int
    created_by: str
    reached: int
    generation: int
    tries: int
    failures: int
    failing_since_us: int | None
    alerted: bool
    next_us: int | None
    delivered_us: int | None
    error: str | None
    owner: str | None
    owned_until_us: int | None

    @property
    def host(self) -> str:
        """Where it is, for people who may not see its path."""
        return urlsplit(self.url).netloc

    def selects(self, event: Event) -> bool:
        """Whether it gets this event."""
        return self.selector.selects(event.type, event.detector, event.decision)

    def secrets(self, now_us: int) -> list[str]:
        """The secrets that sign at this instant, the newest first."""
        overlaps = self.previous is not None and (self.previous_until_us or 0) > now_us
        return [self.secret, cast("str", self.previous)] if overlaps else [self.secret]

    def state(self, now_us: int, failing_us: int) -> str:
        """`paused`, `failing` (for longer than `failing_us`), `retrying` or `delivering`."""
        if not self.enabled:
            return "paused"
        if self.failing_since_us is None:
            return "delivering"
        return "failing" if now_us - self.failing_since_us >= failing_us else "retrying"


class EndpointChanges(msgspec.Struct, frozen=True, kw_only=True):
    """What to change of an endpoint; None leaves it. rotate: make a new secret."""

    url: str | None = None
    description: str | None = None
    types: Sequence[str] | None = None
    detectors: Sequence[str] | None = None
    decisions: Sequence[str] | None = None
    enabled: bool | None = None
    retention_days: float | None = None
    timeout_s: float | None = None
    rotate: bool = False


class Endpoints:
    """The endpoints of an office. Every change is audited in its transaction.

    plain: whether `http://` is allowed.

    >>> from penstock.database.sqlite import SqliteDatabase
    >>> endpoints = Endpoints(SqliteDatabase())
    >>> made = endpoints.add("https://shop.example/hooks", EndpointChanges(types=["penstock.decision.made"]), who="ana")
    >>> made.secret.startswith("whsec_"), made.reached
    (True, 0)
    """

    def __init__(self, database: Database, *, plain: bool = False, clock: Clock = system_clock) -> None:
        database.prepare(audit.SCHEMA)
        database.prepare(SCHEMA)
        self._database, self._plain, self._clock = database, plain, clock

    def all(self) -> list[Endpoint]:
        """All endpoints, oldest first."""
        sql = f"SELECT {_COLUMNS} FROM webhook_endpoints ORDER BY created_us, id"  # noqa: S608 - names of columns
        return [_endpoint(row) for row in self._database.read(sql)]

    def get(self, id: str) -> Endpoint:
        """One endpoint.

        Raises:
            NotFound: it does not exist.
        """
        rows = self._database.read(f"SELECT {_COLUMNS} FROM webhook_endpoints WHERE id = :id", {"id": id})  # noqa: S608 - names of columns
        if not rows:
            raise _unknown(id)
        return _endpoint(rows[0])

    def add(self, url: str, given: EndpointChanges, *, who: str) -> Endpoint:
        """Add an endpoint, which gets the events from now on.

        Raises:
            MalformedEvent: the URL or the selector is invalid.
            Conflict: there are as many as there may be.
        """
        now, number = self._clock(), f"wh_{secrets.token_hex(6)}"
        values = self._values(
            EndpointChanges(types=(), detectors=(), decisions=(), description="", retention_days=7.0, timeout_s=10.0)
        )
        values |= self._values(msgspec.structs.replace(given, url=url, rotate=False))
        values |= {
            "id": number,
            "enabled": values.get("enabled", 1),
            "secret": new_secret(),
            "created_us": now,
            "created_by": who,
        }
        with self._database.write() as transaction:
            [(head,)] = transaction.run(
                "UPDATE webhook_head SET seq = seq WHERE id = 1 RETURNING seq"
            )  # after those on the way
            [(count,)] = transaction.run("SELECT count(*) FROM webhook_endpoints")
            if count >= MOST_ENDPOINTS:
                raise Conflict(f"there are {count} endpoints, and at most {MOST_ENDPOINTS} are possible; remove one")
            _start_audit(transaction, first=count == 0)
            values["reached"] = head
            names = ", ".join(values)
            places = ", ".join(f":{name}" for name in values)
            transaction.run(f"INSERT INTO webhook_endpoints ({names}) VALUES ({places})", values)  # noqa: S608 - names of columns
            self._note(transaction, who, "add", number, _shown(values), now)
        return self.get(number)

    def change(self, id: str, given: EndpointChanges, *, who: str) -> Endpoint:
        """Change an endpoint. With `rotate`, the secret before signs for another day as well.

        Raises:
            NotFound: it does not exist.
            MalformedEvent: the URL or the selector is invalid.
        """
        now, values = self._clock(), self._values(given)
        with self._database.write() as transaction:
            before = _locked(transaction, id)
            if given.rotate:
                values |= {"secret": new_secret(), "previous": before.secret, "previous_until_us": now + OVERLAP_US}
            if given.url is not None or given.enabled:
                values["next_us"] = None  # tried at once
            sets = ", ".join(f"{name} = :{name}" for name in values)
            transaction.run(f"UPDATE webhook_endpoints SET {sets} WHERE id = :id", values | {"id": id})  # noqa: S608 - names of columns
            self._note(transaction, who, "change", id, _shown(values) | ({"rotated": True} if given.rotate else {}), now)
        return self.get(id)

    def remove(self, id: str, *, who: str) -> None:
        """Remove an endpoint with its log; what waits for it is not delivered.

        Raises:
            NotFound: it does not exist.
        """
        with self._database.write() as transaction:
            before = _locked(transaction, id)
            transaction.run("DELETE FROM webhook_attempts WHERE endpoint = :id", {"id": id})
            transaction.run("DELETE FROM webhook_endpoints WHERE id = :id", {"id": id})
            self._note(transaction, who, "remove", id, {"url": shown_url(before.url)}, self._clock())

    def replay(self, id: str, *, who: str, from_us: int | None = None, event: str | None = None) -> int:
        """Move the cursor before the first event since an instant, or before one event; returns how many events follow.

        Raises:
            NotFound: there is no such endpoint, or the event is not kept (any more).
        """
        with self._database.write() as transaction:
            _locked(transaction, id)
            [(head,)] = transaction.run("SELECT seq FROM webhook_head WHERE id = 1")
            if event is not None:
                rows = transaction.run("SELECT seq FROM webhook_events WHERE id = :event", {"event": event})
                if not rows:
                    raise NotFound(f"no event {event[:100]!r} is kept; give the instant to replay from")
            else:
                rows = transaction.run("SELECT min(seq) FROM webhook_events WHERE at_us >= :from", {"from": from_us or 0})
            reached = head if rows[0][0] is None else rows[0][0] - 1
            transaction.run(
                "UPDATE webhook_endpoints SET reached = :reached, generation = generation + 1, failures = 0, "
                "next_us = NULL WHERE id = :id",
                {"id": id, "reached": reached},
            )
            details = {"from_us": from_us, "event": event, "events": head - reached}
            self._note(transaction, who, "replay", id, details, self._clock())
        return int(head - reached)

    def _values(self, given: EndpointChanges) -> dict[str, Any]:
        """The columns to set."""
        values: dict[str, Any] = {}
        if given.url is not None:
            values["url"] = checked_url(given.url, plain=self._plain)
        if given.description is not None:
            values["description"] = given.description
        for name, texts in (("types", given.types), ("detectors", given.detectors), ("decisions", given.decisions)):
            if texts is not None:
                values[name] = msgspec.json.encode(_checked(name, texts)).decode()
        if given.enabled is not None:
            values["enabled"] = int(given.enabled)
        if given.retention_days is not None:
            values["retention_us"] = round(given.retention_days * DAY_US)
        if given.timeout_s is not None:
            values["timeout_ms"] = round(given.timeout_s * 1000)
        return values

    def _note(
        self, transaction: DatabaseTransaction, who: str, action: str, id: str, details: dict[str, Any], now: int
    ) -> None:
        audit.note(transaction, who=who, action=f"webhooks.{action}", subject=f"webhooks/{id}", details=details, at_us=now)


def checked_url(url: str, *, plain: bool) -> str:
    """A URL that may be posted to; plain: whether it may be `http://`.

    Raises:
        MalformedEvent: it may not be; the message does not repeat it.
    """
    try:
        parts = urlsplit(url)
        valid = bool(_URL.fullmatch(url) and parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid or parts.scheme not in ("http", "https"):
        raise MalformedEvent("url is not an address of HTTPS; it reads https://HOST/PATH", "url")
    if parts.scheme == "http" and not plain:
        raise MalformedEvent("url: http:// is unprotected; write https://, or allow it with the setting webhook_private", "url")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise MalformedEvent("url: it holds a user, a password or a fragment; webhooks are authenticated by signature", "url")
    return url


def shown_url(url: str) -> str:
    """A URL without its query, which may hold a secret.

    >>> shown_url("https://shop.example/hooks?token=1")
    'https://shop.example/hooks'
    """
    return url.partition("?")[0]


def _start_audit(transaction: DatabaseTransaction, *, first: bool) -> None:
    """Announce changes from now on where nobody listened before."""
    if first:
        transaction.run("UPDATE webhook_head SET audited = (SELECT seq FROM audit_head WHERE id = 1) WHERE id = 1")


def _locked(transaction: DatabaseTransaction, id: str) -> Endpoint:
    """The endpoint, which nobody else changes before the transaction ends."""
    rows = transaction.run(f"UPDATE webhook_endpoints SET id = id WHERE id = :id RETURNING {_COLUMNS}", {"id": id})  # noqa: S608 - names of columns
    if not rows:
        raise _unknown(id)
    return _endpoint(rows[0])


def _unknown(id: str) -> NotFound:
    return NotFound(f"there is no webhook {id[:100]!r}; GET /webhooks lists them")


def _checked(name: str, texts: Sequence[str]) -> list[str]:
    if name == "types":
        for text in texts:
            if not any(_matches(text, known) for known in TYPES):
                raise MalformedEvent(f"type {text[:100]!r} selects no event.{did_you_mean(text, TYPES)}", "types")
    if name == "decisions":
        known_actions = [action.name for action in Action]
        for text in texts:
            if text not in known_actions:
                raise MalformedEvent(f"decision {text[:100]!r} is not known.{did_you_mean(text, known_actions)}", "decisions")
    return list(dict.fromkeys(texts))


def _matches(pattern: str, type: str) -> bool:
    return type.startswith(pattern[:-1]) if pattern.endswith("*") else type == pattern


def _shown(values: dict[str, Any]) -> dict[str, Any]:
    """What the audit log says of changed columns: never a secret."""
    hidden = {"id", "secret", "previous", "previous_until_us", "next_us", "created_us", "created_by"}
    kept = {name: value for name, value in values.items() if name not in hidden}
    return kept | {"url": shown_url(kept["url"])} if "url" in kept else kept


def _endpoint(row: Row) -> Endpoint:
    number, url, description, types, detectors, decisions, enabled, *rest = row
    selector = Selector(*(tuple(msgspec.json.decode(texts)) for texts in (types, detectors, decisions)))
    found = Endpoint(number, url, description, selector, bool(enabled), *rest)
    return msgspec.structs.replace(found, alerted=bool(found.alerted))
