"""Lazy imports (PEP 562): a package imports its public names when they are first used."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(package: str, homes: Mapping[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` of a package.

    homes: the submodule that each public name comes from.
    """
    module = vars(sys.modules[package])

    def __getattr__(name: str) -> Any:  # noqa: N807 -- it becomes the package's
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        found = module[name] = getattr(import_module(f"{package}.{homes[name]}"), name)
        return found

    def __dir__() -> list[str]:  # noqa: N807
        return sorted({*module, *homes})

    return __getattr__, __dir__
