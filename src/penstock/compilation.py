"""The cache of compiled kernels: its location, and the processor it is for.

numba keeps compiled kernels next to the source. Where that cannot be written (a system-wide or read-only installation) they
go to the user's cache folder; where there is none either (an account without a home), to a private temporary folder. A
wheel brings kernels that were compiled for a kind of processor, for one numba and one Python: `KERNELS` says which.
"""

import json
import logging
import os
import platform
import shutil
import stat
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parent
KERNELS = PACKAGE / "kernels.json"
"""What the compiled kernels of a wheel fit: {"processor", "numba", "python"}; None in a package without kernels."""

PROCESSORS = {"x86_64": "x86-64-v3", "aarch64": "generic"}
"""The processors that kernels of a wheel are compiled for, by architecture; in LLVM's words."""

_V3 = frozenset(("abm", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe"))
"""What Linux calls that which x86-64-v3 has beyond its predecessor."""


def choose_cache() -> None:
    """Point numba to kernels that fit, and to a folder that can be written; variables of numba's that are set win.

    Runs before anything imports numba, which reads the variables once.
    """
    shipped = shipped_for()
    if shipped and mismatch() is None and not os.environ.keys() & {"NUMBA_CPU_NAME", "NUMBA_CPU_FEATURES"}:
        os.environ["NUMBA_CPU_NAME"] = shipped["processor"]
        os.environ["NUMBA_CPU_FEATURES"] = ""
    if "NUMBA_CACHE_DIR" not in os.environ and not _writable(PACKAGE / "__pycache__"):
        os.environ["NUMBA_CACHE_DIR"] = str(next(folder for folder in _candidates() if is_usable(folder)))
    if shipped and "NUMBA_CACHE_DIR" in os.environ:
        _bring_along(Path(os.environ["NUMBA_CACHE_DIR"]))


def cache_folder() -> Path:
    """The folder in which compiled kernels are kept in this process."""
    return Path(os.environ.get("NUMBA_CACHE_DIR") or PACKAGE / "__pycache__")


def mismatch() -> str | None:
    """Why the kernels that came with the package do not fit here, so that they are compiled; None where they fit."""
    shipped = shipped_for()
    if not shipped:
        return None
    if shipped["python"] != sys.implementation.cache_tag:
        return f"they are for {shipped['python']}, and this is {sys.implementation.cache_tag}"
    if shipped["processor"] != PROCESSORS.get(platform.machine()) or not has_v3():
        return f"they are for {shipped['processor']} processors, and this is another"
    numba = sys.modules.get("numba")
    if numba is not None and numba.__version__ != shipped["numba"]:
        return f"they are for numba {shipped['numba']}, and this is {numba.__version__}"
    if numba is not None and (shipped["processor"], "") != (numba.config.CPU_NAME, numba.config.CPU_FEATURES):
        return "numba compiles for another processor: NUMBA_CPU_NAME is set, or numba was imported before penstock"
    return None


@cache
def say_mismatch() -> None:
    """Log once, when kernels are needed, that those of the package do not fit."""
    why = mismatch()
    if why is not None:
        logging.getLogger(__name__).warning(
            "the compiled kernels that came with Penstock do not fit (%s); the first start compiles them, for a minute or two",
            why,
        )


@cache
def shipped_for() -> dict[str, str]:
    """Python, numba and processor that the shipped kernels were compiled for; empty where none are shipped."""
    try:
        found: dict[str, str] = json.loads(KERNELS.read_text())
    except FileNotFoundError:
        return {}
    return found


def has_v3() -> bool:
    """Whether this processor can run the distributed kernels; always true outside x86."""
    if platform.machine() != "x86_64":
        return True
    try:
        with Path("/proc/cpuinfo").open() as lines:
            flags = next((line for line in lines if line.startswith("flags")), "")
    except OSError:
        return False
    return set(flags.split()) >= _V3


def _bring_along(folder: Path) -> None:
    """Copy the kernels of the package to where numba looks for them in its cache folder, once."""
    import hashlib

    stamp = hashlib.sha256(f"{PACKAGE} {KERNELS.read_text()}".encode()).hexdigest()[:16]
    brought = folder / f"penstock-{stamp}"
    if brought.exists():
        return
    try:
        for kernel in sorted(PACKAGE.rglob("__pycache__/*.nb[ci]")):  # code first, then the index that names it
            source = kernel.parent.parent
            place = folder / f"{source.name}_{hashlib.sha1(str(source).encode(), usedforsecurity=False).hexdigest()}"
            place.mkdir(parents=True, exist_ok=True)
            fresh = place / f"{kernel.name}.tmp.{os.getpid()}"
            shutil.copyfile(kernel, fresh)
            fresh.replace(place / kernel.name)
        brought.touch()
    except OSError:  # a full disk: they are compiled, or not even kept, as without a wheel
        return


def _candidates() -> Iterator[Path]:
    import tempfile

    if os.environ.get("XDG_CACHE_HOME"):
        yield Path(os.environ["XDG_CACHE_HOME"]) / "penstock"
    home = Path("~").expanduser()
    if home.is_absolute():
        yield home / ".cache" / "penstock"
    yield Path(tempfile.gettempdir()) / f"penstock-{_user()}"
    yield Path(tempfile.mkdtemp(prefix="penstock-"))


def is_usable(folder: Path) -> bool:
    """Whether the folder is writable and belongs to this user alone: it holds code that is run."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        found = folder.stat()
    except OSError:
        return False
    private = os.name == "nt" or (found.st_uid == _user() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
    return private and _writable(folder)


def _writable(folder: Path) -> bool:
    if not folder.exists():
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _user() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0
