"""The record layout and JSON renderer for the versions currently in force."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import msgspec

from penstock.decision import Renderer, SplitRenderer, Thresholds
from penstock.engine import records
from penstock.engine.pipeline import Pipeline
from penstock.engine.trials.shadow import ShadowEvaluator, Trial, candidates
from penstock.messages import Versions
from penstock.models import Ensemble


class RecordFormat:
    """The record layout and renderer. Rebuilt whenever detector, models, rules or trials change.

    versions: of everything that decides; plain_versions: the same as a record's meta keeps it. layout_id: of records. tried:
    what a record's meta says of challengers. renderer: writes the JSON of records.
    """

    def __init__(self, path: Pipeline, versions: Versions) -> None:
        detector = path.detector
        self._pipeline, self.versions = path, versions
        self.plain_versions = msgspec.to_builtins(versions)
        self._challengers = path.challengers
        theirs = [] if not path.challengers else [versions.model, *(each.version for each in path.challengers)]
        self.layout_id = records.layout_id(detector, path.members, theirs)
        self.fields = records.layout_fields(
            detector.plan.layout,
            path.members,
            unknown=detector.schema.keep_unknown,
            trying=path.trying,
            champion=versions.model,
            lowers=path.judge.lowers,
            control=path.control is not None,
        )
        self.tried: dict[str, Any] = {}
        self.renderer: Renderer | SplitRenderer = self._renderer(versions, path.ensemble, path.judge.thresholds)
        if path.challengers and path.trying is not None:
            self._add_challengers(path.trying)

    def _add_challengers(self, trying: ShadowEvaluator) -> None:
        together = ", ".join(each.version for each in self._challengers)
        self.tried["versions"] = {**msgspec.to_builtins(self.versions), "challenger": together}
        decider = trying.decider
        if decider is not None and decider.share is not None:
            share, version = decider.share, decider.challenger.version
            self.tried["trial"] = {**asdict(share), "version": version}
            ours = self.renderer
            assert isinstance(ours, Renderer)
            theirs = msgspec.structs.replace(self.versions, model=version)
            self.renderer = SplitRenderer(ours, self._renderer(theirs, decider.ensemble, decider.thresholds))

    def _renderer(self, versions: Versions, ensemble: Ensemble | None, thresholds: Thresholds) -> Renderer:
        detector = self._pipeline.detector
        return Renderer(
            detector.name,
            detector.plan.layout,
            versions,
            list(detector.plan.rules),
            detector.plan.features,
            members=self._pipeline.members,
            model_features=ensemble.features if ensemble else (),
            usual=ensemble.usual_values() if ensemble else {},
            words=detector.words,
            thresholds=thresholds,
            base=ensemble.base if ensemble else None,
        )

    @property
    def trials(self) -> Sequence[Trial]:
        """The running trials. A challenger tried against another champion is another trial."""
        models = [Trial(each.trial, str(self.versions.model), each.version) for each in self._challengers]
        rules = candidates(list(self._pipeline.detector.plan.rules))
        return [*models, *(Trial(rule.name, rule.expression.sql) for rule in rules)]
