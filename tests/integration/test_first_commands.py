"""What a newcomer types first: the commands of README, of the demo's greeting and of the guides' first sections, in order.

They run as they are printed, in an empty clone, in front of one demo. `NOT_RUN` says why some are not run; any other command
that fails, fails the test.
"""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
GUIDES = sorted((ROOT / "docs" / "guide").glob("*.md"))
WITHIN_S = 900
"""How long one command may take on a busy machine."""

NOT_RUN = {
    r"git clone URL": "the fixture clones",
    r"make (run|infra)": "installs from a registry; `penstock demo` is what `make run` runs",
    r"pip install|createdb |export |docker |helm |kubectl ": "needs a registry, a database or a cloud",
    r".*(kafka|redis|postgresql|s3)://": "needs servers: tests/integration/test_pipeline.py, test_producers.py",
    r"penstock ledger create": "needs PostgreSQL: tests/integration/test_postgres.py",
    r"penstock demo ": "a second one; tests/unit/adapters/test_world.py begins every attack",
    r"penstock serve banking": "the demo serves it, and owns the data folder",
    r"penstock serve mine.py --data DIR|curl .*localhost:8000/cases": "tests/service/test_cases.py",
    r"penstock alerts test --alerts alerts.toml": "needs channels: tests/integration/test_alerts_of_a_service.py",
    r"penstock lab mine.py": "names a service elsewhere",
    r"penstock models (?!list$)|penstock rules rollout banking amount_spike": "needs a second version: test_registry.py",
    r"penstock train banking|penstock report train": "train for minutes: tests/integration/test_trainer.py",
    r"penstock report daily --date|penstock drift banking --(last|since)": "days on which this clone decided nothing",
    r"penstock loadtest": "measures: tests/unit/adapters/test_load.py",
}
"""Commands, as patterns of how they begin, and why they are not run here."""

STARTS = re.compile(r"penstock (serve|lab)\b")
"""Commands that go on until they are stopped."""


def commands(text: str) -> list[str]:
    """The shell commands of a page's blocks, in order, without their comments."""
    blocks = re.findall(r"^```(?:bash|sh)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    indented = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    blocks += ["\n".join(line[4:] for line in indented.splitlines() if line.startswith("    "))]
    found, begun = [], ""
    for line in "\n".join(blocks).splitlines():
        begun = f"{begun}\n{line}" if begun else line
        try:
            shlex.split(begun, comments=True)
        except ValueError:
            continue
        if not begun.endswith("\\"):
            found.append(begun)
            begun = ""
    known = ("penstock ", "curl ", "make ", "git ", "pip ", "docker ", "helm ", "kubectl ", "createdb ", "export ")
    return [re.sub(r"\s{2,}#.*$", "", each).strip() for each in found if each.startswith(known)]


def first_section(page: Path) -> str:
    return page.read_text("utf-8").split("\n## ")[0]


class Newcomer:
    """Somebody in an empty clone, with a demo that runs."""

    def __init__(self, clone: Path) -> None:
        self.clone = clone
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._log = clone.parent / "demo.log"
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        self._environment = {**os.environ, "PATH": path, "PENSTOCK_LOG_LEVEL": "error"}
        self._demo: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._demo = self._begin(f"penstock demo --port {self.port}", self._log)
        self._answers(self._demo, f"{self.url}/ready", self._log)

    def stop(self) -> None:
        if self._demo is not None:
            end(self._demo)

    @property
    def greeting(self) -> str:
        """What the demo has printed."""
        return self._log.read_text("utf-8")

    def types(self, command: str) -> str:
        """Run a command as printed, but for the demo's port and for endless traffic; what it prints."""
        command = command.replace("http://127.0.0.1:8000", self.url)
        if re.match(r"penstock simulate .*--tps", command):
            command += " --events 200"
        if shutil.which("jq") is None:
            command = command.partition(" | jq ")[0]
        if STARTS.match(command):
            return self._starts(command)
        tried, until = None, time.monotonic() + WITHIN_S
        while tried is None or (tried.returncode and "is being filled" in tried.stderr and time.monotonic() < until):
            if tried is not None:
                time.sleep(1.0)  # it says itself: try again when it is active
            tried = subprocess.run(
                ["bash", "-c", command],
                cwd=self.clone,
                env=self._environment,
                capture_output=True,
                text=True,
                timeout=WITHIN_S,
                check=False,
            )
        assert tried.returncode == 0, f"{command}\n{tried.stdout[-2000:]}\n{tried.stderr[-2000:]}"
        return tried.stdout

    def _starts(self, command: str) -> str:
        log, port = self.clone.parent / "started.log", free_port()
        process = self._begin(f"{command} --port {port} --data other", log)
        try:
            self._answers(process, f"http://127.0.0.1:{port}/", log)
        finally:
            end(process)
        return log.read_text("utf-8")

    def _begin(self, command: str, log: Path) -> subprocess.Popen[bytes]:
        with log.open("wb") as out:
            return subprocess.Popen(
                ["bash", "-c", f"exec {command}"], cwd=self.clone, env=self._environment, stdout=out, stderr=out
            )

    def _answers(self, process: subprocess.Popen[bytes], url: str, log: Path) -> None:
        until = time.monotonic() + WITHIN_S
        while True:
            try:
                if httpx.get(url, timeout=30).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            assert process.poll() is None, log.read_text()[-2000:]
            assert time.monotonic() < until, log.read_text()[-2000:]
            time.sleep(0.2)


def end(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGINT)
    try:
        process.wait(120)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture(scope="module")
def newcomer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Newcomer]:
    clone = tmp_path_factory.mktemp("first") / "penstock"
    subprocess.run(["git", "clone", "-q", "--depth", "1", ROOT.as_uri(), str(clone)], check=True)
    who = Newcomer(clone)
    [mine] = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL)
    (clone / "mine.py").write_text(mine)
    (clone / "devices.csv").write_text("value\nD-1\n")
    who.types("penstock simulate banking --events 20000 --seed 7 --days 60 --fraud-rate 0.03 --out payments.parquet")
    who.types("penstock train banking --data payments.parquet --save --models penstock-data/models")
    try:
        who.start()
        yield who
    finally:
        who.stop()


def told(newcomer: Newcomer, found: list[str]) -> None:
    for command in found:
        if not any(re.match(pattern, command) for pattern in NOT_RUN):
            newcomer.types(with_id(newcomer, command))


def with_id(newcomer: Newcomer, command: str) -> str:
    """The id of a decision in the place of ID."""
    if not re.search(r"\bID\b", command):
        return command
    [decision] = httpx.get(f"{newcomer.url}/transactions", params={"limit": 1}).json()["transactions"]
    return re.sub(r"\bID\b", decision["transaction_id"], command)


def preview(newcomer: Newcomer) -> int:
    asked = {"when": "amount > 20", "then": "review"}
    answer = httpx.post(f"{newcomer.url}/detectors/banking/backtest", json=asked, timeout=120)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["read"])


def test_the_commands_of_the_readme_and_of_the_greeting_work_and_leave_the_demo_whole(newcomer: Newcomer) -> None:
    found = commands((ROOT / "README.md").read_text("utf-8"))
    assert len(found) > 15
    told(newcomer, found)
    greeted = [line.strip() for line in newcomer.greeting.splitlines() if line.startswith("  ")]
    greeted = [re.sub(r"\s{3,}\w.*$", "", line) for line in greeted if line.startswith(("curl", "penstock"))]
    assert len(greeted) == 5
    told(newcomer, greeted)
    whole(newcomer)


@pytest.mark.parametrize("page", GUIDES, ids=[page.stem for page in GUIDES])
def test_the_first_section_of_a_guide_works_as_printed(newcomer: Newcomer, page: Path) -> None:
    told(newcomer, commands(first_section(page)))


def test_the_demo_is_whole_after_all_of_it(newcomer: Newcomer) -> None:
    whole(newcomer)


def whole(newcomer: Newcomer) -> None:
    """Features of keys that pay now are not empty, and a preview reads thousands of events."""
    until = time.monotonic() + WITHIN_S
    while (read := preview(newcomer)) < 2000:
        assert time.monotonic() < until, f"a preview reads {read} events"
        time.sleep(2.0)
    recent = httpx.get(f"{newcomer.url}/transactions", params={"limit": 100}, timeout=60).json()["transactions"]
    seen = [each["features"] for each in recent]
    assert sum(each["payments_before_60d"] > 0 for each in seen) > 50
    assert sum(each["merchant_payments_before_60d"] > 0 for each in seen) > 50
    assert sum(each["avg_amount_60d"] is not None for each in seen) > 50
    [paid] = [each for each in recent if each["features"]["payments_before_60d"] > 0][:1]
    key = httpx.get(f"{newcomer.url}/context/{paid['transaction_id']}", timeout=60).json()["entities"][0]
    assert key["features"], json.dumps(key)[:500]
    assert any(key["features"].values())


def test_every_reason_for_not_running_is_about_a_command_that_is_printed() -> None:
    printed = [each for page in GUIDES for each in commands(first_section(page))]
    printed += commands((ROOT / "README.md").read_text("utf-8"))
    printed += ["penstock demo --attack card_testing", "penstock loadtest --base-url URL"]
    assert [pattern for pattern in NOT_RUN if not any(re.match(pattern, each) for each in printed)] == []
