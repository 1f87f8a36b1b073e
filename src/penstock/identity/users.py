"""Users: passwords (argon2id), roles, sessions."""

import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import msgspec
from argon2 import PasswordHasher, profiles
from argon2.exceptions import InvalidHashError, VerificationError

from penstock import audit
from penstock.clock import Clock, system_clock
from penstock.database.sqlite import Database, DatabaseTransaction, Row, TableSchema
from penstock.errors import Conflict, MalformedEvent, NotFound
from penstock.identity.roles import is_reserved, known_roles

SCHEMA = TableSchema(
    "people",
    [
        [
            """CREATE TABLE people (name TEXT PRIMARY KEY, password TEXT NOT NULL, roles TEXT NOT NULL,
                created_us BIGINT NOT NULL, disabled_us BIGINT)""",
            """CREATE TABLE people_sessions (digest TEXT PRIMARY KEY, person TEXT NOT NULL, begun_us BIGINT NOT NULL,
                expires_us BIGINT NOT NULL)""",
            "CREATE INDEX people_sessions_of ON people_sessions (person)",
        ],
        ["ALTER TABLE people_sessions ADD COLUMN roles TEXT"],
    ],
)

SESSION_US = 12 * 3600 * 1_000_000
"""The duration of a session: a working day."""
SHORTEST, LONGEST = 12, 1024
"""Length of a password; the upper bound limits the cost of hashing."""

hasher = PasswordHasher.from_parameters(profiles.RFC_9106_LOW_MEMORY)
"""argon2id with the parameters of RFC 9106 for machines with little memory to spare: 3 passes over 64 MiB, 4 lanes."""

Check = Callable[[DatabaseTransaction], None]
"""Checks the changes of a transaction, and raises to roll them back."""

_COLUMNS = "name, roles, created_us, disabled_us"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,99}")


class User(msgspec.Struct, frozen=True):
    """A user; the password never leaves this module."""

    name: str
    roles: list[str]
    created_us: int
    disabled_us: int | None = None


class UserSession(msgspec.Struct, frozen=True):
    """The session of a signed-in user. digest: SHA-256 of the token that the browser keeps."""

    digest: str
    person: str
    roles: list[str]
    expires_us: int


class Users:
    """The users of an office and their sessions. Every change is audited in the same transaction.

    >>> from penstock.database.sqlite import SqliteDatabase
    >>> users = Users(SqliteDatabase())
    >>> users.add("ana", "correct horse battery", ["analyst"], who="local").roles
    ['analyst']
    >>> token = users.sign_in("ana", "correct horse battery")
    >>> [session.person for session in users.sessions()]
    ['ana']
    >>> users.sign_in("ana", "wrong") is None
    True
    """

    def __init__(self, database: Database, clock: Clock = system_clock) -> None:
        database.prepare(audit.SCHEMA)
        database.prepare(SCHEMA)
        self._database = database
        self._clock = clock

    def add(self, name: str, password: str, roles: Iterable[str], *, who: str, check: Check = lambda _done: None) -> User:
        """Add a user. check: called with the transaction before it commits; its exception rolls it back.

        Raises:
            MalformedEvent: invalid name, password or role.
            Conflict: a user with this name exists.
        """
        check_name(name)
        person = User(name, sorted(known_roles(roles)), self._clock())
        values = {"name": name, "password": _hashed(password), "roles": " ".join(person.roles), "at_us": person.created_us}
        with self._database.write() as transaction:
            added = transaction.run(
                "INSERT INTO people (name, password, roles, created_us) VALUES (:name, :password, :roles, :at_us) "
                "ON CONFLICT (name) DO NOTHING RETURNING name",
                values,
            )
            if not added:
                raise Conflict(f"there is a user {name!r} already; choose another name, or change its password")
            self._note(transaction, who, "users.add", name, {"roles": person.roles})
            check(transaction)
        return person

    def set_password(self, name: str, password: str, *, who: str) -> None:
        """Set a user's password; ends sessions that began with the old one.

        Raises:
            NotFound, MalformedEvent: no such user; invalid password.
        """
        self.change(name, password=password, who=who)

    def disable(self, name: str, *, who: str) -> None:
        """Disable a user and end their sessions. The name stays taken.

        Raises:
            NotFound: no such user.
        """
        self.change(name, disabled=True, who=who)

    def change(
        self,
        name: str,
        *,
        password: str | None = None,
        roles: Iterable[str] | None = None,
        disabled: bool | None = None,
        who: str,
        check: Check = lambda _done: None,
    ) -> User:
        """Apply all given changes, or none; returns the changed user. check: as with `add`.

        Raises:
            NotFound, MalformedEvent: no such user; invalid password or role.
        """
        hashed = None if password is None else _hashed(password)
        given = None if roles is None else sorted(known_roles(roles))
        with self._database.write() as transaction:
            before = _person(transaction, name)
            if hashed is not None:
                transaction.run("UPDATE people SET password = :new WHERE name = :name", {"new": hashed, "name": name})
                self._end_all(transaction, name)
                self._note(transaction, who, "users.password", name, {})
            if given is not None:
                transaction.run("UPDATE people SET roles = :roles WHERE name = :name", {"roles": " ".join(given), "name": name})
                details = {"roles": given, "changed": {"roles": [before.roles, given]}}
                self._note(transaction, who, "users.roles", name, details)
            if disabled is not None:
                self._let_in(transaction, before, who, disabled=disabled)
            check(transaction)
            return _person(transaction, name)

    def _let_in(self, transaction: DatabaseTransaction, before: User, who: str, *, disabled: bool) -> None:
        at_us = self._clock() if disabled else None
        sql = "UPDATE people SET disabled_us = :at_us WHERE name = :name"
        transaction.run(sql, {"at_us": at_us, "name": before.name})
        if disabled:
            self._end_all(transaction, before.name)
        details = {"changed": {"disabled": [before.disabled_us is not None, disabled]}}
        self._note(transaction, who, "users.disable" if disabled else "users.enable", before.name, details)

    def all(self) -> list[User]:
        """All users, sorted by name."""
        return [_read(row) for row in self._database.read(f"SELECT {_COLUMNS} FROM people ORDER BY name")]  # noqa: S608 - names of columns

    def sign_in(self, name: str, password: str) -> str | None:
        """Start a session: returns its token, which is shown once; None for a wrong name or password.

        An unknown name takes as long as a wrong password.
        """
        hashed = self._password_of(name)
        if not _fits(hashed or _unknown_user(), password) or hashed is None:
            return None
        return self._begin(name, None, {})

    def change_own_password(self, name: str, password: str, new: str) -> str | None:
        """Replace one's own password, which ends all sessions, and start a new one; None if the present password is wrong.

        Raises:
            MalformedEvent: the new password is invalid, or is the present one.
        """
        if not _fits(self._password_of(name) or _unknown_user(), password):
            return None
        if new == password:
            raise MalformedEvent("the new password is the present one; choose another", "new_password")
        self.change(name, password=new, who=name)
        return self._begin(name, None, {})

    def knows(self, name: str) -> bool:
        """Whether a user has this name, including disabled ones."""
        return bool(self._database.read("SELECT 1 FROM people WHERE name = :name", {"name": name}))

    def let_in(self, name: str, roles: Iterable[str], issuer: str) -> str:
        """Start a session for a person without an account here, identified by an identity provider.

        name: no user's name. roles: of the whole session. Returns its token.
        """
        return self._begin(name, " ".join(sorted(known_roles(roles))), {"issuer": issuer, "roles": sorted(roles)})

    def _begin(self, name: str, roles: str | None, details: Mapping[str, Any]) -> str:
        token, now = secrets.token_urlsafe(32), self._clock()
        values = {"digest": digest(token), "person": name, "roles": roles, "now": now, "expires": now + SESSION_US}
        with self._database.write() as transaction:
            transaction.run("DELETE FROM people_sessions WHERE expires_us < :now", {"now": now})
            transaction.run(
                "INSERT INTO people_sessions (digest, person, roles, begun_us, expires_us) "
                "VALUES (:digest, :person, :roles, :now, :expires)",
                values,
            )
            self._note(transaction, name, "sessions.begin", name, details)
        return token

    def sign_out(self, token: str) -> None:
        """End a session; idempotent."""
        sql = "DELETE FROM people_sessions WHERE digest = :digest RETURNING person"
        with self._database.write() as transaction:
            for (person,) in transaction.run(sql, {"digest": digest(token)}):
                self._note(transaction, person, "sessions.end", person, {})

    def sign_out_everywhere(self, name: str, *, who: str) -> int:
        """End all sessions of a person, also those through an identity provider; returns their number."""
        sql = "DELETE FROM people_sessions WHERE person = :name AND expires_us > :now RETURNING digest"
        with self._database.write() as transaction:
            ended = len(transaction.run(sql, {"name": name, "now": self._clock()}))
            if ended:
                self._note(transaction, who, "sessions.end", name, {"sessions": ended})
        return ended

    def sessions(self) -> list[UserSession]:
        """All active sessions of enabled users, with their current roles."""
        rows: list[Row] = self._database.read(
            "SELECT s.digest, s.person, coalesce(s.roles, p.roles), s.expires_us FROM people_sessions s "
            "LEFT JOIN people p ON p.name = s.person WHERE s.expires_us > :now "
            "AND (s.roles IS NOT NULL OR (p.name IS NOT NULL AND p.disabled_us IS NULL))",
            {"now": self._clock()},
        )
        return [UserSession(found, person, roles.split(), expires) for found, person, roles, expires in rows]

    def _password_of(self, name: str) -> str | None:
        sql = "SELECT password FROM people WHERE name = :name AND disabled_us IS NULL"
        rows = self._database.read(sql, {"name": name})
        return str(rows[0][0]) if rows else None

    def _end_all(self, transaction: DatabaseTransaction, name: str) -> None:
        transaction.run("DELETE FROM people_sessions WHERE person = :name", {"name": name})

    def _note(self, transaction: DatabaseTransaction, who: str, action: str, name: str, details: Mapping[str, Any]) -> None:
        audit.note(transaction, who=who, action=action, subject=f"users/{name}", details=details, at_us=self._clock())


def check_name(name: str) -> None:
    """Check the name of a user or key.

    Raises:
        MalformedEvent: it is invalid.
    """
    if not _NAME.fullmatch(name):
        raise MalformedEvent(f"the name {name[:120]!r} cannot be used; letters, digits and . _ @ + - can", "name")
    if is_reserved(name):
        raise MalformedEvent(f"the name {name!r} is reserved: the program acts under it; choose another one", "name")


def _person(transaction: DatabaseTransaction, name: str) -> User:
    rows = transaction.run(f"SELECT {_COLUMNS} FROM people WHERE name = :name", {"name": name})  # noqa: S608 - names of columns
    if not rows:
        raise NotFound(f"there is no user {name[:100]!r}; `penstock users list` shows them")
    return _read(rows[0])


def _read(row: Row) -> User:
    name, roles, created_us, disabled_us = row
    return User(name, roles.split(), created_us, disabled_us)


def digest(token: str) -> str:
    """The stored hash of a token or key: these are long and random, so one fast hash is enough.

    >>> digest("")[:8]
    'e3b0c442'
    """
    return hashlib.sha256(token.encode()).hexdigest()


def same(one: str, other: str) -> bool:
    """Whether two digests are equal, in constant time."""
    return hmac.compare_digest(one, other)


def _hashed(password: str) -> str:
    if not SHORTEST <= len(password) <= LONGEST:
        raise MalformedEvent(f"a password has {SHORTEST} to {LONGEST} letters, this one {len(password)}", "password")
    return hasher.hash(password)


def _fits(hashed: str, password: str) -> bool:
    try:
        return len(password) <= LONGEST and hasher.verify(hashed, password)
    except (VerificationError, InvalidHashError):
        return False


_made: list[str] = []


def _unknown_user() -> str:
    """A hash without a password, made once: an unknown name costs as much as a wrong password."""
    if not _made:
        _made.append(hasher.hash(secrets.token_urlsafe()))
    return _made[0]
