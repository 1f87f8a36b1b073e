"""Compiled functions: kept on disk as object files, and loaded into this process.

A file is valid for one source, version of what is compiled into it, numba, Python and processor: all of them make its name, and
stand in it together with a checksum. One that does not fit, or is damaged, is not there. A file appears whole, under its
final name, so that processes can share the folder, which is that of all compiled kernels (`penstock.compilation`).
"""

import hashlib
import json
import os
import platform
import sys
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any

from penstock.compilation import PACKAGE, cache_folder, is_usable

MOST_FILES = 512
"""Files that are kept; beyond it, those that were not used for longest are removed."""
_SUFFIX = ".plan"
_loaded: dict[str, tuple[int, Any]] = {}
"""Address, and what must stay alive for it, by name."""
_loading = threading.Lock()


def folder() -> Path:
    """Where compiled functions are kept."""
    return cache_folder() / "plans"


def name_of(text: str) -> str:
    """The name of a source's compiled function: changes with the source and with all that its code depends on."""
    return hashlib.sha256(f"{identity()}\0{text}".encode()).hexdigest()[:32]


@cache
def identity() -> str:
    """What compiled code is made for and from, besides its source."""
    import llvmlite.binding
    import numba
    from numba.core.codegen import get_host_cpu_features

    from penstock.kept_code import made_from

    sources = hashlib.sha256()
    for path in sorted(made_from(PACKAGE / "features" / "compiled" / "parts.py")):
        sources.update(f"{path.relative_to(PACKAGE)}\0".encode() + path.read_bytes() + b"\0")
    parts = {
        "sources": sources.hexdigest(),
        "numba": f"{numba.__version__} {numba.config.BOUNDSCHECK} {numba.config.OPT}",
        "python": sys.implementation.cache_tag,
        "machine": f"{sys.platform} {platform.machine()} {llvmlite.binding.get_host_cpu_name()}",
        "features": get_host_cpu_features(),
    }
    return json.dumps(parts, sort_keys=True)


def address_of(text: str) -> int:
    """Where the compiled function of a source lies in this process, 0 where it is not compiled yet; it is never released."""
    import numba

    name = name_of(text)
    with _loading:
        if name not in _loaded:
            if numba.config.DISABLE_JIT:
                _loaded[name] = _plain(text)
                return _loaded[name][0]
            found = _read(name)
            if found is None:
                return 0
            _loaded[name] = _load(name, *found)
        return _loaded[name][0]


def has(text: str) -> bool:
    """Whether a whole file for a source is there."""
    return _read(name_of(text)) is not None


def keep(text: str, symbol: str, code: bytes) -> None:
    """Write the object file of a source's function.

    Raises:
        OSError: the folder cannot be written, or it is not this user's alone.
    """
    home, name = folder(), name_of(text)
    if not is_usable(home):
        raise OSError(f"{home} must be writable by this user, and by no other")
    head = {"name": name, "symbol": symbol, "sha256": hashlib.sha256(code).hexdigest(), "identity": identity()}
    fresh = home / f"{name}.{os.getpid()}.tmp"
    fresh.write_bytes(json.dumps(head).encode() + b"\n" + zlib.compress(code))
    fresh.replace(home / f"{name}{_SUFFIX}")
    _remove_oldest(home)


@contextmanager
def alone() -> Iterator[None]:
    """Wait until no other process compiles into the folder: two would compile the same."""
    home = folder()
    if os.name == "nt" or not is_usable(home):
        yield
        return
    import fcntl

    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read(name: str) -> tuple[str, bytes] | None:
    """Symbol and code of a file, None where there is none that is whole and was made for this process."""
    home = folder()
    path = home / f"{name}{_SUFFIX}"
    try:
        if not path.exists() or not is_usable(home):
            return None
        first, _, rest = path.read_bytes().partition(b"\n")
        head, code = json.loads(first), zlib.decompress(rest)
        expected = {"name": name, "sha256": hashlib.sha256(code).hexdigest(), "identity": identity()}
        if {key: head.get(key) for key in expected} != expected:
            return None
        symbol = str(head["symbol"])
    except (OSError, ValueError, AttributeError, KeyError, zlib.error):
        return None
    with suppress(OSError):
        os.utime(path)  # it was used
    return symbol, code


def _load(name: str, symbol: str, code: bytes) -> tuple[int, Any]:
    """Link an object file into this process, as numba does with those of its cache."""
    import llvmlite.binding as llvm
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.registry import cpu_target

    declared = f'define i64 @"{symbol}"(i64 %call, i64 %start) {{ ret i64 0 }}'  # numba looks up what a module defines
    with global_compiler_lock:
        codegen = cpu_target.target_context.codegen()
        library = codegen.unserialize_library((name, "object", (code, llvm.parse_assembly(declared).as_bitcode())))
        address = int(library.get_pointer_to_function(symbol))
    return address, library


def _plain(text: str) -> tuple[int, Any]:
    from penstock.features.compiled.build import load_function
    from penstock.features.kernel.addresses import address_of_function

    function = load_function(text)
    return address_of_function(function), function


def _remove_oldest(home: Path) -> None:
    found = []
    for path in home.glob(f"*{_SUFFIX}"):
        with suppress(OSError):
            found.append((path.stat().st_mtime, path))
    for _, path in sorted(found, reverse=True)[MOST_FILES:]:
        path.unlink(missing_ok=True)
