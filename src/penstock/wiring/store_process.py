"""The process that feeds the stores of a worker: what it is told to do (`StorePlan`), and its program (`main`)."""

import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.decoding import prepared
from penstock.engine.record_reader import RecordReader
from penstock.errors import ConfigurationError, Fenced, LedgerError, PenstockError
from penstock.ledger import FileLedger, Ledger, RecentRecords
from penstock.stream.port import Sink
from penstock.stream.sinks import Feeding
from penstock.stream.store_process import REPORT_EVERY_S, LogLine, OwnershipEnd, ProcessReport, SinkReport, StoreProcess

if TYPE_CHECKING:
    from penstock.config import Settings
    from penstock.detector import Detector
    from penstock.engine import Engine
    from penstock.stream.replica import Replica

_log = logging.getLogger("penstock.stores")

_LOOK_EVERY_S = 0.02
_ANYWAY_EVERY_S = 0.5
_CLOSE_WITHIN_S = 15.0
_NICER_BY = 5


class StorePlan(msgspec.Struct):
    """The stores of a worker's ledger, and what is needed to render its records: neither the detector nor an engine.

    log: see `log_of`. shard: the same for Redis, empty for the only one. folder, fence: the ledger's and the owner's, where
    another process feeds the stores. columns: matrix columns of records that name no layout. features: those of versions that
    do not list theirs. log_level: of the lines for the owner's log.
    """

    detector: str
    log: str
    shard: str
    columns: list[str]
    features: list[str]
    amounts: dict[str, str]
    profiles: list[dict[str, Any]]
    ledger: str | None
    archive: str | None
    redis: str | None
    archive_every_s: float
    json_per_decision: bool
    folder: str = ""
    fence: int = 0
    log_level: int = logging.INFO

    @property
    def names(self) -> list[str]:
        """The names of the stores."""
        return [name for name, url in (("postgres", self.ledger), ("archive", self.archive), ("redis", self.redis)) if url]


def log_of(engine: "Engine", shard: int | None) -> str:
    """The name of a worker's ledger in stores that several share; shard: None for the only one."""
    return engine.detector.name if shard is None else f"{engine.detector.name}.shard-{shard}"


def plan_of(engine: "Engine", settings: "Settings", shard: int | None) -> StorePlan:
    """The stores in the settings, for the only shard or for one of several.

    Raises:
        MissingExtra: the part of the package for a store is not installed.
    """
    from penstock.wiring.stores import amounts_of

    detector = engine.detector
    return StorePlan(
        detector=detector.name,
        log=log_of(engine, shard),
        shard=str(shard) if shard else "",
        columns=list(engine.queries.columns),
        features=list(detector.plan.features),
        amounts=amounts_of([detector]),
        profiles=[] if settings.redis is None else _profiles(detector),
        ledger=settings.ledger,
        archive=settings.archive,
        redis=settings.redis,
        archive_every_s=settings.archive_every_s,
        json_per_decision=settings.json_per_decision,
        log_level=logging.getLogger().getEffectiveLevel(),
    )


def _profiles(detector: "Detector") -> list[dict[str, Any]]:
    from penstock.adapters.redis_sink.profiles import profiles_of
    from penstock.adapters.redis_sink.sink import prefix_of

    found: list[dict[str, Any]] = msgspec.to_builtins(profiles_of(detector, prefix_of(detector.name)))
    return found


def open_stores(plan: StorePlan, ledger: Ledger) -> list[Sink]:
    """The stores of a plan, for this ledger.

    Raises:
        MissingExtra: the part of the package for a store is not installed.
        ConfigurationError: a URL cannot be used.
    """
    reader = RecordReader(plan.detector, ledger, lambda: plan.columns, lambda: plan.features)
    sinks: list[Sink] = []
    if plan.ledger is not None:
        from penstock.adapters.postgres.sink import PostgresSink

        sinks.append(PostgresSink(plan.ledger, plan.log, ledger, amounts=plan.amounts))
    if plan.archive is not None:
        from penstock.adapters.s3.sink import ArchiveSink

        render = reader.render if plan.json_per_decision else None
        sinks.append(ArchiveSink(plan.archive, plan.log, ledger, every_s=plan.archive_every_s, render=render))
    if plan.redis is not None:
        from penstock.adapters.redis_sink.profiles import EntityProfile
        from penstock.adapters.redis_sink.sink import RedisSink

        profiles = msgspec.convert(plan.profiles, prepared(list[EntityProfile]))
        sinks.append(RedisSink(plan.redis, plan.detector, reader, profiles, owner=plan.shard))
    return sinks


def start_stores(
    plan: StorePlan, replica: "Replica", fence: int, on_end: Callable[[PenstockError], None]
) -> StoreProcess | None:
    """Feed the stores of a plan from the files of a replica's ledger; None if there are none.

    on_end: called if another process has taken over, or a store is misconfigured.

    Raises:
        ConfigurationError: the ledger is not in files.
    """
    if not plan.names:
        return None
    local = replica.ledger.local
    if not isinstance(local, FileLedger):
        raise ConfigurationError("stores are fed from a ledger in files only")
    replica.ledger.flush()  # the process reads what is durable: all that an earlier owner may have stored must be
    encoded = msgspec.structs.replace(plan, folder=str(local.folder.resolve()), fence=fence)
    return StoreProcess(__name__, msgspec.json.encode(encoded), plan.names, replica.ledger, on_end)


# ---------------------------------------------------------------- the program


class _Channel:
    """The way to the owner: lines on what was standard output, on which nothing else is written from now on."""

    def __init__(self) -> None:
        self._fd = os.dup(1)
        os.dup2(2, 1)
        self._lock = threading.Lock()

    def send(self, report: ProcessReport) -> None:
        """Write one line; without an owner, nothing."""
        data = memoryview(msgspec.json.encode(report) + b"\n")
        with self._lock, suppress(BrokenPipeError):
            while data:
                data = data[os.write(self._fd, data) :]

    def end(self, error: PenstockError) -> None:
        """Tell the owner that its ownership ends."""
        self.send(ProcessReport(end=OwnershipEnd(str(error), fenced=isinstance(error, Fenced))))


class _Handler(logging.Handler):
    """Hands log lines to the owner, whose log has its own form."""

    def __init__(self, channel: _Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        text = self.format(record)
        self._channel.send(ProcessReport(log=[LogLine(record.name, record.levelno, text)]))


def main() -> None:
    """Feed the stores of the plan on standard input until that ends."""
    owner = os.getppid()
    os.nice(_NICER_BY)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the owner says when it is over, and dies where it cannot
    line = sys.stdin.buffer.readline()
    if not line.endswith(b"\n"):
        return
    plan = msgspec.json.decode(line, type=prepared(StorePlan))
    channel = _Channel()
    logging.basicConfig(level=plan.log_level, handlers=[_Handler(channel)])
    over = threading.Event()
    threading.Thread(target=_await_end, args=(over,), daemon=True).start()
    try:
        _feed(plan, channel, lambda: over.is_set() or os.getppid() != owner)
    except LedgerError as error:  # perhaps its owner was just changing a file: this process is started again
        _log.error("the ledger cannot be followed: %s", error)
        sys.exit(1)


def _feed(plan: StorePlan, channel: _Channel, over: Callable[[], bool]) -> None:
    with FileLedger(Path(plan.folder), read_only=True, following=True) as ledger:
        try:
            sinks = open_stores(plan, ledger)
        except ConfigurationError as error:
            channel.end(error)
            return
        newest = RecentRecords()
        feedings = [Feeding(sink, ledger, newest, plan.fence, channel.end) for sink in sinks]
        try:
            _follow(ledger, newest, feedings, channel, over)
        finally:
            closing = threading.Thread(target=_close, args=(feedings,), daemon=True)
            closing.start()
            closing.join(_CLOSE_WITHIN_S)
            if closing.is_alive():  # a store that does not answer: what it lacks is written by the next owner
                os._exit(0)


def _await_end(over: threading.Event) -> None:
    while os.read(0, 1):  # not from `sys.stdin`, whose lock the end of the interpreter waits for
        continue
    over.set()


def _close(feedings: list[Feeding]) -> None:
    for feeding in feedings:
        feeding.close()


def _follow(
    ledger: FileLedger, newest: RecentRecords, feedings: list[Feeding], channel: _Channel, over: Callable[[], bool]
) -> None:
    """Read records as they become durable, and report how far the sinks have come."""
    position, said, said_at = ledger.position, ProcessReport(), 0.0
    while not over():
        if ledger.refresh() > position:
            for at, record in ledger.read(position):
                newest.add([(at, record)])
                position = at + 1
        else:
            time.sleep(_LOOK_EVERY_S)
        now = time.monotonic()
        if now - said_at >= REPORT_EVERY_S:
            report = ProcessReport([SinkReport(each.name, each.position, each.trouble, each.alive) for each in feedings])
            if report != said or now - said_at >= _ANYWAY_EVERY_S:
                channel.send(report)
                said, said_at = report, now


if __name__ == "__main__":
    main()
