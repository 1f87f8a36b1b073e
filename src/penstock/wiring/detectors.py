"""Resolution of DETECTOR on the command line: an installed name, or a Python file."""

import hashlib
import importlib
import importlib.util
import sys
import traceback
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from types import ModuleType
from typing import Any

from penstock.detector import Detector
from penstock.errors import ConfigurationError, DeclarationError, PenstockError, did_you_mean

GROUP = "penstock.detectors"
"""The entry-point group in which packages register their detectors."""


def installed() -> dict[str, EntryPoint]:
    """The detectors registered by installed packages, by name."""
    return {found.name: found for found in sorted(entry_points(group=GROUP), key=lambda found: found.name)}


def load_detector(reference: str) -> Detector:
    """Load the detector that DETECTOR on the command line names.

    Args:
        reference: an installed name (`banking`), a Python file (`mine.py`), or `mine.py:name` if the file
            declares several.

    Raises:
        ConfigurationError: no detector has this name.
        DeclarationError: the file cannot be loaded; names file and line.
    """
    path, _, name = reference.partition(":")
    if path.endswith(".py"):
        declared = _from_file(Path(path), name)
        declared.reference = reference
        return declared
    known = installed()
    if reference not in known:
        raise ConfigurationError(
            f"there is no detector {reference!r}.{did_you_mean(reference, known)} A detector of your own is a file: mine.py"
        )
    loaded = known[reference].load()
    if not isinstance(loaded, Detector):
        raise DeclarationError(
            f"{known[reference].value}, registered as {reference!r}, is a {type(loaded).__name__}, no Detector"
        )
    return loaded


def load_detectors(references: tuple[str, ...]) -> list[Detector]:
    """Several detectors; their names must differ.

    Raises:
        ConfigurationError: two of them have one name.
    """
    detectors = [load_detector(reference) for reference in references]
    names = [detector.name for detector in detectors]
    for name in names:
        if names.count(name) > 1:
            raise ConfigurationError(f"two of the detectors are called {name!r}; names must differ among those served together")
    return detectors


def _from_file(path: Path, name: str) -> Detector:
    module = _import(path)
    found = {key: value for key, value in vars(module).items() if isinstance(value, Detector) and not key.startswith("_")}
    if not found:
        raise DeclarationError(f"{path} declares no detector; it needs one: detector = Detector(name=..., event=..., ...)")
    if name:
        return _named(found, name, path)
    if len(set(map(id, found.values()))) == 1:
        return next(iter(found.values()))
    raise ConfigurationError(f"{path} declares several detectors; name one: " + ", ".join(f"{path}:{key}" for key in found))


def _named(found: dict[str, Detector], name: str, path: Path) -> Detector:
    by_name = {detector.name: detector for detector in found.values()} | found
    if name not in by_name:
        raise ConfigurationError(f"{path} declares no detector {name!r}.{did_you_mean(name, by_name)}")
    return by_name[name]


def _import(path: Path) -> ModuleType:
    """Import a file as a separate module; the same file loaded twice is one module."""
    if not path.is_file():
        files = [found.name for found in path.parent.glob("*.py")] if path.parent.is_dir() else []
        raise ConfigurationError(f"there is no file {path}.{did_you_mean(path.name, files)}")
    module_name = f"penstock_file_{path.stem}_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    spec = importlib.util.spec_from_file_location(module_name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[module_name] = module  # type annotations are resolved through it
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[module_name]
        raise DeclarationError(_place(error, path)) from error
    return module


def _place(error: Exception, path: Path) -> str:
    """The error in a detector file, and its line."""
    if isinstance(error, SyntaxError):
        return f"{path}:{error.lineno}: {error.msg}"
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).name == path.name]
    message = str(error) if isinstance(error, PenstockError) else f"{type(error).__name__}: {error}"
    return f"{path}:{lines[-1]}: {message}" if lines else f"{path}: {message}"


def summary(detector: Detector) -> dict[str, Any]:
    """The entry of a detector in lists."""
    return {
        "description": (detector.event.__doc__ or "").strip().split("\n")[0],
        "features": len(detector.features),
        "models": len(detector.models),
        "rules": len(detector.rules),
    }


def module_of(reference: str) -> ModuleType:
    """The module that declares a detector."""
    path = reference.partition(":")[0]
    return _import(Path(path)) if path.endswith(".py") else importlib.import_module(installed()[reference].module)
