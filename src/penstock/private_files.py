"""Data folders and files with permissions for their owner alone."""

import os
import re
import secrets
from contextlib import suppress
from pathlib import Path

from penstock.errors import ConfigurationError

_SHORTEST_KEY = 16


def make_private(folder: Path) -> None:
    """Create a folder with access for its owner alone, if it does not exist."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        each.mkdir(mode=0o700, exist_ok=True)


def make_data_folder(folder: Path) -> None:
    """Create the data folder that a setting names, if it does not exist.

    Raises:
        ConfigurationError: it cannot be made or written.
    """
    try:
        make_private(folder)
    except OSError as error:
        raise ConfigurationError(f"the folder {folder} cannot be made: {error.strerror}; name another one (--data)") from error
    if not folder.is_dir():
        raise ConfigurationError(f"{folder} is a file, where a folder is needed; name one (--data)")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ConfigurationError(f"the folder {folder} cannot be written: no permission; name another one (--data)")


def write_private(path: Path, data: bytes) -> None:
    """Write a small file atomically and durably, with access for its owner alone; an existing one stays unchanged.

    Raises:
        OSError: what the device said.
    """
    fresh = path.with_name(f"{path.name}.{secrets.token_hex(8)}.tmp")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(fd, "wb", buffering=0) as file:
            file.write(data)
            os.fsync(fd)
        with suppress(FileExistsError):
            os.link(fresh, path)  # unlike a rename it takes the place of nothing
    finally:
        fresh.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


_OWN = re.compile(
    r"ledger|state|archive|models|reports|queries|shard-[0-9]+|access\.closed|office\.sqlite.*|personal\.key.*|demo\.json.*"
    r"|lock|log|ids|penstock\.sqlite.*"
)
"""Files that Penstock makes in a data folder; others are never changed."""


def keep_private(data: Path) -> None:
    """Let nobody but the owner read what Penstock made in a data folder: version 0.1 made files that others could read.

    The folder itself is closed where it holds nothing else. What belongs to somebody else, or goes meanwhile, is left.
    """
    if not data.is_dir():
        return
    held = list(data.iterdir())
    own = [path for path in held if _OWN.fullmatch(path.name)]
    found = [*([data] if own and len(own) == len(held) else []), *own]
    for path in found + [inside for each in own if each.is_dir() and not each.is_symlink() for inside in each.rglob("*")]:
        with suppress(OSError):
            mode = 0o700 if path.is_dir() else 0o600
            if not path.is_symlink() and path.stat().st_mode & 0o7777 != mode:
                path.chmod(mode)


def personal_key(path: Path | None) -> bytes | None:
    """The key of personal fields in a file; None if no file is named.

    Raises:
        ConfigurationError: it cannot be read, or is too short.
    """
    if path is None:
        return None
    try:
        key = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"the key for personal fields cannot be read from {path}: {error.strerror}") from error
    if len(key) < _SHORTEST_KEY:
        raise ConfigurationError(f"{path} holds {len(key)} bytes; a key for personal fields has at least {_SHORTEST_KEY}")
    return key
