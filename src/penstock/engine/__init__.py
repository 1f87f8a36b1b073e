"""The embedded engine: the stages composed over one state, one log and one clock. Read `path`, then `engine`."""

from penstock.engine.engine import Engine
from penstock.engine.path import Judged, Path

__all__ = ["Engine", "Judged", "Path"]
