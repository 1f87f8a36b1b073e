"""Alert channels that are set up while the service runs, in the office, beside those in the file of alerts."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from penstock import audit
from penstock.alerts import Channel
from penstock.clock import Clock, system_clock
from penstock.database.sqlite import Database, DatabaseTransaction, Row, TableSchema
from penstock.errors import ConfigurationError, Conflict, MalformedEvent, NotFound
from penstock.webhooks.endpoints import checked_url, shown_url

SCHEMA = TableSchema(
    "alert_channels",
    [
        [
            """CREATE TABLE alert_channels (name TEXT PRIMARY KEY, kind TEXT NOT NULL, settings TEXT NOT NULL,
            enabled INTEGER NOT NULL, created_us BIGINT NOT NULL, created_by TEXT NOT NULL)""",
        ]
    ],
)

MOST_CHANNELS = 20
SECRETS = {"slack": ("url",), "webhook": ("secret",), "email": ("password",)}
"""By kind, the settings that are never shown."""

_COLUMNS = "name, kind, settings, enabled, created_us, created_by"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_NAMED = re.compile(r"`(?:\$\.)?(\w+)")
"""The field that an error of `msgspec` is about."""

_SERVER: dict[str, Any] = {"host": None, "port": 587, "tls": "starttls", "user": None}
"""What decides who gets the password, with the values that hold unless given."""

Open = Callable[[str, Mapping[str, Any]], Channel]
"""Opens a channel of this name from a table as the file of alerts has it; raises `ConfigurationError` where it is invalid."""


class StoredChannel(msgspec.Struct, frozen=True):
    """A channel of the office. settings: as in the file of alerts, with its secrets."""

    name: str
    kind: str
    settings: dict[str, Any]
    enabled: bool
    created_us: int
    created_by: str

    @property
    def table(self) -> dict[str, Any]:
        """What the file of alerts would say of it."""
        return {"kind": self.kind, **self.settings}

    @property
    def shown(self) -> dict[str, Any]:
        """The settings without secrets; a URL without what follows `?`."""
        return _shown(self.kind, self.settings)

    @property
    def secrets(self) -> list[str]:
        """The names of the secrets that it has."""
        return [name for name in SECRETS[self.kind] if name in self.settings]


class AlertChannels:
    """The alert channels of an office. Every change is audited in its transaction, without secrets.

    open: finds what is wrong with a channel. plain: whether URLs may be `http://`.
    """

    def __init__(self, database: Database, open: Open, *, plain: bool = False, clock: Clock = system_clock) -> None:
        database.prepare(audit.SCHEMA)
        database.prepare(SCHEMA)
        self._database, self._open, self._plain, self._clock = database, open, plain, clock

    def all(self) -> list[StoredChannel]:
        """All channels by name."""
        return [_stored(row) for row in self._database.read(f"SELECT {_COLUMNS} FROM alert_channels ORDER BY name")]  # noqa: S608 - names of columns

    def get(self, name: str) -> StoredChannel:
        """One channel.

        Raises:
            NotFound: it does not exist.
        """
        rows = self._database.read(f"SELECT {_COLUMNS} FROM alert_channels WHERE name = :name", {"name": name})  # noqa: S608 - names of columns
        if not rows:
            raise _unknown(name)
        return _stored(rows[0])

    def add(self, name: str, kind: str, settings: Mapping[str, Any], *, who: str, enabled: bool = True) -> StoredChannel:
        """Add a channel.

        Raises:
            MalformedEvent: its name or its settings are invalid.
            Conflict: there is one of this name, or there are as many as there may be.
        """
        if not _NAME.fullmatch(name):
            raise MalformedEvent("name has up to 64 letters, digits, - and _, and begins with a letter or a digit", "name")
        made = StoredChannel(name, kind, self._checked(name, kind, settings), enabled, self._clock(), who)
        with self._database.write() as transaction:
            [(count,)] = transaction.run("SELECT count(*) FROM alert_channels")
            if count >= MOST_CHANNELS:
                raise Conflict(f"there are {count} channels, and at most {MOST_CHANNELS} are possible; remove one")
            added = transaction.run(
                f"INSERT INTO alert_channels ({_COLUMNS}) VALUES (:name, :kind, :settings, :enabled, :created_us, :created_by) "  # noqa: S608 - names of columns
                "ON CONFLICT (name) DO NOTHING RETURNING name",
                msgspec.structs.asdict(made) | {"settings": _encoded(made.settings), "enabled": int(enabled)},
            )
            if not added:
                raise Conflict(f"there is a channel {name!r} already; choose another name, or change it")
            self._note(transaction, who, "add", made, made.settings, enabled=enabled)
        return made

    def change(self, name: str, settings: Mapping[str, Any], *, who: str, enabled: bool | None = None) -> StoredChannel:
        """Change a channel: settings that are not given stay, those that are None or empty end.

        Raises:
            NotFound: it does not exist.
            MalformedEvent: a setting is invalid, or the password is wanted again because another server would get it.
        """
        with self._database.write() as transaction:
            before = _locked(transaction, name)
            known = _SERVER | before.settings
            settings = {key: value for key, value in settings.items() if value != known.get(key)}
            if before.settings.get("password") and "password" not in settings and any(key in settings for key in _SERVER):
                raise MalformedEvent("password: the server or its user changes; give the password again", "password")
            whole = self._checked(name, before.kind, before.settings | settings)
            changed = msgspec.structs.replace(before, settings=whole, enabled=before.enabled if enabled is None else enabled)
            transaction.run(
                "UPDATE alert_channels SET settings = :settings, enabled = :enabled WHERE name = :name",
                {"settings": _encoded(whole), "enabled": int(changed.enabled), "name": name},
            )
            self._note(transaction, who, "change", before, settings, enabled=enabled)
        return changed

    def remove(self, name: str, *, who: str) -> None:
        """Remove a channel.

        Raises:
            NotFound: it does not exist.
        """
        with self._database.write() as transaction:
            before = _locked(transaction, name)
            transaction.run("DELETE FROM alert_channels WHERE name = :name", {"name": name})
            self._note(transaction, who, "remove", before, {})

    def _checked(self, name: str, kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
        """The settings to store: valid, and without those that say nothing."""
        whole = {key: value for key, value in settings.items() if value not in (None, "")}
        if "url" in whole:
            checked_url(whole["url"], plain=self._plain)
        try:
            self._open(name, {"kind": kind, **whole})
        except ConfigurationError as error:
            named = _NAMED.search(str(error))
            raise MalformedEvent(str(error), None if named is None else named[1]) from error
        return whole

    def _note(
        self,
        transaction: DatabaseTransaction,
        who: str,
        action: str,
        of: StoredChannel,
        settings: Mapping[str, Any],
        *,
        enabled: bool | None = None,
    ) -> None:
        details: dict[str, Any] = {"kind": of.kind, **_shown(of.kind, settings)}
        details |= {} if enabled is None else {"enabled": enabled}
        secret = [name for name in SECRETS[of.kind] if name in settings]
        details |= {"secrets": secret} if secret else {}
        audit.note(
            transaction,
            who=who,
            action=f"alert_channels.{action}",
            subject=f"alert_channels/{of.name}",
            details=details,
            at_us=self._clock(),
        )


def _shown(kind: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    shown = {name: value for name, value in settings.items() if name not in SECRETS[kind]}
    return shown | {"url": shown_url(shown["url"])} if "url" in shown else shown


def _locked(transaction: DatabaseTransaction, name: str) -> StoredChannel:
    """The channel, which nobody else changes before the transaction ends."""
    rows = transaction.run(f"UPDATE alert_channels SET name = name WHERE name = :name RETURNING {_COLUMNS}", {"name": name})  # noqa: S608 - names of columns
    if not rows:
        raise _unknown(name)
    return _stored(rows[0])


def _unknown(name: str) -> NotFound:
    return NotFound(f"no channel {name[:100]!r} was set up here; GET /alerts/channels lists them")


def _encoded(settings: Mapping[str, Any]) -> str:
    return msgspec.json.encode(settings, order="sorted").decode()


def _stored(row: Row) -> StoredChannel:
    name, kind, settings, enabled, created_us, created_by = row
    return StoredChannel(name, kind, msgspec.json.decode(settings), bool(enabled), created_us, created_by)
