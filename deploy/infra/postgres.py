"""PostgreSQL from the machine's own packages."""

import os
import re
import shutil
import signal
import subprocess
import tempfile
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

from deploy.infra.server import Server, ServerFailed

ROLE = "penstock"


class Postgres(Server):
    """A cluster with the role and the database `penstock`; everybody on the loopback interface is trusted.

    It refuses to run as root; then it runs as the user that the package made, in a folder that this user may enter.
    """

    name: ClassVar[str] = "postgres"
    usual_port: ClassVar[int] = 5432
    ends_on: ClassVar[signal.Signals] = signal.SIGINT  # do not wait for clients to leave

    def __init__(self, folder: Path | None = None, port: int | None = None, **options: Any) -> None:
        self.user = "postgres" if os.geteuid() == 0 else None
        super().__init__(self._reachable(folder) if folder else None, port, **options)

    @classmethod
    def missing(cls) -> str | None:
        """The server's programs."""
        return None if programs() else "no PostgreSQL server (initdb, postgres); on Debian: apt-get install postgresql"

    @property
    def url(self) -> str:
        """postgresql://penstock@HOST:PORT/penstock."""
        return self.url_of(ROLE)

    def url_of(self, database: str) -> str:
        """The address of one of its databases."""
        return f"postgresql://{ROLE}@127.0.0.1:{self.port}/{database}"

    def create(self, database: str) -> str:
        """Make an empty database; its address."""
        self._run("createdb", *self._client, database)
        return self.url_of(database)

    def drop(self, database: str) -> None:
        """Remove a database, whoever still uses it."""
        self._run("dropdb", *self._client, "--if-exists", "--force", database)

    def prepare(self) -> None:
        """Make the cluster where there is none; clear away what a killed server left."""
        if self.user:
            shutil.chown(self.folder, self.user)
        data, unfinished = self.folder / "data", self.folder / "unfinished"
        if not data.is_dir():
            shutil.rmtree(unfinished, ignore_errors=True)
            how = ["--username", ROLE, "--auth", "trust", "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync"]
            self._run("initdb", "--pgdata", str(unfinished), *how)
            unfinished.rename(data)
        (data / "postmaster.pid").unlink(missing_ok=True)  # start() made sure that none runs here

    def command(self) -> list[str]:
        """The server in the foreground, on the loopback interface alone."""
        options = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": "", "timezone": "UTC"}
        pairs = [f"--{name}={value}" for name, value in (options | self.settings).items()]
        return [self._program("postgres"), "-D", str(self.folder / "data"), *pairs]

    def answers(self) -> bool:
        """Whether it takes connections."""
        return self._call("pg_isready", *self._client, "--quiet", "--timeout", "2").returncode == 0

    def complete(self) -> None:
        """The database, where the cluster is new."""
        made = self._call("createdb", *self._client, ROLE)
        if made.returncode and "already exists" not in made.stderr:
            raise ServerFailed(f"createdb {ROLE}: {made.stderr.strip()}")

    @property
    def _client(self) -> list[str]:
        return ["--host", "127.0.0.1", "--port", str(self.port), "--username", ROLE]

    def _run(self, program: str, *arguments: str) -> None:
        done = self._call(program, *arguments)
        if done.returncode:
            raise ServerFailed(f"{program} {' '.join(arguments)}: {(done.stderr or done.stdout).strip()}")

    def _call(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        who: dict[str, Any] = {"user": self.user, "group": self.user, "extra_groups": []} if self.user else {}
        command = [self._program(program), *arguments]
        return subprocess.run(command, cwd=self.folder, capture_output=True, text=True, check=False, **who)

    @staticmethod
    def _program(name: str) -> str:
        return str((programs() or Path()) / name)

    def _reachable(self, folder: Path) -> Path:
        """The folder, or one for it alone elsewhere if the package's user may not enter where it lies."""
        folder = folder.absolute()
        if self.user is None or all(parent.stat().st_mode & 0o001 for parent in folder.parents if parent.exists()):
            return folder
        return Path(tempfile.gettempdir()) / f"penstock-postgres-{sha256(str(folder).encode()).hexdigest()[:12]}"


def programs() -> Path | None:
    """The folder of the newest server's programs; None where there is none."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: -int(re.sub(r"\D", "", path.parent.name) or 0)
    )
    wanted = ("initdb", "postgres", "createdb", "dropdb", "pg_isready")
    return next((folder for folder in folders if all((folder / name).exists() for name in wanted)), None)
