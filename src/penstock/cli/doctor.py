"""`penstock doctor`: checks the installation and names remedies."""

import difflib
import errno
import os
import socket
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import click

from penstock.cli.options import as_json, print_json, settings, settings_from, show_table

if TYPE_CHECKING:
    from penstock.config import Settings

PARTS = ("numba", "numpy", "polars", "duckdb", "msgspec", "sqlglot", "uvicorn")


@dataclass(frozen=True)
class CheckResult:
    """The result of one check; remedy is None if all is well."""

    what: str
    found: str
    remedy: str | None = None


@click.command()
@click.argument("detectors", metavar="[DETECTOR]...", nargs=-1)
@settings("host", "port", "data", "models", "office")
@as_json
def command(detectors: tuple[str, ...], as_json: bool, **flags: str | None) -> None:
    """Check the installation, the settings, and detectors.

    Of the installed detectors, and of each DETECTOR, it names the rules that no longer lower what the score asks for as
    they did in version 0.1, also those that people changed at run time. Exit 1 if something is missing, with the remedy.
    """
    findings = list(examine(flags, detectors))
    if as_json:
        print_json([{"what": found.what, "found": found.found, "remedy": found.remedy} for found in findings])
    else:
        rows = []
        for found in findings:
            rows.append(("ok" if found.remedy is None else "BAD", found.what, found.found))
            if found.remedy is not None:
                rows.append(("", "", f"-> {found.remedy}"))
        show_table(rows)
    if any(found.remedy is not None for found in findings):
        raise click.exceptions.Exit(1)


def examine(flags: dict[str, str | None], detectors: Sequence[str] = ()) -> Iterator[CheckResult]:
    """All checks that need no running service. detectors: to check, besides the installed ones."""
    yield _python()
    yield from map(_part, PARTS)
    yield _extras()
    yield _console()
    yield _compiled()
    try:
        chosen = settings_from(**flags)
    except Exception as error:  # noqa: BLE001 -- a finding, whatever it is
        yield CheckResult("settings", "cannot be read", str(error))
        return
    yield CheckResult("settings", "readable")
    yield from _misspelt_variables()
    yield _folder(chosen.data)
    yield _port(chosen.host, chosen.port)
    yield from _detectors(chosen, detectors)


def _python() -> CheckResult:
    found = sys.version.split()[0]
    return CheckResult("python", found, None if sys.version_info >= (3, 11) else "install Python 3.11 or later")


def _part(name: str) -> CheckResult:
    try:
        return CheckResult(name, metadata.version(name))
    except metadata.PackageNotFoundError:
        return CheckResult(name, "not installed", f"pip install {name}")


def _extras() -> CheckResult:
    """The optional parts; one that is missing is no fault before something needs it."""
    from penstock.extras import MODULES, missing

    lacking = missing(MODULES)
    there = [name for name in MODULES if name not in lacking]
    without = f"; without {', '.join(lacking)} (pip install 'penstock[NAME]')" if lacking else ""
    return CheckResult("extras", f"{', '.join(there) or 'none'}{without}")


def _console() -> CheckResult:
    import penstock

    built = (Path(penstock.__file__).parent / "service" / "static" / "console" / "index.html").is_file()
    return CheckResult("console", "built" if built else "not built: run `make console-build` in a checkout, or install a wheel")


def _compiled() -> CheckResult:
    from penstock.compilation import cache_folder

    folder = cache_folder()
    return _writable(
        "compiled kernels", folder, "set NUMBA_CACHE_DIR to a folder that can be written, or every start compiles again"
    )


def _folder(data: Path) -> CheckResult:
    return _writable("data folder", data, f"make {data} writable, or name another: --data DIR")


def _writable(what: str, folder: Path, remedy: str) -> CheckResult:
    existing = next(found for found in (folder, *folder.absolute().parents) if found.exists())
    good = existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)
    new = "" if existing == folder else " (not there yet)"
    return CheckResult(what, f"{folder}{new}" if good else f"{folder} cannot be written", None if good else remedy)


def _port(host: str, port: int) -> CheckResult:
    what = f"port {port}"
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            remedy = (
                f"choose another: --port {port + 1}" if error.errno == errno.EADDRINUSE else "choose another: --host 127.0.0.1"
            )
            return CheckResult(what, os.strerror(error.errno or 0).lower(), remedy)
    return CheckResult(what, "free")


def _misspelt_variables() -> Iterator[CheckResult]:
    """Environment variables that resemble settings and are not."""
    from penstock.config import PREFIX, describe

    known = {PREFIX + setting.name.upper() for setting in describe()}
    for name in sorted(set(os.environ) - known):
        meant = difflib.get_close_matches(name, known, n=1, cutoff=_ALIKE) if name.startswith(PREFIX) else []
        if meant:
            yield CheckResult(name, "no setting of this name", f"write {meant[0]}, or unset it")


_ALIKE = 0.85  # similarity by difflib: one or two letters


def _detectors(settings: "Settings", named: Sequence[str]) -> Iterator[CheckResult]:
    from penstock.detector.order_check import no_longer_lowering
    from penstock.wiring.detectors import installed, load_detector
    from penstock.wiring.governance import with_stored_rules

    for name in dict.fromkeys([*installed(), *named]):
        try:
            detector = with_stored_rules(load_detector(name), settings)
        except Exception as error:  # noqa: BLE001 -- a finding, whatever it is
            yield CheckResult(f"detector {name}", "does not load", str(error))
        else:
            yield CheckResult(f"detector {name}", "loads")
            for sentence in no_longer_lowering(detector, _suggested(detector.name, settings)):
                yield CheckResult(f"detector {name}", sentence)


def _suggested(detector: str, settings: "Settings") -> dict[str, float] | None:
    """The thresholds that the deciding models suggest; None if there are no readable models."""
    from penstock.errors import BundleError
    from penstock.models.bundle import read_manifest
    from penstock.models.bundle_store import champion

    version = champion(settings.models_folder, detector)
    try:
        return None if version is None else dict(read_manifest(settings.models_folder / detector / version)["thresholds"])
    except BundleError:
        return None
