"""API keys of programs: shown once when they are created, stored as a hash."""

import re
import secrets
from collections.abc import Iterable, Mapping

import msgspec

from penstock import audit
from penstock.clock import Clock, system_clock
from penstock.database.sqlite import Database, Row, TableSchema
from penstock.errors import Conflict, MalformedEvent, NotFound
from penstock.identity.roles import known_roles
from penstock.identity.users import Check, check_name, digest

SCHEMA = TableSchema(
    "keys",
    [
        [
            """CREATE TABLE api_keys (id TEXT PRIMARY KEY, name TEXT NOT NULL, digest TEXT NOT NULL, roles TEXT NOT NULL,
                created_us BIGINT NOT NULL, expires_us BIGINT, used_us BIGINT, revoked_us BIGINT)"""
        ]
    ],
)

MARK = "psk"
"""Prefix of every key, by which people and scanners for leaked secrets recognise one."""

_FORM = re.compile(rf"{MARK}_([0-9a-f]{{8}})_[A-Za-z0-9_-]{{43}}")
_COLUMNS = "id, name, roles, created_us, expires_us, used_us, revoked_us"


class ApiKey(msgspec.Struct, frozen=True):
    """A key without its secret. id: the letters after `psk_`, by which people recognise it."""

    id: str
    name: str
    roles: list[str]
    created_us: int
    expires_us: int | None = None
    used_us: int | None = None
    revoked_us: int | None = None


class Keys:
    """The API keys of an office. Every change is audited in the same transaction.

    >>> from penstock.database.sqlite import SqliteDatabase
    >>> keys = Keys(SqliteDatabase())
    >>> secret, key = keys.add("checkout", ["decider"], who="local")
    >>> secret.startswith(f"psk_{key.id}_"), [found.name for found, _ in keys.valid()]
    (True, ['checkout'])
    """

    def __init__(self, database: Database, clock: Clock = system_clock) -> None:
        database.prepare(audit.SCHEMA)
        database.prepare(SCHEMA)
        self._database = database
        self._clock = clock

    def add(
        self,
        name: str,
        roles: Iterable[str],
        *,
        expires_us: int | None = None,
        who: str,
        check: Check = lambda _done: None,
    ) -> tuple[str, ApiKey]:
        """Create a key: returns the secret, shown this once, and the stored key.

        check: called with the transaction before it commits; its exception rolls it back.

        Raises:
            MalformedEvent: invalid name or role, or an expiry in the past.
        """
        check_name(name)
        now = self._clock()
        if expires_us is not None and expires_us <= now:
            raise MalformedEvent("the key would have expired already; let it expire later", "expires")
        key = ApiKey(secrets.token_hex(4), name, sorted(known_roles(roles)), now, expires_us)
        secret = f"{MARK}_{key.id}_{secrets.token_urlsafe(32)}"
        values = {"id": key.id, "name": name, "digest": digest(secret), "roles": " ".join(key.roles), "now": now}
        with self._database.write() as transaction:
            added = transaction.run(
                "INSERT INTO api_keys (id, name, digest, roles, created_us, expires_us) "
                "VALUES (:id, :name, :digest, :roles, :now, :expires) ON CONFLICT (id) DO NOTHING RETURNING id",
                values | {"expires": expires_us},
            )
            if not added:
                raise Conflict(f"the number {key.id} was drawn before; ask again")
            details = {"name": name, "roles": key.roles, "expires_us": expires_us}
            audit.note(transaction, who=who, action="keys.add", subject=f"keys/{key.id}", details=details, at_us=now)
            check(transaction)
        return secret, key

    def revoke(self, id: str, *, who: str, check: Check = lambda _done: None) -> ApiKey:
        """Revoke a key; returns the stored key. check: as with `add`.

        Raises:
            NotFound: no such key, or it was revoked before.
        """
        now = self._clock()
        with self._database.write() as transaction:
            sql = f"UPDATE api_keys SET revoked_us = :now WHERE id = :id AND revoked_us IS NULL RETURNING {_COLUMNS}"  # noqa: S608 - names of columns
            rows = transaction.run(sql, {"id": id, "now": now})
            if not rows:
                raise NotFound(f"there is no key {id[:100]!r} that could be revoked; `penstock keys list` shows them")
            revoked = _key(rows[0])
            details = {"name": revoked.name}
            audit.note(transaction, who=who, action="keys.revoke", subject=f"keys/{id}", details=details, at_us=now)
            check(transaction)
        return revoked

    def all(self) -> list[ApiKey]:
        """All keys, revoked and expired ones included, newest first."""
        return [_key(row) for row in self._database.read(f"SELECT {_COLUMNS} FROM api_keys ORDER BY created_us DESC, id")]  # noqa: S608 - names of columns

    def valid(self) -> list[tuple[ApiKey, str]]:
        """The keys that are neither revoked nor expired, each with the digest of its secret."""
        sql = f"SELECT {_COLUMNS}, digest FROM api_keys WHERE revoked_us IS NULL AND coalesce(expires_us, :now + 1) > :now"  # noqa: S608 - names of columns
        return [(_key(row[:-1]), row[-1]) for row in self._database.read(sql, {"now": self._clock()})]

    def used(self, at_us: Mapping[str, int]) -> None:
        """Store when keys were last used, by id. That is no change, so it is not audited."""
        with self._database.write() as transaction:
            for key, at in at_us.items():
                transaction.run("UPDATE api_keys SET used_us = :at WHERE id = :id", {"id": key, "at": at})


def id_of(secret: str) -> str | None:
    """The id in a key; None for other texts.

    >>> id_of("psk_0123abcd_" + 43 * "x"), id_of("password")
    ('0123abcd', None)
    """
    found = _FORM.fullmatch(secret)
    return found[1] if found else None


def _key(row: Row) -> ApiKey:
    key, name, roles, *times = row
    return ApiKey(key, name, roles.split(), *times)
