"""The embedded engine: the stages composed over one state, one log and one clock. Read `path`, then `engine`."""

from penstock.engine.challenger import Challenger
from penstock.engine.engine import Engine
from penstock.engine.filling import Filling, Reach
from penstock.engine.path import Judged, Path
from penstock.engine.personal import OnPersonal, Personal
from penstock.engine.verify import Verification, verify
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
