"""Follows a page of docs/recipes or docs/tutorials: its blocks in order, as printed, in an empty clone with real servers.

What the blocks of a page mean:

* ```` ```sh ````: commands, run one after the other in one shell. One that goes on (`GOES_ON`) runs in the background until the
  page ends: it must come up before the next command, and end cleanly on Ctrl-C. Any other must succeed; a curl that is
  refused (status 400 and above) fails. `NOT_RUN` names those that are not run, and what proves them instead.
* ```` ```json title="answer" ````: the JSON that the command before printed. Every field that stands here must be there with
  this value; `"..."` is any value, also as a value's end (`"stream-..."`); a last `"..."` of a list is any further elements.
  A curl without a body, redis-cli and psql are repeated until they print that.
* ```` ```toml title="penstock.toml" ````, ```` ```python title="shop.py" ````: a file by this name, written into the clone.
* any other block is for people alone.

Ports are free ones in the place of those that are printed, and so are the addresses of servers. With `PENSTOCK_RECIPES=full`
(`make recipes`) everything runs at its printed size; otherwise `QUICK` makes it smaller.
"""

import json
import os
import re
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.integration.servers import running
from tests.pages import ROOT, WITHIN_S, Shell, empty_clone, equip, split_commands
from tests.waiting import wait_until

from deploy.infra import S3, SERVERS, Server
from deploy.infra.__main__ import addresses
from deploy.infra.server import free_port

PAGES = ROOT / "docs"
KINDS: dict[str, type[Server]] = {kind.name: kind for kind in SERVERS}
FULL = os.environ.get("PENSTOCK_RECIPES") == "full"

NOT_RUN = {
    r"git clone |cd penstock$": "the fixture clones",
    r"make setup$|source \.venv/|pip install ": "the clone is given what is installed here",
    r"make infra$": "the fixture starts the same servers; tests/integration/test_infra.py runs the command",
    r"make infra-stop$": "the servers end with the fixture; tests/integration/test_infra.py",
    r"jupyter execute examples/": "tests/integration/test_notebook.py runs every notebook, and looks at what it shows",
    r"export SLACK_URL=": "names a workspace; a test sets SLACK_URL to a server of its own",
    r"dvc ": "not among the locked packages; tests/integration/test_pipeline.py runs the commands of dvc.yaml",
    r"(\w+=\S+ )?docker ": "needs a container engine; tests/architecture/test_compose.py checks every command in compose.yaml",
}
"""Commands, as patterns of how they begin, and what proves them in the place of a run."""

NOT_RUN_QUICKLY = {
    r"(?is).*spark": "a busy machine starts Python later than Spark waits for it; tests/integration/test_spark_stream.py",
}
"""The same in a quick run."""

GOES_ON = {
    r"make frontend\b": r"Local: .*http",
    r"make (stream|api|lab|trainer|run|bootstrap)\b|penstock (worker|serve|lab|trainer(?!.*--once)|demo)\b": r"Ctrl-C stops",
    r"make generator\b|penstock simulate .*--tps (?!.*--events)": r"",
    r"penstock spark stream\b": r"deciding for",
    r"python -m aiosmtpd\b": r"Server is listening",
    r"mlflow (ui|server)\b": r"(Uvicorn running|Listening at)",
    r"python shop\.py hear\b": r"listening on port",
}
"""Commands that go on until they are stopped, and what their output matches once they are up."""

ASKS = r"curl (?!.*-[dX])|redis-cli |psql |curl .*/cases/next"
"""Commands that only read, or take what waits; that may come a little later, so they are repeated until they print what the
page says."""

QUICK = {
    r"(?<!banking --seed 1 )(?<!simulate card )--events [\d_]+": "--events 30000",  # those two print what only more teach
    r"--count \d+": "--count 200",
    r"--requests \d+": "--requests 2000",
    r"TPS=\d+": "TPS=20",
}
"""What is smaller in a quick run: in commands, and in what make is told."""
QUICK_ENVIRONMENT = {"EVENTS": "30000"}

SPARING = {"PENSTOCK_PREDICT_BUDGET_MS": "60000", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false"}
"""What lets a busy machine decide in time, and MLflow's pages do without the processes of its scheduled jobs."""

CLIENT = {"PYTHONPATH": str(ROOT / "clients" / "python" / "src")}
"""The client for Python, which a page installs."""

LATER = r"penstock query .*--archive"
"""What reads the archive, which the page says gets a decision some seconds later: typed again until it is there."""

PORTS = {
    "8000": ("PORT", "PENSTOCK_PORT"),
    "8001": (),
    "8501": ("LAB_PORT",),
    "3000": ("PENSTOCK_CONSOLE_PORT",),
    "5000": ("MLFLOW_PORT",),
    "1025": (),
    "9300": (),
}
"""Ports that pages print, and the variables that say another."""
ADDRESSES = {
    "kafka": r"kafka://(?:localhost|127\.0\.0\.1):9092",
    "redis": r"redis://(?:localhost|127\.0\.0\.1):6379",
    "postgres": r"postgresql://penstock@(?:localhost|127\.0\.0\.1)(?::5432)?/penstock",
    "s3": r"(?<=endpoint=)http://(?:localhost|127\.0\.0\.1):9000",
}
"""Addresses that pages print, by the name of the server."""

BLOCK = re.compile(r'^( *)```(\w+)(?: +title="([^"]+)")?\n(.*?)^ *```', re.MULTILINE | re.DOTALL)


class Recipe:
    """A page that was followed to its end, with what it started still running."""

    def __init__(self, name: str, shell: Shell, servers: dict[str, Server]) -> None:
        self.name, self.shell, self.servers = name, shell, servers
        self.text = (PAGES / f"{name}.md").read_text("utf-8")
        self.ports = {port: str(free_port()) for port in PORTS}
        self.url = f"http://127.0.0.1:{self.ports['8000']}"
        self._left_out = False
        self.printed: list[tuple[str, str]] = []
        """Each command that was run to its end, with what it printed."""
        self.shell.environment |= {name: self.ports[port] for port, names in PORTS.items() for name in names}
        self.shell.environment |= SPARING | CLIENT | ({} if FULL else QUICK_ENVIRONMENT)

    def follow(self) -> None:
        """Do what the page says."""
        for _, kind, what, block in BLOCK.findall(self.text):
            body = textwrap.dedent(block)
            if kind == "sh":
                for command in split_commands(body):
                    self._type(command)
            elif (kind, what) == ("json", "answer"):
                self._compare(body)
            elif what and "." in what:
                (self.shell.folder / what).write_text(self._here(body))

    def output_of(self, begins: str) -> str:
        """What the last command whose text matches this from its start printed."""
        found = [printed for command, printed in self.printed if re.match(begins, command)]
        assert found, f"{self.name}.md has no command {begins}"
        return found[-1]

    def _type(self, command: str) -> None:
        self._left_out = any(re.match(pattern, command) for pattern in (NOT_RUN if FULL else NOT_RUN | NOT_RUN_QUICKLY))
        if self._left_out:
            return
        typed = self._here(command)
        for pattern, ready in GOES_ON.items():
            if re.match(rf"(\w+=\S+ )*({pattern})", command):
                self.shell.start(typed, ready)
                return
        if re.match(LATER, command):
            wait_until(lambda: self.shell.attempt(typed).returncode == 0, WITHIN_S)
        self.printed.append((command, self.shell.run(typed)))

    def _here(self, text: str) -> str:
        """A text of the page with the ports, addresses and sizes of this run."""
        for kind, pattern in ADDRESSES.items():
            if kind in self.servers:
                server = self.servers[kind]
                address = server.endpoint if isinstance(server, S3) else server.url
                text = re.sub(pattern, address, text)
        for port, instead in self.ports.items():
            text = re.sub(rf"(?<=[:= ]){port}\b", instead, text)
        for pattern, smaller in {} if FULL else QUICK.items():
            text = re.sub(pattern, smaller, text)
        return text

    def _compare(self, expected: str) -> None:
        if self._left_out:
            return
        command, printed = self.printed[-1]
        asks, until = re.match(ASKS, command), time.monotonic() + WITHIN_S
        while difference := differs(json.loads(expected), parsed(printed)):
            assert asks, f"{command}\n{difference}\nin {printed[:4000]}"
            assert time.monotonic() < until, f"{command}\n{difference}\nin {printed[:4000]}"
            time.sleep(0.5)
            printed = self.shell.attempt(self._here(command)).stdout
            self.printed[-1] = command, printed


def parsed(printed: str) -> Any:
    """What a command printed, as JSON where it is."""
    try:
        return json.loads(printed)
    except ValueError:
        return printed


def differs(expected: Any, found: Any, place: str = "the answer") -> str | None:
    """Where what was found is not what a page prints; None where it is."""
    if isinstance(expected, str) and expected.endswith("..."):
        return None if str(found).startswith(expected[:-3]) else f"{place}: {found!r} is not {expected!r}"
    if isinstance(expected, dict) and isinstance(found, dict):
        for key, value in expected.items():
            if key not in found:
                return f"{place}: no field {key!r}"
            if difference := differs(value, found[key], f"{place}.{key}"):
                return difference
        return None
    if isinstance(expected, list) and isinstance(found, list):
        more = bool(expected) and expected[-1] == "..."
        named = expected[:-1] if more else expected
        if len(found) < len(named) or (len(found) > len(named) and not more):
            return f"{place}: {len(found)} elements in the place of {len(named)}"
        pairs = enumerate(zip(named, found, strict=False))
        return next((each for n, (one, other) in pairs if (each := differs(one, other, f"{place}[{n}]"))), None)
    return None if expected == found else f"{place}: {found!r} is not {expected!r}"


@contextmanager
def recipe(name: str, folder: Path, kinds: tuple[str, ...]) -> Iterator[Recipe]:
    """A recipe with servers of these kinds; what the page started ends cleanly, or the test fails."""
    with ExitStack() as stack:
        servers = {each: stack.enter_context(contextmanager(running)(KINDS[each])) for each in kinds}
        clone = empty_clone(folder)
        equip(clone)
        (clone / ".infra" / "servers.env").write_text(addresses(servers.values()))
        (clone.parent / ".curlrc").write_text("fail-with-body\n")
        shell = Shell(clone, {"CURL_HOME": str(clone.parent)})
        for each in [each for each in shell.environment if each.startswith("PENSTOCK_")]:
            del shell.environment[each]
        try:
            yield Recipe(name, shell, servers)
            shell.stop()
        finally:
            shell.kill()


@pytest.fixture
def follow(tmp_path: Path) -> Iterator[Callable[..., Recipe]]:
    """Follows a page, with these servers and recorded files: follow("cards", "kafka", "postgres", files=[...])."""
    with ExitStack() as stack:

        def followed(name: str, *kinds: str, files: Sequence[Path] = ()) -> Recipe:
            page = stack.enter_context(recipe(name, tmp_path, kinds))
            for file in files:
                (page.shell.folder / file.name).symlink_to(file)
            page.follow()
            return page

        yield followed
