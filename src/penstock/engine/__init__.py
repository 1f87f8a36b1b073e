"""The embedded engine: the stages composed over one state, one log and one clock. Read `pipeline`, `decide`, then `engine`."""

from typing import TYPE_CHECKING

from penstock.lazy import lazy_names

if TYPE_CHECKING:
    from penstock.engine.backfill import Coverage, FeatureBackfill
    from penstock.engine.engine import Engine
    from penstock.engine.personal_data import OnPersonal, Personal
    from penstock.engine.pipeline import BatchResult, Pipeline
    from penstock.engine.trials.challenger import Challenger
    from penstock.engine.verification import SampleVerification, Verification, verify, verify_sample
    from penstock.engine.warm import warm_up

__all__ = [
    "BatchResult",
    "Challenger",
    "Coverage",
    "Engine",
    "FeatureBackfill",
    "OnPersonal",
    "Personal",
    "Pipeline",
    "SampleVerification",
    "Verification",
    "verify",
    "verify_sample",
    "warm_up",
]

_HOMES = {
    "Challenger": "trials.challenger",
    "Engine": "engine",
    "FeatureBackfill": "backfill",
    "BatchResult": "pipeline",
    "OnPersonal": "personal_data",
    "Pipeline": "pipeline",
    "Personal": "personal_data",
    "Coverage": "backfill",
    "SampleVerification": "verification",
    "Verification": "verification",
    "verify": "verification",
    "verify_sample": "verification",
    "warm_up": "warm",
}

if not TYPE_CHECKING:
    __getattr__, __dir__ = lazy_names(__name__, _HOMES)
