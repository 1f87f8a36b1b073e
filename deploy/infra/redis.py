"""Redis, or Valkey where that is what the machine has."""

import shutil
import socket
from pathlib import Path
from typing import ClassVar

from deploy.infra.server import Server


class Redis(Server):
    """A server that appends every change to a file before it answers, so that nothing is lost when it is stopped or killed.

    When that reaches the disk is left to the system: with `everysec` a change waits, answered already, for up to two seconds
    behind a disk that is busy, and a kill loses it.
    """

    name: ClassVar[str] = "redis"
    usual_port: ClassVar[int] = 6379

    @classmethod
    def missing(cls) -> str | None:
        """redis-server or valkey-server."""
        return None if _program() else "no redis-server or valkey-server; on Debian: apt-get install redis-server"

    @property
    def url(self) -> str:
        """redis://HOST:PORT."""
        return f"redis://127.0.0.1:{self.port}"

    def prepare(self) -> None:
        """Write the configuration."""
        config = {
            "bind": "127.0.0.1",
            "port": self.port,
            "dir": f'"{self.folder}"',
            "daemonize": "no",
            "save": '""',
            "appendonly": "yes",
            "appendfsync": "no",
        }
        lines = (f"{key} {value}\n" for key, value in (config | self.settings).items())
        (self.folder / "redis.conf").write_text("".join(lines))

    def command(self) -> list[str]:
        """The server in the foreground."""
        return [str(_program()), str(self.folder / "redis.conf")]

    def answers(self) -> bool:
        """Whether it says PONG (not so while it still reads its file)."""
        return self.ask("PING") == b"+PONG"

    def flush(self) -> None:
        """Forget everything: keys of all databases, functions and scripts."""
        for command in ("FLUSHALL", "FUNCTION FLUSH", "SCRIPT FLUSH"):
            self.ask(command)

    def ask(self, command: str) -> bytes:
        """The first line of the answer to a command without arguments that hold blanks."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=20) as connection:
            connection.sendall(command.encode() + b"\r\n")
            return connection.makefile("rb").readline().rstrip()


def _program() -> Path | None:
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    return Path(found) if found else None
