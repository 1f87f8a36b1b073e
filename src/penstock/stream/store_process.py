"""The process that feeds stores, as the deciding process sees it.

It reads the durable end of the local ledger by itself, so the process that decides does nothing for a record. The two talk in
lines of JSON: its standard input begins with what it is to do, and ends when its owner does; its standard output holds
`ProcessReport` after `ProcessReport`.
"""

import contextlib
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence

import msgspec

from penstock.decoding import prepared
from penstock.errors import ConfigurationError, Fenced, PenstockError
from penstock.ledger import Ledger
from penstock.stream.sinks import Lag, SinkStatus

REPORT_EVERY_S = 0.1
"""Seconds between two reports while anything moves."""

STARTS_WITHIN_S = 30.0
"""Seconds that a planned end waits for a process that is just being started."""

_ENDS_WITHIN_S = 20.0
_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 5.0

_log = logging.getLogger(__name__)


class SinkReport(msgspec.Struct, array_like=True):
    """position: up to which a sink has everything. alive: whether it is still fed."""

    name: str
    position: int
    trouble: str | None
    alive: bool


class LogLine(msgspec.Struct, array_like=True):
    """A line for the owner's log."""

    logger: str
    level: int
    text: str


class OwnershipEnd(msgspec.Struct, array_like=True):
    """Ownership ends. fenced: another owner has taken over; otherwise something is misconfigured."""

    text: str
    fenced: bool


class ProcessReport(msgspec.Struct, omit_defaults=True):
    """One line of the process."""

    sinks: list[SinkReport] = []
    log: list[LogLine] = []
    end: OwnershipEnd | None = None


_decode = msgspec.json.Decoder(prepared(ProcessReport)).decode


class StoreProcess:
    """Runs the process until closed, and starts it again where it ends by itself: what it stored says where it continues.

    Args:
        module: the Python module that is its program.
        plan: the first line that it gets.
        names: of its sinks.
        ledger: the local one, of which it reads the files.
        on_end: called once, from a thread, if another process has taken over, or a sink is misconfigured.
    """

    def __init__(
        self, module: str, plan: bytes, names: Sequence[str], ledger: Ledger, on_end: Callable[[PenstockError], None]
    ) -> None:
        self._command = [sys.executable, "-P", "-m", module]
        self._plan, self._ledger, self._on_end = plan, ledger, on_end
        self._sinks = {name: SinkReport(name, 0, None, alive=True) for name in names}
        self._lags = {name: Lag() for name in names}
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._reporting = False
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="penstock-stores", daemon=True)
        self._thread.start()

    # ------------------------------------------------------------ the thread

    def _run(self) -> None:
        pause_s = _PAUSE_S
        while not self._closing.is_set() and not self._ended:
            began = time.monotonic()
            how = self._once()
            if self._closing.is_set() or self._ended:
                return
            trouble = f"the process that feeds it {how}; it is started again"
            _log.warning("stores: %s", trouble)
            for name, sink in self._sinks.items():
                self._sinks[name] = msgspec.structs.replace(sink, trouble=trouble)
            pause_s = _PAUSE_S if time.monotonic() - began > _LONGEST_PAUSE_S else min(2 * pause_s, _LONGEST_PAUSE_S)
            self._closing.wait(pause_s)

    def _once(self) -> str:
        """Run one process to its end; returns how it ended."""
        try:
            process = self._started()
        except OSError as error:
            return f"cannot be started: {error.strerror}"
        if process is None:
            return "is not needed"
        try:
            self._listen(process)
        finally:
            code = process.wait()
            self._reporting = False
            assert process.stdin is not None
            with contextlib.suppress(OSError):
                process.stdin.close()
        return f"has ended with code {code}"

    def _started(self) -> "subprocess.Popen[bytes] | None":
        """A new process; None where this is closed meanwhile. It leads a session: what a terminal sends is for its owner."""
        with self._lock:
            if self._closing.is_set():
                return None
            self._process = process = subprocess.Popen(  # noqa: S603 -- our own program
                self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
            )
            assert process.stdin is not None
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(self._plan + b"\n")
                process.stdin.flush()
        return process

    def _listen(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                try:
                    self._take(_decode(line))
                except msgspec.MsgspecError:
                    _log.warning("stores: %s", line.decode(errors="replace").rstrip())

    def _take(self, report: ProcessReport) -> None:
        for logged in report.log:
            logging.getLogger(logged.logger).log(logged.level, "%s", logged.text)
        for sink in report.sinks:
            self._sinks[sink.name] = sink
            self._lags[sink.name].reached(sink.position, self._ledger.position)
        self._reporting = self._reporting or bool(report.sinks)
        if report.end is not None and not self._ended:
            self._ended = True
            self._on_end((Fenced if report.end.fenced else ConfigurationError)(report.end.text))

    # ------------------------------------------------------------ its owner

    def status(self) -> dict[str, SinkStatus]:
        """How far each sink has come."""
        end, found = self._ledger.position, {}
        for name, sink in list(self._sinks.items()):
            behind = max(0, end - sink.position)
            found[name] = SinkStatus(behind=behind, behind_s=self._lags[name].seconds(behind), trouble=sink.trouble)
        return found

    def lag_s(self) -> float:
        """The lag of the sink that is furthest behind, in seconds."""
        return max((sink["behind_s"] for sink in self.status().values()), default=0.0)

    def finish(self, within_s: float) -> None:
        """Wait until every sink has everything, at most `within_s`, and a little longer for a process that is being started."""
        now = time.monotonic()
        until, started_by = now + within_s, now + STARTS_WITHIN_S
        while not self._ended and self._thread.is_alive() and self._lacks():
            now = time.monotonic()
            if not self._reporting and now < started_by:
                until = now + within_s
            elif now > until:
                return
            time.sleep(0.02)

    def _lacks(self) -> bool:
        return any(sink.alive and sink.position < self._ledger.position for sink in list(self._sinks.values()))

    def close(self) -> None:
        """End the process, which closes its sinks."""
        self._closing.set()
        with self._lock:
            process = self._process
        if process is not None:
            assert process.stdin is not None
            with contextlib.suppress(OSError):
                process.stdin.close()
            try:
                process.wait(_ENDS_WITHIN_S)
            except subprocess.TimeoutExpired:
                _log.warning("the process of the stores does not end: it is killed; what they lack is stored later")
                process.kill()
        self._thread.join()
