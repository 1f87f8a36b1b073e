"""The disk cache of compiled code, valid while none of its sources changes.

numba keeps the code of a function until the file of that function changes. The code of a kernel contains the kernels that it
calls and the constants that it reads, so that after an upgrade a caller could run with a callee of the version before. Here the
file's imports within the package count too.
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numba
from numba.core.caching import CacheImpl, InTreeCacheLocator, UserProvidedCacheLocator

from penstock.compilation import PACKAGE

_IMPORT = re.compile(r"^(?:from|import) penstock((?:\.\w+)*)(?: import ([\w, ]+))?", re.MULTILINE)
"""An import at the top of a file, of a module of the package; where it fits one line, the names that are imported from it."""


def made_from(source: Path) -> set[Path]:
    """A file of the package, and all files of the package that it imports, directly or not."""
    found: set[Path] = set()
    new = {source}
    while new:
        found |= new
        new = {imported for path in new for imported in _imports(path)} - found
    return found


@cache
def _imports(source: Path) -> tuple[Path, ...]:
    return tuple(_imported(source.read_text("utf-8")))


def _imported(text: str) -> Iterator[Path]:
    for module, names in _IMPORT.findall(text):
        home = PACKAGE.joinpath(*module.split(".")[1:])
        for place in (home, *(home / name.split(" as ")[0].strip() for name in names.split(","))):
            yield from filter(Path.is_file, (place.with_name(f"{place.name}.py"), place / "__init__.py"))


@cache
def _stamp(source: Path) -> bytes:
    digest = hashlib.sha256()
    for path in sorted(made_from(source)):
        digest.update(f"{path.relative_to(PACKAGE)}\0".encode() + path.read_bytes() + b"\0")
    return digest.digest()


class _OfPackage:
    """Which files a locator is for, and the stamp of what is made from them; comes before a locator of numba's."""

    _py_file: str

    def get_source_stamp(self) -> bytes:
        return _stamp(Path(self._py_file))

    @classmethod
    def from_function(cls, py_func: Callable[..., Any], py_file: str) -> Any:
        within = Path(py_file).is_relative_to(PACKAGE) and Path(py_file).is_file()
        return super().from_function(py_func, py_file) if within else None  # type: ignore[misc]


class InChosenFolder(_OfPackage, UserProvidedCacheLocator):  # type: ignore[misc]
    """Keeps compiled code in NUMBA_CACHE_DIR."""


class SourceFolder(_OfPackage, InTreeCacheLocator):  # type: ignore[misc]
    """Keeps compiled code in the __pycache__ folder of its source."""


# In this process only: a variable of the environment would pass the names on to processes that may not have Penstock.
numba.config.CACHE_LOCATOR_CLASSES = ",".join(
    (
        f"{__name__}.{InChosenFolder.__name__}",
        f"{__name__}.{SourceFolder.__name__}",
        numba.config.CACHE_LOCATOR_CLASSES or ",".join(each.__name__ for each in CacheImpl._locator_classes),
    )
)
