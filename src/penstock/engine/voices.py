"""What records are called and how they are rendered, for the detector, models and trials that an engine has now."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from penstock.decision import Divided, Renderer, Thresholds
from penstock.engine import records
from penstock.engine.trying import MODEL, Trying, candidates
from penstock.messages import Versions
from penstock.models import Ensemble

if TYPE_CHECKING:
    from penstock.engine.engine import Engine


class Voices:
    """Made anew whenever detector, models, rules or trials change.

    versions: of everything that decides. layout_id: of records. tried: what a record's meta says of a challenger. renderer:
    writes the JSON of records.
    """

    def __init__(self, engine: "Engine", versions: Versions) -> None:
        path, detector = engine.path, engine.detector
        self._engine, self.versions = engine, versions
        self._challenger = path.challenger
        theirs = () if path.challenger is None else (versions.model, path.challenger.ensemble.version)
        self.layout_id = records.layout_id(detector, path.members, theirs)
        self.fields = records.layout_fields(
            detector.plan.layout,
            path.members,
            unknown=detector.schema.keep_unknown,
            trying=path.trying,
            versions=theirs,
            control=path.control is not None,
        )
        self.tried: dict[str, Any] = {}
        self.renderer: Renderer | Divided = self._renderer(versions, path.ensemble, path.judge.thresholds)
        if path.challenger is not None and path.trying is not None:
            self._add_challenger(path.trying)

    def _add_challenger(self, trying: Trying) -> None:
        assert self._challenger is not None
        ensemble, share = self._challenger.ensemble, self._challenger.share
        self.tried["versions"] = {**msgspec.to_builtins(self.versions), "challenger": ensemble.version}
        if share is not None:
            self.tried["trial"] = {"of": share.of, "begin": share.begin, "end": share.end, "seed": share.seed}
            versions = msgspec.structs.replace(self.versions, model=ensemble.version)
            ours = self.renderer
            assert isinstance(ours, Renderer)
            self.renderer = Divided(ours, self._renderer(versions, ensemble, trying.thresholds))

    def _renderer(self, versions: Versions, ensemble: Ensemble | None, thresholds: Thresholds) -> Renderer:
        detector = self._engine.detector
        return Renderer(
            detector.name,
            detector.plan.layout,
            versions,
            list(detector.plan.rules),
            detector.plan.features,
            members=self._engine.path.members,
            model_features=ensemble.features if ensemble else (),
            usual=ensemble.usual_values() if ensemble else {},
            words=detector.words,
            thresholds=thresholds,
        )

    @property
    def trials(self) -> Sequence[tuple[str, str]]:
        """What is tried, each with what tells it from other trials of the same name."""
        own = [] if self._challenger is None else [(MODEL, f"{self.versions.model} {self._challenger.ensemble.version}")]
        return [*own, *((rule.name, rule.expression.sql) for rule in candidates(list(self._engine.detector.plan.rules)))]
