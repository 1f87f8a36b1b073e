"""Background compilation: a process compiles the missing functions, and states switch to them between two batches.

A service starts it once (`running`); every state made from then on gets its functions when they are ready. A long run over
recorded events requests them itself (`speed_up`).
"""

import json
import logging
import os
import queue
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING

from penstock.features.compiled import store

if TYPE_CHECKING:
    from penstock.features.state import FeatureState
    from penstock.features.table import Table

_WARM_FROM, _WORTH_COMPILING = 200_000, 1_000_000
"""Number of events from which a run looks for compiled functions, and from which it has them compiled."""
_MOMENT_S = 1.0
"""A state must exist for this time before its functions are compiled: those of warm-ups and previews do not."""
_LAST = 2_000
_log = logging.getLogger(__name__)
_running: "list[BackgroundCompiler]" = []


class BackgroundCompiler:
    """Gives states their compiled functions; what is missing is compiled by one process at a time.

    gently: that process takes only what nobody else wants of the processors.
    """

    def __init__(self, *, gently: bool) -> None:
        self._gently = gently
        self._waiting: queue.SimpleQueue[weakref.ref[FeatureState] | None] = queue.SimpleQueue()
        self._failed: set[str] = set()
        self._process: subprocess.Popen[str] | None = None
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._work, name="penstock-compiler", daemon=True)
        self._thread.start()

    def offer(self, state: "FeatureState") -> None:
        """Give a state its functions when they are ready; returns at once."""
        self._waiting.put(weakref.ref(state))

    def close(self) -> None:
        """Stop compiling; states keep what they have."""
        self._closed.set()
        self._waiting.put(None)
        process = self._process
        if process is not None:
            process.kill()
        self._thread.join()

    def _work(self) -> None:
        while (state := self._waiting.get()) is not None and not self._closed.is_set():
            try:
                self._serve(state)
            except Exception:  # noqa: BLE001 -- the table-driven kernel goes on, whatever is wrong with the other
                if self._closed.is_set():  # its process was ended
                    return
                _log.exception("features go on with the table-driven kernel: their own functions could not be compiled")

    def _serve(self, state: "weakref.ref[FeatureState]") -> None:
        missing = self._missing(state)
        if missing:
            self._closed.wait(_MOMENT_S)
            missing = self._missing(state)
        for name, why in self._build(missing) if missing else ():
            if why:
                self._failed.add(name)
                _log.warning("features go on with the table-driven kernel: a function was not compiled: %s", why)
        found = state()
        if found is not None and not find(found):
            _log.info("features are computed by functions that were compiled for this detector")

    def _missing(self, state: "weakref.ref[FeatureState]") -> list[str]:
        """Give a state what is compiled; what is not, and can be. Nothing for a state that is gone."""
        found = state()
        return [] if found is None else [text for text in find(found) if store.name_of(text) not in self._failed]

    def _build(self, sources: list[str]) -> Iterator[tuple[str, str]]:
        """Compile sources in a process; the name of each, and why it could not be compiled."""
        with TemporaryFile() as said:
            with _process(said, gently=self._gently) as process:
                self._process = process
                if self._closed.is_set():
                    process.kill()
                assert process.stdin is not None
                assert process.stdout is not None
                process.stdin.write(json.dumps(sources) + "\n")
                process.stdin.flush()
                for line, _ in zip(process.stdout, sources, strict=False):
                    name, why = json.loads(line)
                    yield name, why
                process.stdin.close()
                self._process = None
            if process.returncode and not self._closed.is_set():
                said.seek(max(0, said.seek(0, os.SEEK_END) - _LAST))
                _log.warning("compiling features ended with %d: %s", process.returncode, said.read().decode(errors="replace"))


def _process(said: IO[bytes], *, gently: bool) -> "subprocess.Popen[str]":
    """A process that compiles: see `build`."""
    return subprocess.Popen(  # noqa: S603 -- this package
        [sys.executable, "-P", "-m", "penstock.features.compiled.build", *(["gently"] if gently else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=said,
        text=True,
        env={**os.environ, **_for_this_processor()},
        process_group=0,  # Ctrl-C is for this process, which then ends that one
    )


def _for_this_processor() -> dict[str, str]:
    """What has numba compile for this very processor, and not for the kind of processors that a wheel's kernels are for."""
    import llvmlite.binding
    from numba.core.codegen import get_host_cpu_features

    return {"NUMBA_CPU_NAME": llvmlite.binding.get_host_cpu_name(), "NUMBA_CPU_FEATURES": get_host_cpu_features()}


def find(state: "FeatureState") -> list[str]:
    """Give a state what is compiled already; the sources of what is not."""
    missing = []
    for table in state.tables:
        text = source_of(table)
        address = 0 if table.is_compiled else store.address_of(text)
        if address:
            table.use(address)
        elif not table.is_compiled:
            missing.append(text)
    return list(dict.fromkeys(missing))


def source_of(table: "Table") -> str:
    """The source of a table's function."""
    from penstock.features.compiled.source import function_of

    return function_of(table.plan.plan)


@contextmanager
def running(*, on: bool = True) -> Iterator[None]:
    """While the block lasts, every new state gets its compiled functions, from a process that is in nobody's way."""
    if not on:
        yield
        return
    compiler = BackgroundCompiler(gently=True)
    _running.append(compiler)
    try:
        yield
    finally:
        _running.remove(compiler)
        compiler.close()


def offer(state: "FeatureState") -> None:
    """A new state: it gets its compiled functions if a block of `running` lasts."""
    if _running:
        _running[-1].offer(state)


@contextmanager
def speed_up(state: "FeatureState", events: int) -> Iterator[None]:
    """For a run over this many events: the functions that are compiled already, and, where it is long enough, all others."""
    if events < _WARM_FROM or _running:
        yield
        return
    missing = find(state)
    if not missing or events < _WORTH_COMPILING:
        yield
        return
    compiler = BackgroundCompiler(gently=False)
    compiler.offer(state)
    try:
        yield
    finally:
        compiler.close()
