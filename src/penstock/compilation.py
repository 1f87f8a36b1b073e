"""Where compiled kernels are kept, so that only the first start compiles them.

numba keeps them beside the source. Where that cannot be written (a system-wide or read-only installation) they go to
the user's cache folder; where there is none either (an account without a home), to a private temporary folder.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent


def choose_cache() -> None:
    """Point numba to a folder that can be written; `NUMBA_CACHE_DIR` wins where it is set.

    Runs before anything imports numba, which reads the variable once.
    """
    if "NUMBA_CACHE_DIR" not in os.environ and not _writable(PACKAGE / "__pycache__"):
        os.environ["NUMBA_CACHE_DIR"] = str(next(folder for folder in _candidates() if _usable(folder)))


def cache_folder() -> Path:
    """The folder in which compiled kernels are kept in this process."""
    return Path(os.environ.get("NUMBA_CACHE_DIR") or PACKAGE / "__pycache__")


def _candidates() -> Iterator[Path]:
    import tempfile

    if os.environ.get("XDG_CACHE_HOME"):
        yield Path(os.environ["XDG_CACHE_HOME"]) / "penstock"
    home = Path("~").expanduser()
    if home.is_absolute():
        yield home / ".cache" / "penstock"
    yield Path(tempfile.gettempdir()) / f"penstock-{_user()}"
    yield Path(tempfile.mkdtemp(prefix="penstock-"))


def _usable(folder: Path) -> bool:
    """Whether the folder is ours alone and can be written: compiled code is run, so nobody else may have put it there."""
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
