"""The base installation, `pip install penstock`: what belongs to it, found among the distributions that are installed here."""

import re
import sys
from importlib.metadata import Distribution, distribution, packages_distributions
from pathlib import Path

from packaging.requirements import Requirement

MOST_DISTRIBUTIONS, MOST_MB = 45, 650
"""With Penstock itself."""


def distributions() -> dict[str, Distribution]:
    """Penstock and everything that it needs without extras, by name."""
    found: dict[str, Distribution] = {}
    waiting = [Requirement("penstock")]
    while waiting:
        wanted = waiting.pop()
        name = re.sub(r"[-_.]+", "-", wanted.name).lower()
        known = found.get(name)
        found[name] = known or distribution(name)
        waiting += [
            each
            for each in map(Requirement, found[name].requires or [])
            if _holds(each, wanted.extras) and (known is None or wanted.extras)
        ]
    return found


def _holds(requirement: Requirement, extras: set[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({"extra": extra}) for extra in ["", *extras])


def megabytes(found: Distribution) -> float:
    """What the files of an installed distribution take up, without compiled Python."""
    files = [Path(found.locate_file(path)) for path in found.files or [] if path.suffix != ".pyc"]
    return sum(path.stat().st_size for path in files if path.is_file()) / 1e6


def absent_modules() -> set[str]:
    """Modules that are installed here and do not belong to the base."""
    base = set(distributions())
    owners = packages_distributions().items()
    names = {
        module
        for module, owned in owners
        if not {re.sub(r"[-_.]+", "-", each).lower() for each in owned} & base and module not in sys.stdlib_module_names
    }
    return names - {"_distutils_hack", "pkg_resources", "setuptools", "distutils-precedence"}


def program(arguments: list[str]) -> str:
    """A program that runs a command of Penstock where only the base is installed."""
    return f"""
import sys
ABSENT = {sorted(absent_modules())!r}
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Absent())
from penstock.cli import run
sys.exit(run({arguments!r}))
"""
