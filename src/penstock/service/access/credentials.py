"""Cache of keys and sessions in memory, so that a request needs no database query."""

import logging
import threading
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

from penstock.audit import AuditLog
from penstock.clock import Clock
from penstock.database.sqlite import Database
from penstock.errors import PenstockError
from penstock.identity.keys import Keys, id_of
from penstock.identity.roles import Actor, Right, rights, rights_by_detector, user_name
from penstock.identity.users import Users, digest, same
from penstock.service.http.rate_limit import TokenBucket

log = logging.getLogger("penstock.service")

REFRESH_S = 0.4
"""Seconds that a revoked key or an ended session may still be accepted: well under a second."""

_WRITE_USED_US = 30 * 1_000_000


class Credential(NamedTuple):
    """A valid key or session.

    held: its rights for every detector as bits; digest: of its secret; bucket: its rate limit, None without a limit;
    limited: its rights for each detector that a role of it is limited to.
    """

    actor: Actor
    held: int
    digest: str
    expires_us: int | None
    key: str | None = None
    bucket: TokenBucket | None = None
    limited: Mapping[str, Right] = MappingProxyType({})

    @staticmethod
    def of(
        actor: Actor, digest: str, expires_us: int | None, key: str | None = None, bucket: TokenBucket | None = None
    ) -> "Credential":
        """The credential of an actor, with the rights of its roles."""
        held, limited = rights(actor.roles), rights_by_detector(actor.roles)
        return Credential(actor, held.value, digest, expires_us, key, bucket, limited)

    def may(self, needed: Right | None) -> bool:
        """Whether it has one of the needed rights for every detector; None is a right that nobody has."""
        return needed is not None and self.held & needed.value != 0

    def detectors(self, needed: Right | None) -> frozenset[str] | None:
        """The detectors for which it has one of the needed rights; None: all."""
        if self.may(needed):
            return None
        return frozenset(name for name, held in self.limited.items() if needed is not None and held & needed)


class CredentialCache:
    """Keys and sessions as of the last refresh from the office's database. `any`: somebody was ever given access."""

    def __init__(self, database: Database, clock: Clock, rate: float | None = None, burst: int = 1) -> None:
        self.people = Users(database, clock)
        self.any = False
        self.keys_of = Keys(database, clock)
        self.audit = AuditLog(database)
        self._clock = clock
        self._rate, self._burst = rate, burst
        self._seen = -1
        self._keys: dict[str, Credential] = {}
        self._sessions: dict[str, Credential] = {}
        self._used: dict[str, int] = {}
        self._written_us = clock()
        self._looking = threading.Lock()
        self.refresh()

    def by_key(self, secret: str, now_us: int) -> Credential | None:
        """The credential of an API key, if the key is valid."""
        found = self._keys.get(id_of(secret) or "")
        if found is None or not same(found.digest, digest(secret)) or _over(found, now_us):
            return None
        assert found.key is not None
        self._used[found.key] = now_us
        return found

    def by_session(self, token: str, now_us: int) -> Credential | None:
        """The credential of a session that has not ended. The lookup is by hash, so its timing reveals nothing about the
        token.
        """
        found = self._sessions.get(digest(token))
        return None if found is None or _over(found, now_us) else found

    def refresh(self) -> None:
        """Reload if the audit log shows changes; blocks.

        Threads refresh one after the other: of two at once, the slower would restore what it read before a change.

        Raises:
            LedgerError: the database does not answer; the cached credentials stay valid.
        """
        with self._looking:
            seen = self.audit.head().seq
            if seen != self._seen:
                self._read()
                self._seen = seen
        if self._used and self._clock() - self._written_us > _WRITE_USED_US:
            self.write_used()

    def write_used(self) -> None:
        """Store when keys were last used; a failure refuses no request."""
        used, self._used = self._used, {}
        self._written_us = self._clock()
        try:
            self.keys_of.used(used)
        except PenstockError as error:
            log.warning("when keys were last used could not be written: %s", error)

    def _read(self) -> None:
        before = self._keys
        self._keys = {
            key.id: Credential.of(
                Actor(f"key:{key.name}", frozenset(key.roles)),
                secret,
                key.expires_us,
                key.id,
                before[key.id].bucket if key.id in before else self._bucket(),
            )
            for key, secret in self.keys_of.valid()
        }
        self._sessions = {
            session.digest: Credential.of(
                Actor(user_name(session.person), frozenset(session.roles)), session.digest, session.expires_us
            )
            for session in self.people.sessions()
        }
        self.any = bool(self.keys_of.all() or self.people.all())

    def _bucket(self) -> TokenBucket | None:
        return None if self._rate is None else TokenBucket(self._rate, self._burst)


def _over(known: Credential, now_us: int) -> bool:
    return known.expires_us is not None and known.expires_us <= now_us
