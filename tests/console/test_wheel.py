"""The wheel in an empty environment without Node: the console opens, and every detector decides without compiling anything."""

import contextlib
import json
import os
import socket
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import httpx
import pytest
from tests import base_install
from tests.console.waiting import expect, get
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.browser]
ROOT = Path(__file__).parents[2]
STARTED_WITHIN_S = 300
DETECTORS = ["banking", "card", "ecommerce", "mobile_money", "payments"]

FIRST_DECISION = """
import json, sys
from pathlib import Path
import penstock
from penstock import Engine
from penstock.wiring.detectors import load_detector
from numba.core.dispatcher import Dispatcher

name = sys.argv[1]
sample = json.loads((Path(penstock.__file__).parent / "detectors" / name / "samples.json").read_text())[0]["event"]
decision = Engine(load_detector(name)).decide(sample)
modules = [vars(module) for key, module in list(sys.modules.items()) if key.startswith("penstock")]
kernels = {id(value): value for names in modules for value in list(names.values()) if isinstance(value, Dispatcher)}
compiled = [kernel.py_func.__qualname__ for kernel in kernels.values() if sum(kernel.stats.cache_misses.values())]
loaded = sum(sum(kernel.stats.cache_hits.values()) for kernel in kernels.values())
print(json.dumps([penstock.__file__, decision.model_version, compiled, loaded]))
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, with models of few events."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder)]
    environment = {"PENSTOCK_TRAINING_EVENTS": "8000", **os.environ}
    done = subprocess.run([*command, str(ROOT)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and what it depends on, without Penstock's sources; its folder of programs."""
    folder = tmp_path_factory.mktemp("installed") / "env"
    venv.create(folder, with_pip=True)
    [site] = folder.glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")  # its own .pth files are not read
    done = subprocess.run(
        [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", str(wheel)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "bin"


def surroundings(home: Path) -> dict[str, str]:
    """A user without a cache, and no Node among the programs."""
    return {"HOME": str(home), "PATH": str(home), "LANG": "C.UTF-8"}


def test_the_wheel_holds_the_console_the_kernels_and_a_bundle_of_every_detector(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert "penstock/service/static/console/index.html" in names
    assert {name.split("/")[2] for name in names if name.startswith("penstock/trained/")} == set(DETECTORS)
    assert [name for name in names if name.endswith(".nbi")]
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert f"-{python}-{python}-linux" in wheel.name


def test_an_installation_without_extras_is_small(wheel):
    found = base_install.distributions()
    others = sum(base_install.megabytes(each) for name, each in found.items() if name != "penstock")
    unpacked = sum(each.file_size for each in zipfile.ZipFile(wheel).infolist()) / 1e6
    assert len(found) <= base_install.MOST_DISTRIBUTIONS
    assert others + unpacked <= base_install.MOST_MB


@pytest.mark.parametrize("detector", DETECTORS)
def test_a_detector_decides_with_its_bundle_and_compiles_nothing(detector, installed, tmp_path):
    done = subprocess.run(
        [str(installed / "python"), "-c", FIRST_DECISION, detector],
        env=surroundings(tmp_path),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    home, version, compiled, loaded = json.loads(done.stdout)
    assert Path(home).is_relative_to(installed.parent)
    assert "trained on simulated events" in done.stderr
    assert (bool(version), compiled) == (True, [])
    assert loaded > 5


def test_a_read_only_installation_brings_its_kernels_into_the_users_cache(installed, tmp_path):
    environment = surroundings(tmp_path) | {"NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    done = subprocess.run(
        [str(installed / "python"), "-c", FIRST_DECISION, "banking"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)[2] == []
    assert list((tmp_path / "cache").rglob("*.nbc"))


def test_another_processor_compiles_as_before_and_says_so(installed, tmp_path):
    program = (
        "from penstock import compilation\ncompilation.has_v3 = lambda: False\n"
        "from penstock import Engine\nfrom penstock.detectors.banking import detector\nEngine(detector)"
    )
    done = subprocess.run(
        [str(installed / "python"), "-c", program],
        env=surroundings(tmp_path) | {"NUMBA_DISABLE_JIT": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("compiled kernels that came with Penstock do not fit") == 1


def is_ready(url: str) -> bool:
    """Whether a server answers, and can decide."""
    with contextlib.suppress(httpx.HTTPError):
        return get(f"{url}/ready").status_code == 200
    return False


def test_the_console_of_the_wheel_opens_in_a_browser(installed, page, tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url, log = f"http://127.0.0.1:{port}", tmp_path / "log"
    command = [str(installed / "penstock"), "serve", "banking", "--port", str(port), "--data", str(tmp_path / "data")]
    with log.open("wb") as output:
        server = subprocess.Popen(command, env=surroundings(tmp_path), cwd=tmp_path, stdout=output, stderr=output)
    try:
        wait_until(lambda: is_ready(url) or server.poll() is not None, STARTED_WITHIN_S)
        assert server.poll() is None, log.read_text()
        page.goto(url)
        expect(page.locator("h1")).to_have_text(["Live"])
        page.goto("about:blank")  # lets go of the live feed before the server ends
    finally:
        server.terminate()
        server.wait(60)
