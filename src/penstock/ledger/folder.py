"""The exclusive lock of a data folder, which the system releases when its owner ends, however it ends."""

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from penstock.clock import Clock, iso, system_clock
from penstock.errors import ConfigurationError, FolderInUse
from penstock.private_files import make_private


class FolderLock:
    """An exclusive lock on a folder: `folder/lock` is held until closed.

    Raises:
        FolderInUse: another process (or another ledger in this one) holds it; the message names it and the time.
        ConfigurationError: the folder cannot be written.
    """

    def __init__(self, folder: Path, *, clock: Clock = system_clock) -> None:
        path = folder / "lock"
        try:
            make_private(folder)
            self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise ConfigurationError(
                f"cannot use the folder {folder}: {error.strerror}; name one that can be written"
            ) from error
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.pread(self._fd, 200, 0).decode(errors="replace").strip() or "another process"
            os.close(self._fd)
            raise FolderInUse(
                f"{folder} is in use by {owner}; one folder has one owner. Stop that process, or name another --data folder"
            ) from error
        with suppress(OSError):  # without room the lock still holds, only nameless
            os.ftruncate(self._fd, 0)
            os.pwrite(self._fd, f"process {os.getpid()}, since {iso(clock())}\n".encode(), 0)

    def close(self) -> None:
        """Let go; twice is fine."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
