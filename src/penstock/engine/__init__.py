"""The embedded engine: the stages composed over one state, one log and one clock. Read `path`, then `engine`."""

from typing import TYPE_CHECKING

from penstock.lazy import lazy_names

if TYPE_CHECKING:
    from penstock.engine.challenger import Challenger
    from penstock.engine.engine import Engine
    from penstock.engine.filling import Filling, Reach
    from penstock.engine.path import Judged, Path
    from penstock.engine.personal import OnPersonal, Personal
    from penstock.engine.verification import Verification, verify
    from penstock.engine.warm import warm_up

__all__ = [
    "Challenger",
    "Engine",
    "Filling",
    "Judged",
    "OnPersonal",
    "Path",
    "Personal",
    "Reach",
    "Verification",
    "verify",
    "warm_up",
]

_HOMES = {
    "Challenger": "challenger",
    "Engine": "engine",
    "Filling": "filling",
    "Judged": "path",
    "OnPersonal": "personal",
    "Path": "path",
    "Personal": "personal",
    "Reach": "filling",
    "Verification": "verification",
    "verify": "verification",
    "warm_up": "warm",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, _HOMES)
