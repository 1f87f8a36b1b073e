"""The folder of a process's temporary query files, inside the data folder; leftovers of killed processes are removed."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

NAME = "queries"


class QueryFolder:
    """A new, empty folder `queries/...` in a data folder, locked while this process uses it.

    Args:
        data: the data folder. Without one, or where nothing can be written, the system's folder for temporary files serves.
    """

    def __init__(self, data: Path | None) -> None:
        self.path, self._fd = _made(data)

    def close(self) -> None:
        """Remove the folder; twice is fine."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def sweep(data: Path) -> None:
    """Remove the folders of processes that have ended."""
    with suppress(OSError), _locked(data / NAME) as home:
        _sweep(home)


def _made(data: Path | None) -> tuple[Path, int]:
    if data is not None and data.is_dir():
        with suppress(OSError):
            (data / NAME).mkdir(mode=0o700, exist_ok=True)
            with _locked(data / NAME) as home:
                _sweep(home)
                path = Path(tempfile.mkdtemp(dir=home))
                return path, _lock(path)
    path = Path(tempfile.mkdtemp(prefix="penstock-query-"))
    return path, _lock(path)


@contextmanager
def _locked(home: Path) -> Iterator[Path]:
    """Nobody else makes or sweeps folders meanwhile: a new one is not locked yet."""
    fd = os.open(home, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield home
    finally:
        os.close(fd)


def _sweep(home: Path) -> None:
    for path in home.iterdir():
        with suppress(OSError):
            os.close(_lock(path))
            shutil.rmtree(path, ignore_errors=True)


def _lock(path: Path) -> int:
    """Lock a folder until its descriptor is closed, at the latest when this process ends.

    Raises:
        OSError: somebody has it, or it is no folder.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd
