"""The pages: each module here is one, with `TITLE`, `ICON`, its `PLACE` in the menu, and `show()`."""

import importlib
import pkgutil
from collections.abc import Callable
from typing import NamedTuple


class Page(NamedTuple):
    """One page. name: of its module, and in its address."""

    place: int
    name: str
    title: str
    icon: str
    show: Callable[[], None]


def found() -> list[Page]:
    """Every page, in the order of the menu.

    >>> [page.name for page in found()][:2]
    ['live', 'stream']
    """
    return sorted(map(_page, (module.name for module in pkgutil.iter_modules(__path__))))


def _page(name: str) -> Page:
    module = importlib.import_module(f"{__name__}.{name}")
    return Page(module.PLACE, name, module.TITLE, module.ICON, module.show)
