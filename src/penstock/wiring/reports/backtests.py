"""Backtests of conditions and candidates, from the settings."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

import polars as pl

from penstock.clock import Clock, system_clock
from penstock.config import Settings
from penstock.detector import Detector
from penstock.errors import DataError
from penstock.ledger.archive import Archive
from penstock.ledger.query_folder import QueryFolder
from penstock.offline.archived import KINDS
from penstock.offline.backtest import BacktestResult, NotRecorded, QuerySource, backtest, condition_of
from penstock.offline.backtest.replayed import Replayed
from penstock.offline.sql_templates import text
from penstock.wiring.engines import open_archive
from penstock.wiring.stores import open_object_archive

if TYPE_CHECKING:
    from penstock.adapters.s3 import ObjectArchive

_EARLY = timedelta(days=1)  # how far an event's time may be ahead of the hour in which it arrived


@contextmanager
def recorded(settings: Settings, detector: str, *, archived: bool, days: int | None) -> Iterator["Archive | ObjectArchive"]:
    """Recorded decisions: from the archive in the settings if `archived`, else from the ledger of the data folder.

    Raises:
        ConfigurationError: it does not exist.
        SinkUnavailable: the archive does not answer.
    """
    if not archived:
        with open_archive(settings, detector) as archive:
            yield archive
        return
    with open_object_archive(settings, None, None) as objects:
        hours = [file.hour for file in objects.files if file.detector == detector and file.kind == "decisions" and file.hour]
        if days is not None and hours:
            since = max(hours) - timedelta(days=days) - _EARLY
            objects.files = [file for file in objects.files if file.hour is None or file.hour >= since]
        yield objects


class ConditionBacktests:
    """Backtests of conditions over the same recorded decisions of one detector; a context manager.

    Args:
        settings: name the data folder, ledger or archive.
        detector: whose decisions.
        days: of how many days; all unless given.
        archived: query the archive in the settings, not the ledger.
        progress: called with a message before long work.
        clock: determines which labels are known.
        limit_s: the time limit of a backtest; features that were not recorded are an error then, else they are replayed.
        archive: queried instead; it stays open.
        cancelled: whether the client has disconnected: a backtest then ends before its next query.
    """

    def __init__(
        self,
        settings: Settings,
        detector: Detector,
        *,
        days: int | None = 30,
        archived: bool = False,
        progress: Callable[[str], object] = lambda _message: None,
        clock: Clock = system_clock,
        limit_s: float | None = None,
        archive: Archive | None = None,
        cancelled: Callable[[], bool] = lambda: False,
    ) -> None:
        self._settings, self._detector, self._days, self._archived = settings, detector, days, archived
        self._progress, self._clock, self._limit_s, self._cancelled = progress, clock, limit_s, cancelled
        self._owned = ExitStack()
        self._recorded: Archive | ObjectArchive | None = archive

    def run(
        self, when: str, then: str = "block", *, hard: bool = False, override: bool = False, leaving_out: str | None = None
    ) -> BacktestResult:
        """The effect that a rule with this condition would have had.

        Args:
            when: the condition.
            then: the action it asks for.
            hard: as in `penstock.Rule`.
            override: the same.
            leaving_out: the saved rule whose condition this is.

        Raises:
            ConfigurationError: there is no ledger or archive.
            ExpressionError: the condition cannot be parsed.
            DataError: there are no decisions, the condition needs missing data, or it took too long.
        """
        condition_of(self._detector, when)  # before anything is opened
        given = _Given(self._detector, when, then, hard, override, self._days, leaving_out)
        if self._recorded is None:
            opened = recorded(self._settings, self._detector.name, archived=self._archived, days=self._days)
            self._recorded = self._owned.enter_context(opened)
        try:
            return given.over(_LimitedArchive(self._recorded, self._limit_s, self._cancelled), self._clock())
        except NotRecorded as missing:
            if self._limit_s is not None:
                raise
            self._progress(f"not recorded, so computed again from the events: {', '.join(missing.names)}")
            with replayed(self._settings, self._detector, missing.names, archived=self._archived) as archive:
                return given.over(archive, self._clock(), missing.names)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._owned.close()


@dataclass(frozen=True, slots=True)
class _Given:
    """The arguments of a backtest."""

    detector: Detector
    when: str
    then: str
    hard: bool
    override: bool
    days: int | None
    leaving_out: str | None

    def over(self, archive: QuerySource, now_us: int, replayed: Sequence[str] = ()) -> BacktestResult:
        return backtest(
            archive,
            self.detector,
            self.when,
            now_us=now_us,
            then=self.then,
            hard=self.hard,
            override=self.override,
            days=self.days,
            leaving_out=self.leaving_out,
            replayed=replayed,
        )


class _LimitedArchive:
    """An archive with a time limit over all queries, cancelled when the client disconnects."""

    def __init__(self, archive: "Archive | ObjectArchive", limit_s: float | None, cancelled: Callable[[], bool]) -> None:
        self._archive, self._cancelled = archive, cancelled
        self._limit_s = limit_s
        self._until_s = None if limit_s is None else time.monotonic() + limit_s

    def query(self, sql: str) -> pl.DataFrame:
        if self._cancelled():
            raise DataError("nobody waits for this backtest any more")
        left_s = None if self._until_s is None else self._until_s - time.monotonic()
        if left_s is not None and left_s <= 0:
            raise DataError(f"the backtest was stopped after {self._limit_s:.0f} s; ask for fewer days")
        return self._archive.query(sql, limit_s=left_s)


@contextmanager
def replayed(settings: Settings, detector: Detector, names: tuple[str, ...], *, archived: bool) -> Iterator[Replayed]:
    """Recorded decisions, with features computed by a replay of all recorded events."""
    with recorded(settings, detector.name, archived=archived, days=None) as archive:
        frames = frames_of(archive, detector.name)
    with closing(QueryFolder(settings.data)) as folder:
        yield Replayed(frames, detector, names, folder.path)


def frames_of(archive: QuerySource, detector: str) -> Mapping[str, pl.DataFrame]:
    """All recorded rows of a detector by kind, in order.

    Raises:
        DataError: there are no decisions.
    """
    mine = f"detector = {text(detector)}"
    frames = {kind: archive.query(f"SELECT * FROM {kind} WHERE {mine} ORDER BY seq") for kind in KINDS}  # noqa: S608 -- quoted
    if not len(frames["decisions"]) + len(frames["loaded"]):
        raise DataError(f"detector {detector!r} has decided nothing here; name another data folder or detector")
    return {kind: frame for kind, frame in frames.items() if len(frame)}
