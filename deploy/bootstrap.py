"""Everything of a detector in one terminal, until Ctrl-C: what `make bootstrap` runs.

    python -m deploy.bootstrap MAKE URL

Servers that do not run are started, and stopped in the end; `MAKE prepared` makes topics, tables and models; then worker,
service and traffic run, as `MAKE commands` prints them. Where one of them ends, all end, with exit code 1.
"""

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.request import urlopen

from deploy.infra import SERVERS, Server
from deploy.infra.__main__ import FOLDER
from deploy.infra.__main__ import main as infra

STOP_S = 40.0
"""How long a part may take to end; a service and a worker say 30 s by themselves."""


STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class PartEnded(Exception):
    """A part of the system ended by itself; the message names it."""


def main(make: str, url: str) -> int:
    """Run everything until it is interrupted; the exit code."""
    for number in STOPPING:
        signal.signal(number, interrupt)
    try:
        with servers():
            prepare(make)
            printed = subprocess.run([make, "--no-print-directory", "commands"], check=True, stdout=subprocess.PIPE, text=True)
            run(printed.stdout.splitlines(), url)
    except KeyboardInterrupt:
        return 0
    except PartEnded as error:
        print(error, file=sys.stderr)
    return 1


def interrupt(*_: object) -> None:
    """Begin to end, once: a second Ctrl-C must not leave anything behind."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def prepare(make: str) -> None:
    """Make topics, tables and models, where they are not there; an interrupted make removes what is half made."""
    preparing = subprocess.Popen([make, "--no-print-directory", "prepared"])
    try:
        if preparing.wait():
            raise PartEnded("not everything could be prepared: why stands above")
    finally:
        preparing.wait()


@contextmanager
def servers() -> Iterator[None]:
    """Every server that this machine can run; those that did not run before are stopped in the end."""
    ran = {server.name for server in running()}
    try:
        if infra(["start"]):
            raise PartEnded("none of the servers can run here: what is missing stands above")
        yield
    finally:
        if started := [server.name for server in running() if server.name not in ran]:
            infra(["stop", *started])


def running() -> list[Server]:
    """The servers that run in this checkout."""
    return [server for kind in SERVERS if (server := kind(FOLDER / kind.name, guarded=False)).pid is not None]


def run(commands: list[str], url: str) -> None:
    """Run commands side by side; say where everything is once the service is ready.

    Raises:
        PartEnded: one of them ended.
        KeyboardInterrupt: as usual; all have ended then.
    """
    parts: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            parts += [begin(command)]
        said = False
        while True:
            for part, command in zip(parts, commands, strict=True):
                if part.poll() is not None:
                    raise PartEnded(f"ended with exit code {part.returncode}: {command}")
            if not said and is_ready(url):
                said = True
                print(greeting(url), flush=True)
            time.sleep(0.5)
    finally:
        for part in reversed(parts):
            end(part)


def begin(command: str) -> "subprocess.Popen[bytes]":
    """Start a part in a session: Ctrl-C reaches this process alone, which ends all parts in order."""
    return subprocess.Popen(["sh", "-c", f"exec env {command}"], start_new_session=True)


def is_ready(url: str) -> bool:
    """Whether the service answers that it decides."""
    with suppress(OSError), urlopen(f"{url}/ready", timeout=5) as answer:  # noqa: S310 -- the address that make names
        return bool(answer.status == 200)
    return False


def greeting(url: str) -> str:
    """Where everything is."""
    places = [("console", url), ("every route", f"{url}/docs"), *((server.name, server.url) for server in running())]
    lines = [f"  {name:12} {place}" for name, place in places]
    last = f"Ctrl-C stops it all; what was decided stays in the data folder and in {FOLDER.name}."
    return "\n".join(["", "Everything runs:", "", *lines, "", last, ""])


def end(part: "subprocess.Popen[bytes]") -> None:
    """Let a part end in order; kill it where it does not."""
    with suppress(ProcessLookupError):
        part.send_signal(signal.SIGINT)
    try:
        part.wait(STOP_S)
    except subprocess.TimeoutExpired:
        part.kill()
        part.wait()


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
