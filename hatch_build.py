"""What the build of a wheel makes beside packing: the console, compiled kernels, and trained models of the detectors.

None of them is needed to run Penstock. What cannot be made here is left out, and the build says so: the console where there is
no Node, the rest where what Penstock depends on is not installed. What was made is kept in build/, by the sources it was made
from. PENSTOCK_TRAINING_EVENTS says on how many simulated events each detector is trained; 0 makes neither models nor kernels.
"""

import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version as version_of
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

EVENTS = 150_000
WITHOUT_CACHES = shutil.ignore_patterns("__pycache__", "static", "trained")


class Prebuilt(BuildHookInterface):  # type: ignore[type-arg]
    """Makes the three parts before files are packed."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Make what is missing; nothing for an editable installation, where `make setup` does."""
        if version == "editable":
            return
        root = Path(self.root)
        self._note(build_console(root))
        if self.target_name != "wheel":
            return
        events = int(os.environ.get("PENSTOCK_TRAINING_EVENTS", EVENTS))
        made, why = build_kernels(root, events) if events else (None, "PENSTOCK_TRAINING_EVENTS=0")
        if made is None:
            self._note(f"the wheel comes without compiled kernels and trained models: {why}")
            return
        build_data["pure_python"], build_data["infer_tag"] = False, True
        for path in filter(Path.is_file, made.rglob("*")):
            within = path.relative_to(made)
            if path.suffix in {".nbi", ".nbc"} or within.parts[0] in {"trained", "kernels.json"}:
                build_data["force_include"][str(path)] = str("penstock" / within)

    def _note(self, said: str | None) -> None:
        if said:
            self.app.display_warning(said)


def build_console(root: Path) -> str | None:
    """Build the console where it is missing or older than its sources; else why that was not possible."""
    sources, page = root / "console", root / "src/penstock/service/static/console/index.html"
    if not sources.is_dir():
        return None if page.exists() else "the wheel comes without the console: its sources are not here"
    newest = max(path.stat().st_mtime for path in _files(sources))
    if page.exists() and page.stat().st_mtime >= newest:
        return None
    npm = shutil.which("npm")
    old = "an older build of the console" if page.exists() else "no console"
    if npm is None:
        return f"the wheel has {old}: it is built with Node 20 or later, which is not here (`make console-build` installs one)"
    for step in (["install", "--no-save"], ["run", "build"]):
        done = subprocess.run([npm, "--prefix", str(sources), "--silent", *step], check=False, capture_output=True, text=True)
        if done.returncode:
            return f"the wheel has {old}: npm {step[0]} failed: {(done.stderr or done.stdout).strip()[-500:]}"
    return None


def _files(folder: Path) -> Iterator[Path]:
    """The sources of the console: without what npm installed and what is generated."""
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if name != "node_modules"]
        yield from (Path(place) / name for name in files if name != "schema.d.ts")


def build_kernels(root: Path, events: int) -> tuple[Path | None, str]:
    """The package with compiled kernels and trained models in it; None, and why, where it cannot be made."""
    missing = [name for name in ("numba", "polars", "sklearn", "xgboost", "sqlglot", "msgspec") if find_spec(name) is None]
    if missing:
        return None, f"{', '.join(missing)} is not installed where it is built"
    package = root / "src" / "penstock"
    processor = compilation(package).PROCESSORS.get(platform.machine())
    if processor is None or sys.platform != "linux":
        return None, f"nobody has said for which processors of {sys.platform} {platform.machine()}"
    fits = {"processor": processor, "numba": version_of("numba"), "python": sys.implementation.cache_tag}
    place = root / "build" / f"prebuilt-{_digest(package, fits, events)}"
    if not (place / "penstock" / "kernels.json").exists():
        shutil.rmtree(place, ignore_errors=True)
        shutil.copytree(package, place / "penstock", ignore=WITHOUT_CACHES)
        paths = [str(place), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("NUMBA_")} | {
            "PYTHONPATH": os.pathsep.join(paths),
            "NUMBA_CPU_NAME": processor,
            "NUMBA_CPU_FEATURES": "",
        }
        make = [sys.executable, "-m", "penstock.wiring.prebuilt"]
        for step in (["kernels"], ["models", str(place / "penstock" / "trained"), str(events)]):
            done = subprocess.run([*make, *step], check=False, capture_output=True, text=True, env=environment, cwd=place)
            if done.returncode:
                return None, (done.stderr or done.stdout).strip()[-2000:]
        (place / "penstock" / "kernels.json").write_text(json.dumps(fits))
    return place / "penstock", ""


def compilation(package: Path) -> Any:
    """The module that says for which processors kernels are compiled; it needs nothing but Python."""
    spec = spec_from_file_location("penstock_compilation", package / "compilation.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _digest(package: Path, fits: dict[str, str], events: int) -> str:
    found = hashlib.sha256(json.dumps([fits, events]).encode())
    for path in sorted(package.rglob("*")):
        if path.is_file() and path.suffix not in {".pyc", ".nbi", ".nbc"} and not {"static", "trained"} & set(path.parts):
            found.update(str(path.relative_to(package)).encode() + path.read_bytes())
    return found.hexdigest()[:16]
