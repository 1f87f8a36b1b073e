"""Stores that the settings name: the ledger in PostgreSQL, for an engine or beside a worker, and the archive of objects."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from penstock.config import Settings
from penstock.detector import Detector
from penstock.errors import ConfigurationError
from penstock.ledger import FileLedger, Ledger
from penstock.stream.port import Sink

if TYPE_CHECKING:
    from penstock.adapters.postgres import Status
    from penstock.adapters.postgres.partitions import Dropped

_IDENTITY = "ledger-identity"


def open_ledger(detectors: Sequence[Detector], settings: Settings) -> Ledger:
    """The ledger of engines: in the data folder, or in the database that the setting `ledger` names.

    Raises:
        FolderInUse: another process owns it.
        ConfigurationError: the database holds no ledger, or another one than the state in the data folder came from.
        LedgerError: it does not answer.
    """
    if settings.ledger is None:
        return FileLedger(settings.data / "ledger", segment_bytes=settings.ledger_segment_mb << 20)
    from penstock.adapters.postgres import PostgresLedger

    opened = PostgresLedger(settings.ledger, amounts=_amounts(detectors))
    try:
        _check_state(settings, opened.identity)
    except BaseException:
        opened.close()
        raise
    return opened


def ledger_to_read(settings: Settings) -> Ledger:
    """What is durable in the ledger of engines at this moment, also while a service owns it.

    Raises:
        ConfigurationError: there is no ledger.
        LedgerError: the database does not answer.
    """
    if settings.ledger is None:
        return FileLedger(settings.data / "ledger", read_only=True)
    from penstock.adapters.postgres import PostgresLedger

    return PostgresLedger(settings.ledger, read_only=True)


def _amounts(detectors: Sequence[Detector]) -> dict[str, str]:
    return {detector.name: detector.schema.amount for detector in detectors if detector.schema.amount is not None}


def _check_state(settings: Settings, identity: str) -> None:
    """Snapshots are places in a log: refuse those of another log."""
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
            f"{settings.data} holds a ledger of its own; with the setting `ledger` name a new data folder, and warm its state"
            " with: penstock load"
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(identity, "utf-8")


def open_stores(detector: Detector, settings: Settings, log: str, ledger: Ledger) -> list[Sink]:
    """The stores beside the path of a worker that the settings name.

    log: what tells this worker's ledger from others in the same stores: the detector's name, and the shard's where there are
    several. ledger: the worker's own.

    Raises:
        MissingExtra: the part of the package for a store is not installed.
    """
    sinks: list[Sink] = []
    if settings.ledger is not None:
        from penstock.adapters.postgres import PostgresSink

        sinks.append(PostgresSink(settings.ledger, log, ledger, amounts=_amounts([detector])))
    return sinks


# ---------------------------------------------------------------- the schema


def create_ledger(settings: Settings, *, partitions: str) -> list[str]:
    """Make the schema; the names of the migrations that were applied."""
    from penstock.adapters.postgres import create

    return create(_url(settings), partitions=partitions)


def migrate_ledger(settings: Settings) -> list[str]:
    """Bring the schema up to date; the names of the migrations that were applied."""
    from penstock.adapters.postgres import migrate

    return migrate(_url(settings))


def ledger_status(settings: Settings) -> "Status":
    """What there is in the database."""
    from penstock.adapters.postgres import status

    return status(_url(settings))


def retain_ledger(settings: Settings, days: int) -> "Dropped":
    """Drop what was written more than so many days ago."""
    from penstock.adapters.postgres import retain

    return retain(_url(settings), days)


def _url(settings: Settings) -> str:
    if settings.ledger is None:
        raise ConfigurationError("no ledger is named: --ledger postgresql://USER:PASSWORD@HOST:PORT/DATABASE")
    return settings.ledger
