"""Training: replay the recorded events, split them by time, fit the declared models, and measure them on later days.

The features are those that the engine computes. A label counts for training and validation only if it was known when the
next part begins; events without such a label are left out, and so are stopped events that nobody labelled. The stages, in
order: `rows` (replay), `periods` (split), `folds` (fit and validation rows), `tune` (with early stopping), `learn` (fit,
calibrate, weigh), `thresholds`, `measure`, `refit`, and `keep` (the bundle).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from penstock.clock import Clock, system_clock
from penstock.detector import Detector
from penstock.extras import require_training
from penstock.models import Ensemble, Model, metrics
from penstock.models.reference import Reference
from penstock.offline import measure, thresholds
from penstock.offline.datasets import Recorded, accepted, read
from penstock.offline.drift.reference import Unlearned, reference_of
from penstock.offline.evaluation import as_plain, evaluation_of
from penstock.offline.folds import Fold, Folds, held_out, in_time_order, learn
from penstock.offline.leaks import Leak, check_accepted, leaks_of
from penstock.offline.options import Options, chosen_models, splits_of
from penstock.offline.periods import CountSplit, Split
from penstock.offline.registry import FolderRegistry, register
from penstock.offline.rows import Rows, replayed
from penstock.offline.stages.early_stopping import note_on, stopping_of
from penstock.offline.stages.refit import Predicted, refit
from penstock.offline.stages.segments import figures_by_segment, segments_of
from penstock.offline.stages.useless import Worths, droppable, worths
from penstock.offline.thresholds import ByCost, ScoredRows
from penstock.offline.trained import Trained, TrainingReport
from penstock.offline.tune import Tuned, tune
from penstock.outcomes import ends_of

__all__ = ["Options", "Trained", "TrainingReport", "keep", "run", "train"]

Progress = Callable[[str, float], None]
"""Called with the current stage and the completed share, from 0 to 1."""


def _silent(_what: str, _share: float) -> None:
    """Ignore progress."""


def train(
    detector: Detector,
    data: Any,
    *,
    train_from: datetime | None = None,
    valid_from: datetime | None = None,
    test_from: datetime | None = None,
    test_to: datetime | None = None,
    models: Sequence[str] | None = None,
    save_to: Path | None = None,
    make_champion: bool = False,
    seed: int = 0,
    progress: Progress = _silent,
    clock: Clock = system_clock,
) -> TrainingReport:
    """Train a detector's models on recorded events and measure them; `run` takes further options.

    Args:
        detector: declares features, models and the label.
        data: a file or frame; see `penstock.offline.datasets`.
        train_from: first event time of the training; training ends the label delay before `valid_from`.
        valid_from: first event time of the validation, which ends the label delay before `test_from`.
        test_from: first event time of the test.
        test_to: last event time of the test. What is omitted is derived from the data.
        models: names of the declared models, or of kinds, to train; all declared ones unless given.
        save_to: folder of bundles to write the result into. The first bundle becomes the champion.
        make_champion: replace an existing champion.
        seed: of all random numbers.
        progress: called with the progress.
        clock: for the time at which the bundle was made.

    Raises:
        ConfigurationError: a model that is not declared.
        DataError: no label, too little time for the split, a part without both classes, a file that does not fit.
        MissingExtra: what trains is not installed.
    """
    options = Options(train_from, valid_from, test_from, test_to, models=tuple(models or ()), seed=seed)
    trained = run(detector, data, options, progress=progress)
    if save_to is not None:
        trained = keep(detector, trained, save_to, make_champion=make_champion, clock=clock)
    return trained.report


def run(detector: Detector, data: Any, options: Options | None = None, *, progress: Progress = _silent) -> Trained:
    """Train and measure without writing anything. For errors see `train`."""
    require_training()
    options = options or Options()
    models = chosen_models(detector, options)
    check_accepted(detector, options.accept_inputs)
    progress("reading", 0.0)
    recorded = accepted(read(data, detector), options.max_refused)
    rows = replayed(detector, recorded, lambda share: progress("replaying", 0.05 + 0.35 * share))
    splits = splits_of(detector, rows, options)
    job = _Job(detector, recorded, options, detector.plan.inputs)
    done: list[Trained] = []
    for at, split in enumerate(splits):
        trained, models = job.run(rows, split, models, _stretch(progress, 0.4 + 0.5 * at / len(splits), 0.5 / len(splits)))
        # later folds keep what the first one's validation chose
        later = replace(options, trials=0, minutes=None, useless="ignore")
        job = replace(job, options=later, inputs=trained.report.features)
        done.append(trained)
    if options.refit:
        progress("fitting again", 0.9)
        done[-1] = job.refitted(rows, splits[-1], models, done[-1])
    progress("done", 1.0)
    return done[-1] if len(done) == 1 else _last_of(done)


def _stretch(progress: Progress, start: float, width: float) -> Progress:
    return lambda what, share: progress(what, start + width * share)


def _last_of(folds: Sequence[Trained]) -> Trained:
    """The last fold, whose report covers all."""
    by_fold = [
        {"periods": each.periods.as_json(), "rows": each.rows, "fraud": each.fraud, "test": each.test}
        for each in (fold.report for fold in folds)
    ]
    return replace(folds[-1], report=replace(folds[-1].report, folds=by_fold, tuning=folds[0].report.tuning))


# ---------------------------------------------------------------- one split


@dataclass(frozen=True, slots=True)
class _Job:
    """The part of a training that all splits share."""

    detector: Detector
    recorded: Recorded
    options: Options
    inputs: tuple[str, ...]

    def run(self, rows: Rows, split: Split, models: Sequence[Model], progress: Progress) -> tuple[Trained, list[Model]]:
        """Run all stages from the split to the figures; also returns the tuned models."""
        parts, unknown = _parts(rows, split)
        parts = self._only(parts, self.inputs)
        study = self._study(parts, rows, split)
        tuning, found = self._tune(models, study, split, _stretch(progress, 0.0, 0.5))
        models = [each.model for each in tuning.values()]
        worth = self._worths(models, study)
        if worth is not None and worth.dropped:
            study = study.only([name for name in study.features if name not in worth.dropped])
        parts = {name: part.only(self.inputs, study.features) for name, part in parts.items()}
        learned = learn(models, study, seed=self.options.seed, progress=lambda share: progress("fitting", 0.5 + 0.3 * share))
        progress("measuring", 0.8)
        validated = measure.scored(learned.judged, study.judged, unknown["valid"])
        ensemble = learned.ensemble.with_thresholds(thresholds.choose(self.options.choice, validated))
        test = parts["test"].encoded(ensemble.encodings, study.features)
        found += [] if worth is None else worth.notes
        trained = Trained(
            report=self._report(split, rows, parts, unknown, ensemble, validated, study, found),
            ensemble=ensemble,
            served=ensemble,
            study=study,
            judged=learned.judged,
            raw=learned.raw,
            test=test,
            scores=ensemble.score(test.x),
            recorded=self.recorded.name,
            reference=None if self.options.refit else self._reference(rows, split, ensemble),
        )
        return self._measured(
            trained, models, parts, {name: each.as_json() for name, each in tuning.items() if each.trials}, worth
        ), models

    def _only(self, parts: dict[str, Rows], kept: tuple[str, ...]) -> dict[str, Rows]:
        return {name: part.only(self.detector.plan.inputs, kept) for name, part in parts.items()}

    def _worths(self, models: Sequence[Model], study: Folds) -> Worths | None:
        """The contribution of each input, and the dropped inputs; None if not requested, or unknown."""
        wanted, seed = self.options.useless, self.options.seed
        found = None if wanted == "ignore" else worths(models, study, seed=seed)
        if found is None or wanted == "name":
            return found
        return replace(found, dropped=droppable(models, study, found, seed=seed))

    def _study(self, parts: dict[str, Rows], rows: Rows, split: Split) -> Folds:
        features = self.inputs
        recipe = self.options.recipe(self.detector)
        if recipe is not None:
            return in_time_order(parts["train"], recipe.folds, features)
        return held_out(parts["train"], parts["valid"], features, period=rows.take(split.masks(rows.time_us)["train"]))

    def _reference(self, rows: Rows, split: Split, ensemble: Ensemble, stand_in: Ensemble | None = None) -> Reference:
        """Everything recorded up to the test's end, scored from the validation on. stand_in: has not learned from the test."""
        masks = split.masks(rows.time_us)
        until = rows.time_us <= rows.time_us[masks["valid"] | masks["test"]].max()
        within = rows if until.all() else rows.take(until)
        judged, tested = (
            within.time_us >= rows.time_us[mask].min() for mask in (masks["valid"] | masks["test"], masks["test"])
        )
        unlearned = None if stand_in is None else Unlearned(stand_in, tested)
        return reference_of(self.detector, ensemble, within, judged, Path(self.recorded.name).name, stand_in=unlearned)

    def refitted(self, rows: Rows, split: Split, models: Sequence[Model], trained: Trained) -> Trained:
        """The same with models to serve that are fitted again on all labelled history."""
        report, judged, test = trained.report, trained.study.judged, trained.test
        days = measure.scored(trained.judged, judged, report.unknown["valid"]).days
        known = split.history(test.time_us, test.known_us)
        tested = measure.scored(trained.scores.ensemble, test, report.unknown["test"])
        again = refit(
            models,
            trained.ensemble,
            Predicted(judged, trained.raw, days),
            self._history(rows, split, test.take(known), report.features, before_test=True),
            self._history(rows, split, test.take(np.zeros(len(test), np.bool_)), report.features),
            days=tested.days * float(known.mean()) if len(known) else 0.0,
            choice=self.options.choice,
            seed=self.options.seed,
        )
        in_force = measure.in_force(self.detector, again.ensemble)
        expected = msgspec.to_builtins(thresholds.rates(again.scored, in_force))
        said = {**again.as_json(), "thresholds_in_force": in_force, "expected": expected}
        return replace(
            trained,
            served=again.ensemble,
            report=replace(report, refit=said, notes=[*report.notes, again.note]),
            reference=self._reference(rows, split, again.ensemble, again.stand_in),
        )

    def _history(self, rows: Rows, split: Split, judge: Rows, features: tuple[str, ...], *, before_test: bool = False) -> Fold:
        """All labelled rows at the end of the test, or at its beginning."""
        period = rows.take(split.history(rows.time_us, rows.known_us, before_test=before_test))
        fit = period.take(period.known).only(self.detector.plan.inputs, features)
        return Fold.of(fit, judge, features, period=period)

    def _tune(
        self, models: Sequence[Model], study: Folds, split: Split, progress: Progress
    ) -> tuple[dict[str, Tuned], list[str]]:
        """The models with their hyperparameters and numbers of trees, by name; and notes on them."""
        budget, stopping = self.options.budget(self.detector, study.judged.frauds), stopping_of(study, split.delay_us)
        found: dict[str, Tuned] = {}
        notes: list[str] = []
        ends_s = time.monotonic() + budget.seconds
        for at, model in enumerate(models):
            tuned = found[model.name] = tune(
                model,
                study,
                budget.trials,
                seed=self.options.seed,
                stopping=stopping,
                seconds=max(0.0, ends_s - time.monotonic()) / (len(models) - at),
                progress=_share_of(_stretch(progress, at / len(models), 1 / len(models)), f"tuning {model.name}"),
            )
            notes += [*note_on(model, tuned.model, stopping), *_notes_on_search(model, tuned)]
        return found, notes

    def _report(
        self,
        split: Split,
        rows: Rows,
        parts: dict[str, Rows],
        unknown: dict[str, int],
        ensemble: Ensemble,
        validated: ScoredRows,
        study: Folds,
        found: list[str],
    ) -> TrainingReport:
        """The report before the test is evaluated."""
        chosen, in_force = ensemble.thresholds, measure.in_force(self.detector, ensemble)
        costs = self.options.choice if isinstance(self.options.choice, ByCost) else None
        return TrainingReport(
            detector=self.detector.name,
            model_version=None,
            periods=split,
            rows={name: len(part) for name, part in parts.items()},
            fraud={name: part.frauds for name, part in parts.items()},
            unknown=unknown,
            refused=len(self.recorded.refused),
            features=study.features,
            test={},
            members={},
            thresholds=chosen,
            weights=dict(zip(ensemble.names, ensemble.weights.tolist(), strict=True)),
            in_force=in_force,
            choice={**thresholds.as_json(self.options.choice), "on": thresholds.outcome(validated, chosen, costs)},
            curve=thresholds.curve(validated, chosen, costs),
            notes=[
                *filter(None, (self.recorded.refusals, self.recorded.repeats(self.detector.id, rows.row))),
                *ensemble.notes,
                *found,
                *_notes_on_split(split),
                *_notes_on_thresholds(chosen, in_force),
            ],
            leaks=self._leaks(rows, parts, study),
        )

    def _leaks(self, rows: Rows, parts: dict[str, Rows], study: Folds) -> list[Leak]:
        options = self.options
        return leaks_of(
            self.detector, self.recorded, rows, parts, study.judged, options.accept_inputs, options.seed, study.features
        )

    def _segments(self, score: NDArray[np.float64], test: Rows, review_at: float) -> dict[str, Any]:
        names, source = self.options.segments, self.options.segments_from
        if not names or not len(test):
            return {}
        found = segments_of(self.detector, self.recorded, test, names, source)
        return figures_by_segment(found, score, test, review_at, seed=self.options.seed)

    def _measured(
        self,
        trained: Trained,
        models: Sequence[Model],
        parts: dict[str, Rows],
        tuning: dict[str, Any],
        worth: Worths | None,
    ) -> Trained:
        """The report with all figures of the test."""
        report, ensemble, scores, test = trained.report, trained.ensemble, trained.scores, trained.test
        review_at = report.in_force["review_at"]
        costs = self.options.choice if isinstance(self.options.choice, ByCost) else None
        seed, on_test = self.options.seed, measure.figures_of(scores.ensemble, test, review_at)
        recipe, apart = self.options.recipe(self.detector), None
        if recipe is not None and recipe.apart is not None:
            parted = measure.Parted(recipe.apart, models, parts["train"], test, recipe.folds, report.features, seed)
            apart = parted.figures(on_test, measure.figures_of(trained.judged, trained.study.judged, review_at))
        treatments = measure.compare_treatments(models, trained.study, test, seed=seed) if self.options.treatments else {}
        tested = measure.scored(scores.ensemble, test, report.unknown["test"])
        rates = metrics.known_rates(scores.ensemble, test.fraud, review_at)
        full = replace(
            report,
            test=on_test,
            members=measure.by_member(ensemble, scores, test, review_at),
            intervals=metrics.intervals(scores.ensemble, test.fraud, test.card, seed=seed) | ends_of(rates),
            rates=rates,
            decided=thresholds.outcome(tested, report.in_force, costs),
            decided_rates=thresholds.rates(tested, report.in_force),
            tuning=tuning,
            useless=None if worth is None else worth.as_json(),
            segments=self._segments(scores.ensemble, test, review_at),
            apart=apart,
            treatments=treatments,
            notes=[*report.notes, *measure.notes_on(test)],
        )
        kept = evaluation_of(tested.score, tested.y, tested.amount, tested.days)
        return replace(trained, report=full, evaluation=as_plain(kept))


def _share_of(progress: Progress, what: str) -> Callable[[float], None]:
    return lambda share: progress(what, share)


def _parts(rows: Rows, split: Split) -> tuple[dict[str, Rows], dict[str, int]]:
    """Training, validation and test rows with labels known in time, and the number of the others."""
    parts, unknown = {}, {}
    for name, mask in split.masks(rows.time_us).items():
        known = rows.known & (rows.known_us <= split.known_by[name])
        parts[name] = rows.take(mask & known)
        unknown[name] = int((mask & ~known).sum())
    return parts, unknown


def _notes_on_search(model: Model, tuned: Tuned) -> list[str]:
    if not tuned.timed_out:
        return []
    return [f"{model.name}: time ended the search after {len(tuned.trials)} trials; --trials {len(tuned.trials)} repeats it"]


def _notes_on_split(split: Split) -> list[str]:
    if not isinstance(split, CountSplit):
        return []
    said = (
        "split by number of events, as the detector's recipe says: no time is left out for labels to become known, so the"
        " hold-out follows closer than it could in service; give --valid-from and --test-from for a split with gaps"
    )
    return [said]


def _notes_on_thresholds(chosen: dict[str, float], in_force: dict[str, float]) -> list[str]:
    declared = [f"{name}={in_force[name]:g}" for name in ("review_at", "block_at") if in_force[name] != chosen[name]]
    if not declared:
        return []
    suggested = ", ".join(f"{name}={chosen[name]:.4g}" for name in ("review_at", "block_at"))
    return [f"the detector's policy holds {' and '.join(declared)}; the validation suggests {suggested}"]


# ---------------------------------------------------------------- what is kept


def keep(
    detector: Detector, trained: Trained, folder: Path, *, make_champion: bool = False, clock: Clock = system_clock
) -> Trained:
    """Write the ensemble as a bundle into a folder of bundles; the first one of a detector becomes its champion."""
    return register(FolderRegistry(folder, clock=clock), detector, trained, make_champion=make_champion, clock=clock)
