"""What every server shares: a folder, ports, and the life of a process that is stopped, frozen, killed and started again."""

import atexit
import functools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, ClassVar, Self

from deploy.infra import processes

START_S = 120.0
STOP_S = 20.0


class ServerFailed(Exception):
    """A server did not start, or did not stop; the message ends with what its log said last."""


class Server(ABC):
    """One server on the loopback interface.

    Args:
        folder: where it keeps configuration, data and log; a scratch folder that goes with the object unless given. What
            an earlier run left there is used again, whatever way it ended.
        port: the port to listen on; any free one unless given.
        guarded: whether it dies with this process, however that ends; otherwise it runs until somebody stops it.
        settings: entries for the server's own configuration, over those made here.

    A server that runs in `folder` already, started by whomever, is taken over by `start`.
    """

    name: ClassVar[str]
    usual_port: ClassVar[int]
    extra_ports: ClassVar[int] = 0
    ends_on: ClassVar[signal.Signals] = signal.SIGTERM
    user: str | None = None
    """Whom the process runs as; None for who started it."""

    def __init__(
        self,
        folder: Path | None = None,
        port: int | None = None,
        *,
        guarded: bool = True,
        settings: dict[str, Any] | None = None,
    ) -> None:
        self.scratch = folder is None
        self.folder = Path(tempfile.mkdtemp(prefix=f"penstock-{self.name}-")) if folder is None else folder.absolute()
        self.settings = settings or {}
        self._guarded = guarded
        self._process: subprocess.Popen[bytes] | None = None
        self._known = self._recorded()
        self.ports = self._choose_ports(port)

    @classmethod
    @abstractmethod
    def missing(cls) -> str | None:
        """What this machine lacks to run it, and how to get it; None where nothing is missing."""

    @classmethod  # noqa: B027 - most servers are packages of the machine
    def fetch(cls) -> None:
        """Have at hand what the server runs on; `start` does it too."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Its address in the form that Penstock takes."""

    @abstractmethod
    def prepare(self) -> None:
        """Write configuration and whatever the server wants to find; called before every start."""

    @abstractmethod
    def command(self) -> list[str]:
        """What runs it in the foreground."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it serves requests now; `OSError` counts as no."""

    def complete(self) -> None:  # noqa: B027 - most servers need nothing more
        """What is done through the running server after its first start, repeatable."""

    @property
    def environment(self) -> dict[str, str]:
        """Variables that clients read, beside the address."""
        return {}

    @property
    def port(self) -> int:
        """The port clients connect to."""
        return self.ports[0]

    @property
    def log(self) -> Path:
        """What the server wrote about itself."""
        return self.folder / "log"

    @property
    def pid(self) -> int | None:
        """The number of the running process; None where none runs."""
        if self._process is not None:  # a child has ended when it can be waited for: all its threads, with what they held
            return self._process.pid if self._process.poll() is None else None
        pid = self._known.get("pid")
        return pid if pid is not None and processes.began(pid) == self._known["began"] else None

    def start(self) -> Self:
        """Start it, or take over the one that runs here, and wait until it answers.

        Raises:
            ServerFailed: it ended or did not answer in time; the message has the end of its log.
        """
        if self.pid is not None:
            self.resume()
        else:
            self.folder.mkdir(parents=True, exist_ok=True)
            if self.scratch:
                self.folder.chmod(0o711)
            self.prepare()
            self._launch()
        self._wait_until_it_answers()
        self.complete()
        return self

    def stop(self) -> None:
        """Let it end in order; kill it where it does not."""
        pid = self.pid
        if pid is None:
            return
        self.resume()
        with suppress(ProcessLookupError):
            os.kill(pid, self.ends_on)
        if not self._gone(STOP_S):
            self.kill()
        self._tell_guard("-", pid)

    def kill(self) -> None:
        """End it as a loss of power would: at once, nothing flushed."""
        pid = self.pid
        if pid is None:
            return
        below = {member: processes.began(member) for member in processes.family(pid)[1:]}
        processes.signal_all(pid, signal.SIGKILL)
        if not self._gone(STOP_S):
            raise ServerFailed(f"{self.name} (process {pid}) is still there {STOP_S:g} s after it was killed")
        until = time.monotonic() + STOP_S  # those below hold what it shared with them, and no other can start before they go
        while time.monotonic() < until and any(since and processes.began(member) == since for member, since in below.items()):
            time.sleep(0.02)
        self._tell_guard("-", pid)

    def restart(self) -> Self:
        """Stop it and start it again: same folder, same port."""
        self.stop()
        return self.start()

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        if (pid := self.pid) is not None:
            processes.signal_all(pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen one go on."""
        if (pid := self.pid) is not None:
            processes.signal_all(pid, signal.SIGCONT)

    def close(self) -> None:
        """Stop it, and remove its folder if that was made for it."""
        self.stop()
        if self.scratch:
            shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.close()

    # ------------------------------------------------------------------------------------------------ the process

    def _choose_ports(self, wanted: int | None) -> list[int]:
        """The ports of what runs here; else what was asked for, what an earlier run had, or free ones."""
        earlier: list[int] = self._known.get("ports", [])
        if self.pid is not None:
            return earlier
        first, *rest = earlier if all(map(is_free, earlier)) and earlier else [free_port() for _ in range(1 + self.extra_ports)]
        return [wanted or first, *rest]

    def _launch(self) -> None:
        who: dict[str, Any] = {"user": self.user, "group": self.user, "extra_groups": []} if self.user else {}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command(), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True, **who
            )
        pid = self._process.pid
        self._known = {"pid": pid, "began": processes.began(pid), "ports": self.ports}
        self._record.write_text(json.dumps(self._known))
        self._tell_guard("+", pid)
        if not self._guarded:
            self._process.returncode = 0  # it is meant to outlive this object: no warning about a child still running
            self._process = None

    def _wait_until_it_answers(self) -> None:
        until = time.monotonic() + START_S
        while time.monotonic() < until:
            with suppress(OSError):
                if self.answers():
                    return
            if self.pid is None:
                raise ServerFailed(f"{self.name} ended while it started; its log, {self.log}, says last:\n{self._last_words()}")
            time.sleep(0.05)
        self.kill()
        raise ServerFailed(f"{self.name} did not answer within {START_S:g} s; {self.log} says last:\n{self._last_words()}")

    def _gone(self, within_s: float) -> bool:
        until = time.monotonic() + within_s
        while self.pid is not None and time.monotonic() < until:
            time.sleep(0.02)
        return self.pid is None

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return "\n".join(lines[-12:]) or "(nothing)"

    @property
    def _record(self) -> Path:
        return self.folder / "server.json"

    def _recorded(self) -> dict[str, Any]:
        """What an earlier start in this folder wrote down."""
        try:
            known = json.loads(self._record.read_text())
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def _tell_guard(self, sign: str, pid: int) -> None:
        if self._guarded:
            _guard(os.getpid()).write(f"{sign}{pid}\n".encode())


def free_port() -> int:
    """A port nobody listens on, below those the system gives to outgoing connections.

    Out of that range a client that keeps knocking at a stopped server's port could be given it for its own end and so
    connect to itself; and the port of a stopped server stays free for its return. None is given twice by one process: who was
    given it may not listen there yet.
    """
    chance = random.SystemRandom()
    while True:
        port = chance.randrange(15_000, 32_000)
        if port not in _GIVEN and is_free(port):
            _GIVEN.add(port)
            return port


_GIVEN: set[int] = set()


def is_free(port: int) -> bool:
    """Whether nobody listens on a port of the loopback interface."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


@functools.cache
def _guard(of: int) -> IO[bytes]:
    """The standard input of the guard of a process: this one, by its number, since a fork has none yet."""
    command = [sys.executable, "-S", "-E", processes.__file__, str(of)]
    guard = subprocess.Popen(command, stdin=subprocess.PIPE, bufsize=0, start_new_session=True, cwd="/")
    assert guard.stdin is not None
    atexit.register(_dismiss, guard)
    return guard.stdin


def _dismiss(guard: subprocess.Popen[bytes]) -> None:
    if guard.stdin is not None:
        guard.stdin.close()
    guard.wait()
