"""The file system calls of the ledger, in one place, so that tests can make them fail."""

import errno
import os
from pathlib import Path

from penstock.errors import LedgerError, LedgerFull

_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class Disk:
    """File writes that either complete or raise `OSError`; acknowledged data has been through `sync`."""

    def create(self, path: Path) -> int:
        """Open a new file for reading and writing; it must not be there yet."""
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def open(self, path: Path) -> int:
        """Open an existing file for reading and writing."""
        return os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def write(self, fd: int, data: bytes | memoryview, offset: int) -> None:
        """Write all of `data` at `offset`."""
        view = memoryview(data).cast("B")
        while view:
            written = os.pwrite(fd, view, offset)
            view, offset = view[written:], offset + written

    def sync(self, fd: int) -> None:
        """Return when everything written is on the device."""
        os.fdatasync(fd) if hasattr(os, "fdatasync") else os.fsync(fd)

    def truncate(self, fd: int, size: int) -> None:
        """Cut a file."""
        os.ftruncate(fd, size)

    def rename(self, old: Path, new: Path) -> None:
        """Give a finished, synced file its name, for good."""
        old.rename(new)
        self.sync_folder(new.parent)

    def sync_folder(self, folder: Path) -> None:
        """Make the names in a folder durable."""
        fd = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def read_at(path: Path, offset: int, size: int) -> bytes:
    """Up to `size` bytes from `offset`."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.pread(fd, size, offset)
    finally:
        os.close(fd)


def trouble_of(error: OSError, path: Path) -> LedgerError:
    """The ledger error for an error of the device, with the remedy."""
    if error.errno in _NO_ROOM:
        return LedgerFull(
            f"no room for {path}: {error.strerror}; decisions are not acknowledged until there is. "
            "Free space on this device, or move the data folder to a larger one; work goes on by itself"
        )
    return LedgerError(
        f"cannot write {path}: {error.strerror or error}; decisions are not acknowledged until it works. "
        "Check the device; writing is tried again by itself"
    )
