"""Processes by number, as /proc shows them; also run by itself as the guard of a program's servers.

The guard reads `+PID` and `-PID` from its standard input. When that ends, or its parent does, however it died, it kills what
is left with everything below it, so that no server outlives the test that started it.
"""

import os
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path


def began(pid: int) -> int | None:
    """When a living process began, in clock ticks since the machine did: with it a number is never mistaken; None if gone."""
    fields = _status(pid)
    return int(fields[19]) if fields and fields[0] not in "ZX" else None


def family(pid: int) -> list[int]:
    """The process and all below it, parents first. A server's own workers may have sessions of their own."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _status(int(entry.name))):
            children.setdefault(int(fields[1]), []).append(int(entry.name))
    found = [pid]
    for parent in found:
        found += children.get(parent, [])
    return found


def signal_all(pid: int, number: signal.Signals) -> None:
    """Send a signal to the process and all below it."""
    for member in family(pid):
        with suppress(ProcessLookupError):
            os.kill(member, number)


def _status(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat behind the name (which may hold anything): state, parent, ..."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None


def guard(parent: int) -> None:
    """Follow what standard input says until it ends or the parent is gone; then kill."""
    guarded: dict[int, int | None] = {}
    waiting = b""
    while True:
        if not select.select([0], [], [], 1.0)[0]:
            if os.getppid() != parent:
                break  # a child of the parent holds the other end open
            continue
        read = os.read(0, 4096)
        if not read:
            break
        *lines, waiting = (waiting + read).split(b"\n")
        for line in lines:
            pid = int(line[1:])
            if line.startswith(b"+"):
                guarded[pid] = began(pid)
            else:
                guarded.pop(pid, None)
    for pid, since in guarded.items():
        if since is not None and began(pid) == since:
            signal_all(pid, signal.SIGKILL)


if __name__ == "__main__":
    guard(int(sys.argv[1]))
