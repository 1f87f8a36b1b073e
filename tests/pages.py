"""Runs the shell commands that documentation pages print, as they are printed, in an empty clone."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
WITHIN_S = 900 if os.environ.get("PENSTOCK_RECIPES") == "full" else 300
"""How long one command may take on a busy machine."""
FOREIGN = ("mlflow ", "python shop.py hear")
"""Commands of others, and a page's own script, that print a traceback when Ctrl-C ends them."""
COLOURS = re.compile(r"\x1b\[[0-9;]*m")
INTERRUPTED = (0, 2, 130, -signal.SIGINT)
"""Exit codes of a command that Ctrl-C ends: its own, and those of make, npm and the shell around it."""


def split_commands(block: str) -> list[str]:
    """The commands of a block, without comments; one may span lines, by a backslash or inside quotes."""
    found, begun = [], ""
    for line in block.splitlines():
        begun = f"{begun}\n{line}" if begun else line
        try:
            words = shlex.split(begun, comments=True)
        except ValueError:
            continue
        if begun.endswith("\\"):
            continue
        if words:
            found.append(re.sub(r"\s{2,}#.*$", "", begun).strip())
        begun = ""
    return found


def empty_clone(folder: Path) -> Path:
    """A clone of the last commit, in this folder."""
    clone = folder / "penstock"
    subprocess.run(["git", "clone", "-q", "--depth", "1", ROOT.as_uri(), str(clone)], check=True)
    return clone


def equip(clone: Path) -> None:
    """Give a clone what is installed and built here, so that its Makefile has nothing to install, compile or build."""
    _link_entries(Path(sys.prefix), clone / ".venv")
    _link_entries(ROOT / "console" / "node_modules", clone / "console" / "node_modules")
    _link_entries(ROOT / ".infra", clone / ".infra", only=("jars", "spark-jars", "bin"))
    built = Path("src/penstock/service/static/console")
    made = [".venv/.bootstrapped", ".venv/.for-use", ".venv/.for-work", ".venv/.kernels", ".venv/.demo-models", ".venv/.node"]
    if (ROOT / built).exists():
        shutil.copytree(ROOT / built, clone / built, dirs_exist_ok=True)
        made += ["console/node_modules/.installed", str(built / "index.html")]
    for name in made:
        marker = clone / name
        if marker.is_symlink():
            marker.unlink()
        marker.touch()


def _link_entries(source: Path, target: Path, only: tuple[str, ...] = ()) -> None:
    target.mkdir(parents=True, exist_ok=True)
    for entry in source.iterdir() if source.exists() else ():
        if not only or entry.name in only:
            (target / entry.name).symlink_to(entry)


class Shell:
    """A shell in a folder: each command runs with the environment that the one before left.

    Commands that go on until they are stopped run in the background, each with a log of its own.
    """

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self.folder = folder
        here = {name: value for name, value in os.environ.items() if name != "CI"}  # where Vite, for one, prints in colours
        self.environment = {**here, "NO_COLOR": "1", "PATH": path, **environment}
        self.running: list[Background] = []

    def attempt(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end, whatever that is."""
        left = self.folder.parent / "environment"
        done = subprocess.run(
            ["bash", "-c", f"{command}\nstatus=$?; env -0 > {shlex.quote(str(left))}; exit $status"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            check=False,
        )
        self.environment = dict(each.split("=", 1) for each in left.read_text().split("\0") if each)
        return done

    def run(self, command: str) -> str:
        """Run a command, which must succeed; what it prints."""
        return succeeded(command, self.attempt(command))

    def start(self, command: str, ready: str) -> "Background":
        """Start a command that goes on, and wait until its output matches `ready`."""
        number = len(self.running)
        log = self.folder.parent / f"background-{number}.log"
        background = Background(command, self.folder, self.environment, log)
        self.running.append(background)
        background.wait_for(ready)
        return background

    def stop(self) -> None:
        """End what runs in the background as Ctrl-C does, the last one first; each must end cleanly."""
        while self.running:
            self.running.pop().stop()

    def kill(self) -> None:
        """End what still runs, at once."""
        while self.running:
            self.running.pop().kill()


def succeeded(command: str, done: subprocess.CompletedProcess[str]) -> str:
    """What a command printed, which must have succeeded."""
    assert done.returncode == 0, f"{command}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"
    return done.stdout


class Background:
    """A command that goes on until it is stopped."""

    def __init__(self, command: str, folder: Path, environment: dict[str, str], log: Path) -> None:
        self.command, self.log = command, log
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                ["env", "--default-signal=INT", "bash", "-c", command],  # as in a terminal, however the tests were started
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        """What it has printed."""
        return COLOURS.sub("", self.log.read_text(errors="replace"))

    @property
    def last_words(self) -> str:
        """The command and the end of its output, for the message of an assertion."""
        return f"{self.command}\n{self.output[-4000:]}"

    def wait_for(self, ready: str) -> None:
        """Wait until its output matches; it must not have ended."""
        until = time.monotonic() + WITHIN_S
        while not re.search(ready, self.output):
            assert self._process.poll() is None, self.last_words
            assert time.monotonic() < until, self.last_words
            time.sleep(0.1)

    def stop(self) -> None:
        """Send its whole group what Ctrl-C sends; everything in it must end, with nothing gone wrong."""
        assert self._process.poll() in {None, 0}, self.last_words
        self._signal(signal.SIGINT)
        until = time.monotonic() + 120
        try:
            code = self._process.wait(120)
            while self._signal(0):
                assert time.monotonic() < until, f"it left processes behind: {self.last_words}"
                time.sleep(0.1)
        finally:
            self.kill()
        assert code in INTERRUPTED, f"exit code {code}: {self.last_words}"
        assert self.command.startswith(FOREIGN) or "Traceback" not in self.output, self.output[-8000:]

    def kill(self) -> None:
        """End all of it at once."""
        self._signal(signal.SIGKILL)
        self._process.wait()

    def _signal(self, number: int) -> bool:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return False
        return True
