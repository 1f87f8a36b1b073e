"""Choice of the review and block thresholds: by cost, by review capacity, or by false positive rate.

Thresholds are chosen on validation rows, stored in the bundle, and can be chosen again without training (`rewrite`).
Thresholds in a detector's policy take precedence.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from penstock.clock import Clock, iso, system_clock
from penstock.errors import ConfigurationError
from penstock.models import About, Ensemble, load_bundle, metrics, save
from penstock.models.bundle import read_evaluation
from penstock.offline.stages.card import read_card, with_thresholds
from penstock.outcomes import Rate, known_rate

Vector = NDArray[np.float64]

_POINTS = 60
"""Of a curve: enough for the eye."""

_LEAST = 1e-12
"""A threshold lies above 0, as a policy demands; no calibrated score is lower."""

_NEVER = 1.0
"""A threshold that is written where nothing is to be stopped: no calibrated score reaches it."""


@dataclass(frozen=True, slots=True)
class ByRate:
    """Choice by rate: review at most a share `review_fpr` of the good ones, block where `block_precision` are fraud."""

    review_fpr: float = 0.01
    block_precision: float = 0.9

    def __post_init__(self) -> None:
        _check_share("review_fpr", self.review_fpr)
        _check_share("block_precision", self.block_precision)


@dataclass(frozen=True, slots=True)
class ByCapacity:
    """Review as many a day as people can, the most suspicious first; block where `block_precision` are fraud."""

    reviews_per_day: float
    block_precision: float = 0.9

    def __post_init__(self) -> None:
        if not 0 < self.reviews_per_day < float("inf"):
            raise ConfigurationError(f"a capacity of {self.reviews_per_day} reviews a day: give a number above 0")
        _check_share("block_precision", self.block_precision)


@dataclass(frozen=True, slots=True)
class ByCost:
    """Choice by cost: minimise the loss, in the currency of the amounts.

    A fraud that is approved costs `loss` times its amount. A review costs `review`, whatever it finds; it finds the share
    `found` of the frauds it is shown. A good customer who is blocked costs `annoyance`.
    """

    review: float = 5.0
    annoyance: float = 25.0
    loss: float = 1.0
    found: float = 1.0

    def __post_init__(self) -> None:
        for name in ("review", "annoyance", "loss"):
            value = getattr(self, name)
            if not 0 <= value < float("inf"):
                raise ConfigurationError(f"{name} = {value}: a cost is a number from 0 up")
        _check_share("found", self.found)


Choice = ByRate | ByCapacity | ByCost


def _check_share(name: str, value: float) -> None:
    if not 0 < value <= 1:
        raise ConfigurationError(f"{name} = {value}: it is a share, above 0 and at most 1")


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """Rows on which thresholds are chosen: calibrated scores, outcomes, amounts (NaN where unknown), each (n,).

    days: how long it took until so many came, with those of unknown outcome in proportion.
    """

    score: Vector
    y: Vector
    amount: Vector
    days: float

    @property
    def worth(self) -> Vector:
        """Amounts, with the mean of the known ones for the rest; 1 where none is known, so that frauds are counted."""
        known = self.amount[~np.isnan(self.amount)]
        return np.where(np.isnan(self.amount), known.mean() if len(known) else 1.0, self.amount)


def choose(choice: Choice, scored: ScoredRows) -> dict[str, float]:
    """The thresholds `review_at` and `block_at`, in (0, 1].

    >>> amounts = np.array([10.0, 10.0, 40.0, 40.0])
    >>> scored = ScoredRows(np.array([0.1, 0.2, 0.3, 0.9]), np.array([0.0, 0.0, 1.0, 1.0]), amounts, 1.0)
    >>> choose(ByCost(review=5.0, annoyance=100.0), scored)["review_at"]
    0.25
    """
    match choice:
        case ByRate(review_fpr, block_precision):
            return metrics.choose_thresholds(scored.score, scored.y, review_fpr=review_fpr, block_precision=block_precision)
        case ByCapacity(reviews_per_day, block_precision):
            return _by_capacity(scored, reviews_per_day, block_precision)
        case ByCost():
            return _by_cost(scored, choice)


def _by_capacity(scored: ScoredRows, reviews_per_day: float, block_precision: float) -> dict[str, float]:
    block_at = metrics.choose_thresholds(scored.score, scored.y, review_fpr=0.0, block_precision=block_precision)["block_at"]
    below = np.sort(scored.score[scored.score < block_at])[::-1]
    many = int(reviews_per_day * scored.days)
    if many >= len(below):
        return {"review_at": min(float(below[-1]), block_at) if len(below) else block_at, "block_at": block_at}
    return {"review_at": min(float(np.nextafter(below[many], 1.0)), block_at), "block_at": block_at}


def _by_cost(scored: ScoredRows, costs: ByCost) -> dict[str, float]:
    """The cheapest pair of thresholds among all: a sum over what lies below the first, between, and above the second.

    cost(r, b) = lost(< r) + reviewed(< b) - reviewed(< r) + annoyed(>= b), where `reviewed` holds the costs of reviews and
    what they do not find. So the best r for every b is a running minimum, and one pass finds both.
    """
    order = np.argsort(scored.score, kind="stable")
    score, y, worth = scored.score[order], scored.y[order], scored.worth[order]
    cuts = np.concatenate([[0], np.flatnonzero(np.diff(score)) + 1, [len(score)]])  # never between equal scores
    lost = _before(costs.loss * worth * y)[cuts]
    reviewed = _before(costs.review + costs.loss * (1 - costs.found) * worth * y)[cuts]
    annoyed = costs.annoyance * ((1 - y).sum() - _before(1 - y)[cuts])
    saved = lost - reviewed
    best = np.minimum.accumulate(saved)
    where = np.maximum.accumulate(np.where(saved == best, np.arange(len(cuts)), 0))
    block = int(np.argmin(best + reviewed + annoyed))
    return {"review_at": _between(score, cuts[where[block]]), "block_at": _between(score, cuts[block])}


def _before(values: Vector) -> Vector:
    return np.concatenate([[0.0], np.cumsum(values)])


def _between(score: Vector, cut: int) -> float:
    """A threshold that has `cut` of the sorted scores below it: half way to the neighbour."""
    if cut == len(score):
        return _NEVER
    low = score[cut - 1] if cut else 0.0
    middle = float((low + score[cut]) / 2)
    return max(middle if middle > low else float(score[cut]), _LEAST)


# ---------------------------------------------------------------- what a choice comes to


def outcome(scored: ScoredRows, thresholds: Mapping[str, float], costs: ByCost | None = None) -> dict[str, float | None]:
    """The effect of these thresholds on these rows; money in the currency of the amounts.

    Rates are of known outcomes, and None below 30 of these; see `rates`.
    """
    costs = costs or ByCost()
    review = (scored.score >= thresholds["review_at"]) & (scored.score < thresholds["block_at"])
    block = scored.score >= thresholds["block_at"]
    stopped, worth, y = review | block, scored.worth, scored.y
    known, of_frauds = rates(scored, thresholds), (worth * y).sum()
    lost = costs.loss * (worth * y * ~stopped).sum() + costs.loss * (1 - costs.found) * (worth * y * review).sum()
    cost = lost + costs.review * review.sum() + costs.annoyance * ((1 - y) * block).sum()
    nothing_done = costs.loss * of_frauds
    found = {
        "recall": known["recall"].value,
        "value_detection_rate": (worth * y * stopped).sum() / of_frauds if of_frauds else None,
        "false_positive_rate": known["false_positive_rate"].value,
        "precision": known["precision"].value,
        "reviews_per_day": review.sum() / scored.days if scored.days else None,
        "blocked_per_day": block.sum() / scored.days if scored.days else None,
        "cost": cost,
        "saved": nothing_done - cost,
    }
    return {name: None if value is None else float(value) for name, value in found.items()}


def rates(scored: ScoredRows, thresholds: Mapping[str, float]) -> dict[str, Rate]:
    """Recall, precision and false positive rate of reviewed and blocked rows, with counts and Wilson's interval."""
    stopped = scored.score >= min(thresholds["review_at"], thresholds["block_at"])
    frauds, caught, all_stopped = int(scored.y.sum()), int(scored.y[stopped].sum()), int(stopped.sum())
    return {
        "recall": known_rate(caught, frauds),
        "precision": known_rate(caught, all_stopped),
        "false_positive_rate": known_rate(all_stopped - caught, len(scored.y) - frauds),
    }


def curve(scored: ScoredRows, thresholds: Mapping[str, float], costs: ByCost | None = None) -> list[dict[str, float | None]]:
    """`outcome` for other review thresholds, lowest first, including the chosen one; the block threshold stays."""
    if not len(scored.score):
        return []
    block_at = thresholds["block_at"]
    shares = 1 - np.geomspace(1e-4, 1, _POINTS)  # of all rows: most of a curve lies among the few most suspicious
    places = {*np.quantile(scored.score, shares).tolist(), thresholds["review_at"]}
    return [
        {"review_at": place, **outcome(scored, {"review_at": place, "block_at": max(place, block_at)}, costs)}
        for place in sorted(places)
    ]


def as_json(choice: Choice) -> dict[str, Any]:
    """The choice as plain values."""
    return {"by": {ByRate: "fpr", ByCapacity: "capacity", ByCost: "cost"}[type(choice)], **asdict(choice)}


# ---------------------------------------------------------------- without training again


def rewrite(
    models_dir: Path, detector: str, version: str, thresholds: Mapping[str, float], *, clock: Clock = system_clock
) -> str:
    """Write a bundle again with other thresholds, and return the new version. Who decides does not change.

    Raises:
        BundleError: there is no such bundle.
        ConfigurationError: the thresholds are no probabilities, or out of order.
    """
    review, block = thresholds["review_at"], thresholds["block_at"]
    if not 0 < review <= block <= 1:
        raise ConfigurationError(
            f"review_at={review} and block_at={block}: give probabilities above 0 and at most 1, review_at not above block_at"
        )
    old = load_bundle(Path(models_dir) / detector / version)
    changed = old.with_thresholds({**old.thresholds, "review_at": review, "block_at": block})
    return _saved(changed, old, models_dir, clock)


def _saved(changed: Ensemble, old: Ensemble, models_dir: Path, clock: Clock) -> str:
    manifest = old.manifest
    folder = Path(models_dir) / manifest["detector"] / str(old.version)
    kept, card = read_evaluation(folder), read_card(folder)
    about = About(
        detector=manifest["detector"],
        created_at=iso(clock()),
        fingerprint=manifest["fingerprint"],
        schema=manifest["schema"],
        training={**manifest["training"], "thresholds_of": old.version},
        metrics=manifest["metrics"],
        evaluation=None if kept is None else json.loads(kept),
        card=None if card is None else msgspec.to_builtins(with_thresholds(card, changed.thresholds)),
        lookups=manifest.get("lookups", {}),
    )
    version = save(changed, Path(models_dir), about).version
    assert version is not None
    return version
