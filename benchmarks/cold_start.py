"""How long a new installation takes to its first decision: the wheel in an empty environment, with an empty user cache.

A full run builds the wheel (minutes, unless build/ holds what goes into it); with --quick only imports are measured.
"""

import os
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from pathlib import Path

from _report import Row, main

ROOT = Path(__file__).parents[1]
DETECTORS = ("banking", "card", "ecommerce", "mobile_money", "payments")
MOST_S, MOST_IMPORT_S = 10, 0.15

IMPORT = "from penstock import Engine"
FIRST_DECISION = """
import json, sys
from pathlib import Path
import penstock
from penstock import Engine
from penstock.wiring.detectors import load_detector
samples = Path(penstock.__file__).parent / "detectors" / sys.argv[1] / "samples.json"
Engine(load_detector(sys.argv[1])).decide(json.loads(samples.read_text())[0]["event"])
"""


def run(quick: bool) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        python = Path(sys.executable) if quick else installed(place)
        rows = []
        wall, work = min(took(python, place, IMPORT) for _ in range(5))
        rows.append(Row.at_most("from penstock import Engine", wall, "s", MOST_IMPORT_S))
        rows.append(Row.figure("from penstock import Engine, work of the processor", work, "s"))
        for detector in () if quick else DETECTORS:
            wall, work = took(python, place, FIRST_DECISION, detector)
            rows.append(Row.at_most(f"first decision of {detector}", wall, "s", MOST_S))
            rows.append(Row.figure(f"first decision of {detector}, work of the processor", work, "s"))
        return rows


def installed(place: Path) -> Path:
    """The Python of an environment with the wheel and nothing else of Penstock; what it depends on comes from this one."""
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(place)]
    subprocess.run([*pip, str(ROOT)], check=True, stdout=sys.stderr)
    venv.create(place / "env", with_pip=True)
    [site] = (place / "env").glob("lib/python*/site-packages")
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = place / "env" / "bin" / "python"
    install = [str(python), "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*install, *map(str, place.glob("*.whl"))], check=True, stdout=sys.stderr)
    return python


def took(python: Path, place: Path, program: str, *arguments: str) -> tuple[float, float]:
    """Seconds on the clock, and seconds of work, of a program in a home without a cache."""
    with tempfile.TemporaryDirectory(dir=place) as home:
        before, began = os.times(), time.perf_counter()
        subprocess.run(
            [str(python), "-c", program, *arguments],
            env={"HOME": home, "PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
            cwd=home,
            check=True,
            stderr=subprocess.DEVNULL,
        )
        wall, after = time.perf_counter() - began, os.times()
    return wall, after.children_user + after.children_system - before.children_user - before.children_system


if __name__ == "__main__":
    main(run)
