"""The lab's surroundings: two trained versions of banking, a real service with them, and the pages as a script runs them."""

import contextlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import msgspec
import pytest

pytest.importorskip("streamlit", reason="the extra `lab` is not installed")

from penstock.lab.options import VARIABLE
from penstock.offline.train import train
from penstock.wiring.detectors import load_detector
from penstock.wiring.traffic.events import simulation

EVENTS = {"events": 3_000, "days": 60.0, "fraud_rate": 0.03, "seed": 2}
"""A seed by which a version approves a fraud, and stops a good one, among the events that it has not learned from."""
PATIENCE_S = 90


@pytest.fixture(scope="session")
def history(tmp_path_factory):
    """Recorded payments, as a file."""
    path = tmp_path_factory.mktemp("lab") / "history.parquet"
    simulation("banking", **EVENTS).frame().write_parquet(path)
    return path


@pytest.fixture(scope="session")
def models(history):
    """A folder with two versions of banking: the champion has both members, the newer one the regression alone."""
    folder, detector = history.parent / "models", load_detector("banking")
    train(detector, history, save_to=folder)
    train(detector, history, save_to=folder, models=["logistic_regression"])
    return folder


class Process:
    """A command of ours in a process of its own. url: what it said where it is. said: everything that it has said."""

    def __init__(self, log, *arguments):
        command = [sys.executable, "-m", "penstock.cli", *map(str, arguments)]
        self._log = log
        self._process = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            self.url = self._address()
        except BaseException:
            self.stop(signal.SIGKILL)
            raise

    @property
    def said(self):
        self._log.seek(0)
        return self._log.read().decode()

    def _address(self):
        until = time.monotonic() + PATIENCE_S
        while self._process.poll() is None and time.monotonic() < until:
            found = re.search(r"(?:serving \S+ on|the lab is at) (http://\S+?)[,\s]", self.said)
            if found:
                return found[1]
            time.sleep(0.1)
        raise AssertionError(f"it did not come up: {self.said}")

    def stop(self, signal_number):
        """Its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal_number)
        return self._process.wait(timeout=PATIENCE_S)


@contextlib.contextmanager
def running(*arguments):
    """A command of ours, until it is stopped in the end."""
    with tempfile.TemporaryFile() as log:
        process = Process(log, *arguments)
        try:
            yield process
        finally:
            process.stop(signal.SIGTERM)


@pytest.fixture(scope="session")
def service(models, tmp_path_factory):
    """The address of a real service."""
    data = tmp_path_factory.mktemp("service")
    with running("serve", "banking", "--port", 0, "--models", models, "--data", data) as process:
        yield process.url
        assert "Traceback" not in process.said


@pytest.fixture(autouse=True)
def elsewhere(monkeypatch, tmp_path):
    """An empty folder to work in: settings and data that lie where tests are started shall not take part."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def lab(monkeypatch, models):
    """What the lab was asked for: `lab(url=...)`; without a service unless told of one."""

    def ask(url="http://127.0.0.1:9", **flags):
        options_of_lab = {"url": url, "detectors": ["banking"], "flags": {"models": str(models), **flags}}
        monkeypatch.setenv(VARIABLE, msgspec.json.encode(options_of_lab).decode())

    ask()
    return ask


@pytest.fixture
def page(lab):
    """Runs one page: `page("data", file=path)`; what is given was chosen at the side."""
    from streamlit.testing.v1 import AppTest

    def run(name, **chosen):
        shown = AppTest.from_function(_page, kwargs={"name": name}, default_timeout=PATIENCE_S)
        if "file" in chosen:
            chosen["events"] = "A recorded file"
        for key, value in ({"count": 1200, "seed": 9} | chosen).items():
            shown.session_state[f"chosen.{key}"] = value
        return done(shown.run())

    return run


def done(shown):
    """A page that has run without an exception."""
    assert [each.message for each in shown.exception] == []
    return shown


def _page(name):
    """The script: it is taken out of here as text, so everything stands inside."""
    import importlib

    from penstock.lab.controls import guarded, keep

    keep()
    guarded(importlib.import_module(f"penstock.lab.pages.{name}").show)()
