"""The deciding detector: its pipeline, its record format, and the methods that change them."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from penstock.clock import Clock
from penstock.detector import Detector
from penstock.engine.backfill import FeatureBackfill
from penstock.engine.pipeline import Pipeline
from penstock.engine.rebuild import Rebuild
from penstock.engine.record_format import RecordFormat
from penstock.engine.trials.challenger import Challenger
from penstock.expressions import Members
from penstock.features.definitions import Added, to_plain
from penstock.ledger import DetectorVersion, Ledger
from penstock.messages import Versions
from penstock.models import Ensemble
from penstock.rules import Rule


class ActiveDetector:
    """The state that an engine's collaborators share. Parts are replaced between two batches, in the deciding thread.

    pipeline: the stages, over the state. detector: the declaration with the rules and features of now. rebuild: lets records of
    the log into that state. format: names and renders new records.
    """

    pipeline: Pipeline
    detector: Detector

    def __init__(self, pipeline: Pipeline, ledger: Ledger, clock: Clock) -> None:
        self.name = pipeline.detector.name
        self._ledger, self._clock = ledger, clock
        self._without_models = bool(pipeline.detector.models) and pipeline.ensemble is None
        self._install(pipeline)

    @property
    def ready(self) -> str | None:
        """None, or why nothing can be decided."""
        if self._without_models:
            return f"no model has been trained yet: penstock train {self.detector.reference} --data FILE --save"
        return None

    # ---- changes, each from the next batch on

    def use(self, ensemble: Ensemble) -> None:
        """Replace the models.

        Raises:
            BundleError: they do not fit this detector's features.
        """
        self.pipeline.use(ensemble)
        self._without_models = False
        self._register()

    def challenge(self, *challengers: Challenger) -> None:
        """Replace the challengers.

        Raises:
            BundleError: one does not fit this detector's features.
            DeclarationError: they cannot be tried together, or the keys of a share cannot be shared out.
        """
        self.pipeline.challenge(*challengers)
        self._register()

    def use_rules(self, rules: Sequence[Rule], lists: Mapping[str, Members] | None = None) -> None:
        """Replace all rules. lists: the lists that they read; unchanged unless given.

        Raises:
            DeclarationError: one of them cannot work; nothing has changed.
        """
        self.detector = self.detector.with_rules(rules, lists)
        self.pipeline.change(self.detector)
        self._register()

    def backfill(self, added: Sequence[Added]) -> FeatureBackfill:
        """Start the backfill of the detector with these run-time features, all of them.

        Raises:
            DeclarationError: they cannot work with the rules in force.
            BundleError: the models that decide read one that would be gone, or would mean something else.
            CapacityError: there is no room for two states.
        """
        return FeatureBackfill(self.pipeline, self._ledger, added)

    def activate_features(self, backfill: FeatureBackfill) -> None:
        """Switch to the filled state. Rules, lists, models and trials stay as they are now.

        Raises:
            DeclarationError, BundleError: they do not fit it; nothing has changed.
        """
        before, filled = self.pipeline, backfill.finish()
        if (filled.detector.rules, filled.detector.lists) != (self.detector.rules, self.detector.lists):
            filled.change(filled.detector.with_rules(self.detector.rules, self.detector.lists))
        filled.use(before.ensemble)
        filled.challenge(*before.challengers)
        filled.state.memory_limit = before.state.memory_limit
        self._install(filled)

    def _install(self, pipeline: Pipeline) -> None:
        self.pipeline, self.detector = pipeline, pipeline.detector
        self.rebuild = Rebuild(pipeline, self._ledger)
        self._register()

    def _register(self) -> None:
        """Rebuild the record format, and write its layout and versions to the ledger."""
        detector, ensemble, plan = self.detector, self.pipeline.ensemble, self.detector.plan
        model = ensemble.version if ensemble else None
        versions = Versions(detector.version, model, plan.rules.version, plan.rules.lists or msgspec.UNSET)
        self.format = RecordFormat(self.pipeline, versions)
        self._ledger.register_layout(self.format.layout_id, self.format.fields)
        declared: dict[str, Any] = {
            "layout": self.format.layout_id,
            "features": list(plan.features),
            "members": list(self.pipeline.members),
            "state": detector.state_fingerprint,
            "usual": ensemble.usual_values() if ensemble else {},
            "rules": msgspec.to_builtins(detector.rules),
            "added": [[each.name, to_plain(each.described)] for each in detector.added],
        }
        version = f"{detector.version}/{model}"
        self._ledger.tables.put_version(DetectorVersion(self.name, version, declared, self._clock()))
