"""Attack patterns of the simulator, one module each, discovered by listing the package.

An attack module is named for its attack and has `SHARE`, its usual share of all frauds, and `unfold(scene)`, which
returns the payments it consists of. To add an attack, add a file. One whose share is 0 takes place only where a
profile names it.
"""

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from penstock.offline.simulate.payments import Payments
from penstock.offline.simulate.scene import Scene


@dataclass(frozen=True, slots=True)
class Attack:
    """A named attack: its usual share of all frauds, and the function that generates it."""

    name: str
    summary: str
    share: float
    unfold: Callable[[Scene], Payments]


@cache
def known() -> Mapping[str, Attack]:
    """Every attack by name, in alphabetical order.

    >>> list(known())[:2]
    ['account_takeover', 'card_testing']
    """
    return {name: _load(name) for name in sorted(module.name for module in pkgutil.iter_modules(__path__))}


def _load(name: str) -> Attack:
    module = importlib.import_module(f"{__name__}.{name}")
    summary = (module.__doc__ or name).strip().splitlines()[0]
    return Attack(name, summary, module.SHARE, module.unfold)
