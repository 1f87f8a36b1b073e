"""Signals that stop a long-running command."""

import _thread
import atexit
import itertools
import logging
import os
import signal
import time
from collections.abc import Callable

AT_ONCE_S = 5.0
"""The longest that a stop takes after a second signal."""

_SAID_WITHIN_S = 0.5
_NOT_STOPPED = "the process has not stopped %g s after a signal: it ends now, and recovers at its next start"
_STOPPING = ("SIGTERM", "SIGINT", "SIGHUP")

_log = logging.getLogger(__name__)


def stop_on_signals(stop: Callable[[], None], within_s: float, *, started: Callable[[], bool] = lambda: True) -> None:
    """Call `stop` on every SIGTERM, SIGINT and SIGHUP from now on, and end the process if that does not.

    The process ends at most `within_s` seconds after the first signal, and at most `AT_ONCE_S` after a second one, or if
    it has not `started` yet: then nothing was acknowledged, and two signals of one kind may have become one. What still
    runs then is abandoned as by `kill -9`, which loses nothing that was acknowledged; the exit code is 1.
    """
    count = itertools.count()

    def leave() -> None:
        seconds = within_s if next(count) == 0 and started() else min(within_s, AT_ONCE_S)
        time.sleep(seconds)
        _thread.start_new_thread(_log.critical, (_NOT_STOPPED, seconds))
        time.sleep(_SAID_WITHIN_S)  # not longer: the reader of the log may have stopped reading
        os._exit(1)

    for name in _STOPPING:
        on_signal(name, leave, stop)
    atexit.register(_ignore)


def on_signal(name: str, *works: Callable[[], None]) -> None:
    """Run these on every signal of this name, each in a thread that keeps no process alive.

    Not in the handler: that interrupts the main thread anywhere, perhaps while it holds the very lock that is needed, or in the
    middle of another handler. The interpreter runs handlers in the main thread alone, and a signal that comes right before a
    wait does not end it: so the main thread waits with time-outs. A SIGHUP that `nohup` has switched off stays off.
    """
    number = getattr(signal, name, None)  # Windows does not have all of them
    if number is None or (name == "SIGHUP" and signal.getsignal(number) == signal.SIG_IGN):
        return

    def handle(_number: int, _frame: object) -> None:
        for work in works:
            _thread.start_new_thread(work, ())

    signal.signal(number, handle)


def _ignore() -> None:
    """A signal while the interpreter is taken down would turn an exit code of 0 into that of a process that was killed."""
    for name in _STOPPING:
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
