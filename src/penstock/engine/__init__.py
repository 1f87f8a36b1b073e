"""The embedded engine: the stages composed over one state, one log and one clock. Read `path`, then `engine`."""

from typing import TYPE_CHECKING

from penstock.lazy import lazy_names

if TYPE_CHECKING:
    from penstock.engine.challenger import Challenger
    from penstock.engine.engine import Engine
    from penstock.engine.backfill import FeatureBackfill, Coverage
    from penstock.engine.pipeline import BatchResult, Pipeline
    from penstock.engine.personal_data import OnPersonal, Personal
    from penstock.engine.verification import Verification, verify
    from penstock.engine.warm_up import warm_up

__all__ = [
    "Challenger",
    "Engine",
    "FeatureBackfill",
    "BatchResult",
    "OnPersonal",
    "Pipeline",
    "Personal",
    "Coverage",
    "Verification",
    "verify",
    "warm_up",
]

_HOMES = {
    "Challenger": "challenger",
    "Engine": "engine",
    "FeatureBackfill": "filling",
    "BatchResult": "path",
    "OnPersonal": "personal",
    "Pipeline": "path",
    "Personal": "personal",
    "Coverage": "filling",
    "Verification": "verification",
    "verify": "verification",
    "warm_up": "warm",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, _HOMES)
