"""Stores from the settings: the ledger in PostgreSQL, the archive, Redis."""

import logging
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from typing import TYPE_CHECKING

from penstock import audit
from penstock.clock import system_clock
from penstock.config import Settings
from penstock.database import Database
from penstock.detector import Detector
from penstock.engine import Engine
from penstock.errors import ConfigurationError, PenstockError
from penstock.ledger import FileLedger, Ledger
from penstock.messages import Record
from penstock.stream.port import Sink
from penstock.stream.sinks import Feeding, name_of, start_feeding

if TYPE_CHECKING:
    from penstock.adapters.postgres import Status
    from penstock.adapters.postgres.partitions import Dropped
    from penstock.adapters.s3 import ObjectArchive

Render = Callable[[Record, Sequence[int]], list[bytes]]
"""Renders decisions of a record as JSON."""

FINISH_S = 5.0
"""Seconds that the end of a process waits for the archive to take durable records."""

_IDENTITY = "ledger-identity"
_log = logging.getLogger(__name__)


def open_ledger(detectors: Sequence[Detector], settings: Settings) -> Ledger:
    """The ledger of engines: in the data folder, or in the database of the setting `ledger`.

    Raises:
        FolderInUse: another process owns it.
        ConfigurationError: the database holds no ledger, or another one than the state in the data folder came from.
        LedgerError: it does not answer.
    """
    if settings.ledger is None:
        segment_bytes = settings.ledger_segment_mb << 20
        return FileLedger(settings.data / "ledger", segment_bytes=segment_bytes, accept_loss=settings.accept_loss)
    from penstock.adapters.postgres import PostgresLedger

    opened = PostgresLedger(settings.ledger, amounts=amounts_of(detectors))
    try:
        _check_state(settings, opened.identity)
    except BaseException:
        opened.close()
        raise
    return opened


def note_losses(ledger: Ledger, office: Database) -> None:
    """Audit accepted losses: missing or damaged parts of an opened ledger."""
    losses = ledger.losses if isinstance(ledger, FileLedger) else ()
    if losses:
        with office.write() as transaction:
            details = {"lost": list(losses)}
            audit.note(
                transaction,
                who="penstock",
                action="ledger.accept_loss",
                subject=f"ledger/{name_of(ledger)}",
                details=details,
                at_us=system_clock(),
            )


def ledger_to_read(settings: Settings, detector: str | None = None) -> Ledger:
    """The durable part of a ledger that a service or worker writes, also while it runs.

    detector: whose log is wanted, if the database of the settings holds several.

    Raises:
        ConfigurationError: there is no ledger, or several logs, of which the settings name none.
        LedgerError: the database does not answer.
    """
    if settings.ledger is None:
        return FileLedger(settings.data / "ledger", read_only=True)
    logs = _logs(settings, detector)
    if len(logs) > 1:
        raise ConfigurationError(f"the database of the setting `ledger` holds several logs; choose one: {_choice(logs)}")
    return _log_to_read(settings.ledger, logs[0])


@contextmanager
def ledgers_to_read(settings: Settings) -> Iterator[dict[str, Ledger]]:
    """The same for every log, or for the one in the settings; by name.

    Raises:
        ConfigurationError: there is no ledger.
        LedgerError: the database does not answer.
    """
    with ExitStack() as opened:
        if settings.ledger is None:
            yield {"": opened.enter_context(ledger_to_read(settings))}
        else:
            url = settings.ledger
            yield {log: opened.enter_context(_log_to_read(url, log)) for log in _logs(settings)}


def several_logs(what: str, logs: Collection[str]) -> ConfigurationError:
    """The error for data that is in more than one log."""
    return ConfigurationError(f"{what} is in several logs of the database of the setting `ledger`; choose one: {_choice(logs)}")


def _choice(logs: Collection[str]) -> str:
    return " or ".join(f"--ledger-log {log}" for log in logs)


def _log_to_read(url: str, log: str) -> Ledger:
    from penstock.adapters.postgres import PostgresLedger

    return PostgresLedger(url, log=log, read_only=True)


def _logs(settings: Settings, detector: str | None = None) -> list[str]:
    """The logs in the database to read: the named one, or all that may hold a detector's decisions."""
    from penstock.adapters.postgres import OWN, logs_of

    if settings.ledger_log is not None:
        return [settings.ledger_log]
    logs = logs_of(_url(settings))
    if not logs:
        raise ConfigurationError(
            "the database of the setting `ledger` holds no decisions yet: no service and no worker has written to it"
        )
    if detector is None:
        return logs
    return [log for log in logs if log in (OWN, detector) or log.startswith(f"{detector}.shard-")] or logs


def amounts_of(detectors: Sequence[Detector]) -> dict[str, str]:
    """By detector, which field is the money at stake."""
    return {detector.name: detector.schema.amount for detector in detectors if detector.schema.amount is not None}


def _check_state(settings: Settings, identity: str) -> None:
    """Refuse snapshots of another log, since they hold positions of one log."""
    path = settings.data / "state" / _IDENTITY
    if path.exists():
        if path.read_text("utf-8") != identity:
            raise ConfigurationError(
                f"the state in {path.parent} belongs to another ledger than the one in the setting `ledger`; "
                "name the data folder that goes with it, or a new one"
            )
        return
    if (settings.data / "ledger" / "log").is_dir():
        raise ConfigurationError(
            f"{settings.data} holds a ledger already; with the setting `ledger` name a new data folder, and warm its state"
            " with: penstock load"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(identity, "utf-8")


def archive_sink(settings: Settings, log: str, ledger: Ledger, render: Render) -> Sink:
    """The sink that archives the records of a ledger.

    Raises:
        ConfigurationError: the settings name no valid archive.
        MissingExtra: the part of the package for it is not installed.
    """
    if settings.archive is None:
        raise ConfigurationError("no archive is named: --archive s3://BUCKET/PREFIX?endpoint=URL, or a folder")
    from penstock.adapters.s3 import ArchiveSink

    each = render if settings.json_per_decision else None
    return ArchiveSink(settings.archive, log, ledger, every_s=settings.archive_every_s, render=each)


def redis_sink(settings: Settings, engine: Engine, owner: str) -> Sink:
    """The sink that publishes an engine's decisions and profiles in Redis; owner: of the cursor.

    Raises:
        ConfigurationError: the settings name no valid Redis.
        MissingExtra: the part of the package for it is not installed.
    """
    if settings.redis is None:
        raise ConfigurationError("no Redis is named: the setting redis, redis://HOST:PORT/DATABASE")
    from penstock.adapters.redis_sink import RedisSink

    return RedisSink.of(settings.redis, engine, owner=owner)


class EmbeddedStores:
    """The archive and Redis of an embedded service, fed from the ledger that its engines write."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engines: dict[str, Engine] = {}
        self.archive: Feeding | None = None
        self.redis: dict[str, Feeding] = {}
        """The running Redis sinks by detector."""

    def follow(self, engine: Engine, ledger: Ledger) -> None:
        """Feed the stores with this engine's decisions, from the stored position."""
        name, known = engine.detector.name, name_of(ledger)
        self._engines[name] = engine
        if self._settings.archive is not None and self.archive is None:
            self.archive = _feeding(archive_sink(self._settings, known, ledger, self._render), ledger)
        if self._settings.redis is not None:
            if name in self.redis:
                self.redis.pop(name).close()
            self.redis[name] = _feeding(redis_sink(self._settings, engine, known), ledger)

    def _render(self, record: Record, rows: Sequence[int]) -> list[bytes]:
        return self._engines[record.detector].queries.render(record, rows)

    def close(self) -> None:
        """Process durable records, and stop."""
        for feeding in (self.archive, *self.redis.values()):
            if feeding is not None:
                feeding.finish(FINISH_S)
                feeding.close()
        self.archive, self.redis = None, {}


def _feeding(sink: Sink, ledger: Ledger) -> Feeding:
    def ended(error: PenstockError) -> None:
        _log.error("nothing more is written to %s: %s", sink.name, error)

    return start_feeding(sink, ledger, 0, ended)


def open_object_archive(settings: Settings, since: datetime | None, until: datetime | None) -> "ObjectArchive":
    """Archived records in the place of the settings, of these hours of arrival.

    Raises:
        ConfigurationError: the settings name none.
        SinkUnavailable: it does not answer.
    """
    if settings.archive is None:
        raise ConfigurationError("no archive is named: --archive s3://BUCKET/PREFIX?endpoint=URL, or a folder")
    from penstock.adapters.s3 import ObjectArchive

    return ObjectArchive(settings.archive, since=since, until=until)


# ---------------------------------------------------------------- the schema


def create_ledger(settings: Settings, *, partitions: str) -> list[str]:
    """Create the schema; returns the names of the applied migrations."""
    from penstock.adapters.postgres import create

    return create(_url(settings), partitions=partitions)


def migrate_ledger(settings: Settings) -> list[str]:
    """Migrate the schema; returns the names of the applied migrations."""
    from penstock.adapters.postgres import migrate

    return migrate(_url(settings))


def ledger_status(settings: Settings) -> "Status":
    """The status of the database."""
    from penstock.adapters.postgres import status

    return status(_url(settings))


def retain_ledger(settings: Settings, days: int) -> "Dropped":
    """Drop data written more than so many days ago."""
    from penstock.adapters.postgres import retain

    return retain(_url(settings), days)


def _url(settings: Settings) -> str:
    if settings.ledger is None:
        raise ConfigurationError("no ledger is named: --ledger postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
    return settings.ledger
