"""The kinds of models, one file each, named for the kind.

A file declares one public subclass of `DeclaredModel`, with defaults for all of its fields, and imports its library inside
`_fitted` only. Adding a file is all it takes: `kinds()` finds it, and
`tests/contract/test_models.py` checks it.
"""

import importlib
import inspect
import pkgutil
from typing import Any

import msgspec


def kinds() -> dict[str, type[Any]]:
    """Every kind of model by name.

    >>> kinds()["xgboost"]().depth
    6
    """
    return {module.name: _declared_in(module.name) for module in pkgutil.iter_modules(__path__)}


def _declared_in(name: str) -> type[Any]:
    module = importlib.import_module(f"{__name__}.{name}")
    (kind,) = (
        value
        for value in vars(module).values()
        if inspect.isclass(value) and issubclass(value, msgspec.Struct) and value.__module__ == module.__name__
    )
    return kind
