"""The console in a real Chromium in front of a real demo server: its fixtures.

A screenshot of everything that is looked at goes to build/screens, at 1440 and 390 pixels, light and dark.
"""

import contextlib
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from tests.waiting import wait_until

ROOT = Path(__file__).parents[2]
SCREENS = ROOT / "build" / "screens"
AXE = ROOT / "console" / "node_modules" / "axe-core" / "axe.min.js"
BUILT = ROOT / "src" / "penstock" / "service" / "static" / "console" / "index.html"

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-quic",
    "--disable-component-update",
    "--disable-sync",
]
WIDTHS = {1440: 900, 390: 844}
STARTED_WITHIN_S = 900
"""How long a demo may take to start: a minute where it trains, more on a busy machine. Waiting ends when it answers."""

PORTS = range(20_000, 30_000)
"""Where servers listen: below the ports that systems give away by themselves, so that a restarted one finds its own free."""


COLOURS_CHANGED = """() => Promise.allSettled(
  document.getAnimations().filter(each => each.effect.getComputedTiming().endTime < 60_000).map(each => each.finished)
)"""
"""Waits for what moves for a moment, such as a change of colours; not for what moves all the time."""


class Demo:
    """A running `penstock demo`; `restart` stops it and starts it again on the same port and folder, or with other options."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None
        self._log = folder.with_suffix(".log")

    def start(self) -> None:
        command = [sys.executable, "-m", "penstock.cli", "demo", "--port", str(self.port), "--data", str(self.folder)]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([*command, *self._options], stdout=log, stderr=log, cwd=self.folder.parent)
        wait_until(self._ready, STARTED_WITHIN_S, every_s=0.2)

    def _ready(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()[-2000:]
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/ready", timeout=30).status_code == 200
        return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(120)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def setup_token(self) -> str:
        """What the first user over HTTP needs, as the service says when it starts."""
        found = re.findall(r"setup token (\S+)", self._log.read_text())
        assert found, self._log.read_text()[-2000:]
        return str(found[-1])

    def restart(self, *options: str) -> None:
        self.stop()
        self._options = options or self._options
        self.start()


def _free_port() -> int:
    while True:
        port = random.choice(PORTS)
        with socket.socket() as taken, contextlib.suppress(OSError):
            taken.bind(("127.0.0.1", port))
            return port


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a demo that has trained and stopped: copied by every server that starts, so that only one trains.

    PENSTOCK_TEST_DEMO names one that is there already, which saves a minute.
    """
    kept = os.environ.get("PENSTOCK_TEST_DEMO")
    if kept:
        return Path(kept)
    folder = tmp_path_factory.mktemp("trained") / "data"
    first = Demo(folder, "--tps", "0")
    try:
        first.start()
    finally:
        first.stop()
    return folder


Starting = Callable[..., contextlib.AbstractContextManager[Demo]]


@pytest.fixture(scope="session")
def demo(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Starting:
    """Starts demo servers: `with demo("--tps", "100") as server`."""

    @contextlib.contextmanager
    def started(*options: str) -> Iterator[Demo]:
        folder = tmp_path_factory.mktemp("demo") / "data"
        shutil.copytree(trained, folder)
        server = Demo(folder, *options)
        try:
            server.start()
            yield server
        finally:
            server.stop()

    return started


@pytest.fixture(scope="module")
def console(demo: Starting) -> Iterator[str]:
    """The address of a demo with traffic, for all tests of a module."""
    with demo("--tps", "40") as server:
        yield server.url


@pytest.fixture(scope="module")
def still(demo: Starting) -> Iterator[str]:
    """The address of a demo without traffic: what a test looks at stays as it is until the test itself changes it."""
    with demo("--tps", "0") as server:
        yield server.url


@pytest.fixture(scope="module")
def many_cases() -> Iterator[None]:
    """Demos that start look at every fifth decision."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PENSTOCK_CASE_SAMPLE", "0.2")
        yield


@pytest.fixture(scope="session")
def browser():
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no Chromium is installed here; Debian's package is called chromium")
    if not BUILT.exists():
        pytest.fail("the console is not built: make console-build")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=chromium, args=FLAGS)
        yield opened
        opened.close()


@pytest.fixture
def page(browser):
    """A page that fails its test when something went wrong in it, or when it asked anybody else for anything.

    What a test expects to go wrong it adds to `page.expected`, as a part of what the browser will say of it. That is told apart
    in the end alone, since nobody knows when a browser says it.
    """
    context = browser.new_context(viewport={"width": 1440, "height": WIDTHS[1440]})
    opened = context.new_page()
    opened.set_default_timeout(60_000)
    opened.wrong, opened.hosts = [], set()
    opened.expected = ["WebSocket is closed before the connection is established"]  # where a page is left at once
    opened.on("pageerror", lambda error: opened.wrong.append(str(error)))
    opened.on(
        "console", lambda said: opened.wrong.append(f"{said.text} {said.location['url']}") if said.type == "error" else None
    )
    opened.on("request", lambda request: opened.hosts.add(request.url.split("/")[2]) if "//" in request.url else None)
    yield opened
    context.close()
    assert [text for text in opened.wrong if not any(each in text for each in opened.expected)] == []
    assert len(opened.hosts) <= 1


@pytest.fixture
def shots():
    """Takes pictures of a page: `shots(page, "queue")`, both widths and both themes."""

    def take(page, name: str) -> None:
        SCREENS.mkdir(parents=True, exist_ok=True)
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            for width, height in WIDTHS.items():
                page.set_viewport_size({"width": width, "height": height})
                page.wait_for_timeout(300)
                page.screenshot(path=str(SCREENS / f"{name}-{width}-{theme}.png"), full_page=True)
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 1440, "height": WIDTHS[1440]})

    return take


@pytest.fixture
def axe():
    """Fails on what axe-core finds serious, in both themes: `axe(page)`."""

    def check(page) -> None:
        page.evaluate(AXE.read_text())
        for theme in ("light", "dark"):
            page.emulate_media(color_scheme=theme)
            page.wait_for_timeout(150)
            page.evaluate(COLOURS_CHANGED)
            found = page.evaluate("axe.run({ resultTypes: ['violations'] })")
            grave = [each for each in found["violations"] if each["impact"] in {"serious", "critical"}]
            told = [(each["id"], each["help"], [node["html"][:160] for node in each["nodes"][:3]]) for each in grave]
            assert told == [], theme
        page.emulate_media(color_scheme="light")

    return check
