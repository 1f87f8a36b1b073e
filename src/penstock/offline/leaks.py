"""Detection of data leaks: information in the training data that is not available at decision time.

Four kinds are checked, each reported with its evidence: an input that alone separates the classes almost perfectly (a field
that is known only afterwards), labels that count as known the moment of their event, rows that were copied before the
split, and rows of the training that stand in the test again. Impossible rows (a label known before its event) are refused
when data is read: see `penstock.offline.datasets`.
"""

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.detector import Detector
from penstock.errors import ConfigurationError, did_you_mean
from penstock.features import Aggregate
from penstock.features.vocabulary import LABELLED
from penstock.messages import Type
from penstock.models import metrics
from penstock.offline.datasets import Recorded
from penstock.offline.rows import Rows

SEPARATES_FROM = 0.99
"""From this ROC AUC on an input that stands alone is asked about."""
FEWEST_FRAUDS = 10
"""With fewer frauds among the rows that are judged, one input may separate them by chance."""
MOST_GOOD = 50_000
"""Good events that an input is measured on; drawn at random where there are more."""
AT_ONCE_US = 3_600_000_000
"""A label that becomes known sooner than this after its event counts as known at once."""
MANY = 0.05
"""The share of frauds that may be copies before that is said."""


@dataclass(frozen=True, slots=True)
class Leak:
    """A suspected data leak.

    kind: separating_input, labels_at_once, copied_rows or copies_across_the_cut. names: of the inputs concerned. evidence:
    what was seen, with figures. remedy: what to do. accepted: a person confirmed that the inputs are known in time.
    """

    kind: str
    names: tuple[str, ...]
    evidence: str
    remedy: str
    accepted: bool = False

    @property
    def asks(self) -> bool:
        """Whether a person has to confirm it before the result may decide."""
        return self.kind == "separating_input" and not self.accepted

    @property
    def text(self) -> str:
        """Evidence and remedy, for people."""
        return self.evidence if self.accepted else f"{self.evidence}; {self.remedy}"

    def as_json(self) -> dict[str, Any]:
        """As plain values."""
        return asdict(self) | {"names": list(self.names), "asks": self.asks}


def check_accepted(detector: Detector, accepted: Collection[str]) -> None:
    """Refuse a name that no input has.

    Raises:
        ConfigurationError: naming it.
    """
    for name in accepted:
        if name not in detector.plan.inputs:
            hint = did_you_mean(name, detector.plan.inputs)
            raise ConfigurationError(f"--accept-input {name}: the models of {detector.name!r} read no such input.{hint}")


def leaks_of(
    detector: Detector,
    recorded: Recorded,
    rows: Rows,
    parts: dict[str, Rows],
    judged: Rows,
    accepted: Collection[str],
    seed: int,
    inputs: Sequence[str] | None = None,
) -> list[Leak]:
    """Find data leaks.

    Args:
        detector: names the inputs.
        recorded: the events as they were read.
        rows: all replayed events.
        parts: those of training, validation and test.
        judged: encoded validation rows.
        accepted: inputs that were confirmed.
        seed: of the sample of good events.
        inputs: the columns of the judged rows; the detector's inputs unless given.
    """
    return [
        *_separating(detector, inputs or detector.plan.inputs, judged, accepted, seed),
        *_at_once(detector, rows),
        *_copies(detector, recorded, parts),
    ]


# ---------------------------------------------------------------- inputs


def _separating(detector: Detector, inputs: Sequence[str], judged: Rows, accepted: Collection[str], seed: int) -> list[Leak]:
    frauds, good = np.flatnonzero(judged.fraud == 1.0), np.flatnonzero(judged.fraud == 0.0)
    if len(frauds) < FEWEST_FRAUDS or not len(good):
        return []
    if len(good) > MOST_GOOD:
        good = np.sort(np.random.default_rng(seed).choice(good, MOST_GOOD, replace=False))
    sample = np.concatenate([frauds, good])
    x, fraud = judged.x[sample], judged.fraud[sample]
    found = []
    for at, name in enumerate(inputs):
        auc = separation(x[:, at], fraud)
        if auc >= SEPARATES_FROM:
            known = name in accepted or name == detector.schema.amount  # an event cannot be without the amount it is about
            found.append(_asked(detector, name, auc, len(frauds), accepted=known))
    return found


def separation(values: NDArray[np.float64], fraud: NDArray[np.float64]) -> float:
    """The ROC AUC of one input, in either direction; missing values rank below all others.

    >>> separation(np.array([np.nan, np.nan, 3.0]), np.array([1.0, 1.0, 0.0]))
    1.0
    """
    auc = metrics.roc_auc(np.where(np.isnan(values), -np.inf, values), fraud)
    return max(auc, 1 - auc)


def _asked(detector: Detector, name: str, auc: float, frauds: int, *, accepted: bool) -> Leak:
    kind = "field" if name in detector.schema.columns else "feature"
    confirmed = "; it is known in time" if accepted else ""
    return Leak(
        "separating_input",
        (name,),
        f"{kind} {name!r} alone separates fraud from good on the validation: ROC AUC {auc:.4f} with {frauds:,} frauds"
        + confirmed,
        f"if it is known only after the decision, keep it from the models: name the inputs, Detector(inputs=[...]), without"
        f" {name!r}; if it is known in time, confirm that: --accept-input {name}",
        accepted,
    )


# ---------------------------------------------------------------- labels


def _at_once(detector: Detector, rows: Rows) -> list[Leak]:
    names = [feature.name for feature in detector.features if isinstance(feature, Aggregate) and feature.kind in LABELLED]
    known = rows.known
    if not names or not known.any():
        return []
    at_once = known & (rows.known_us - rows.time_us < AT_ONCE_US)
    share = at_once.sum() / known.sum()
    if share <= 0.5:
        return []
    return [
        Leak(
            "labels_at_once",
            tuple(names),
            f"features over labels ({', '.join(names)}) are inputs, and {share:.0%} of the labels are taken as known within an"
            " hour of their event",
            "say when labels really become known: Label(..., delay='7d') or a column label_known_at; features over labels"
            " otherwise see what nobody knows in service",
        )
    ]


# ---------------------------------------------------------------- copies


def _copies(detector: Detector, recorded: Recorded, parts: dict[str, Rows]) -> list[Leak]:
    frame, schema = recorded.frame, detector.schema
    fields = [name for name in schema.columns if name in frame.columns and name != schema.time]
    numbers = [name for name in fields if schema.columns[name] is Type.NUMBER]
    if not numbers or len(fields) < 2:  # too little to tell a copy from a coincidence
        return []
    content = frame.select(fields).hash_rows(seed=0)
    return [*_copied(frame, content, detector), *_across(content, parts)]


def _copied(frame: pl.DataFrame, content: pl.Series, detector: Detector) -> list[Leak]:
    """Rows that are the same in all but their id, time included: resampled before the split."""
    label = detector.label.field if detector.label is not None else ""
    same = pl.DataFrame({"content": content, "time": frame[detector.time], "fraud": frame[label].cast(pl.Float64)})
    again = same.select(again=pl.struct("content", "time").is_duplicated() & ~pl.struct("content", "time").is_first_distinct())
    copy, fraud = again["again"].to_numpy(), same["fraud"].fill_null(float("nan")).to_numpy()
    of_fraud, of_good = _shares(copy, fraud)
    copies, frauds = int(copy[fraud == 1.0].sum()), int((fraud == 1.0).sum())
    if copies < FEWEST_FRAUDS or of_fraud < MANY or of_fraud < 3 * of_good:
        return []
    return [
        Leak(
            "copied_rows",
            (),
            f"{copies:,} of {frauds:,} frauds ({of_fraud:.0%}) are copies of another row in every field and in"
            f" time, and {of_good:.1%} of the good events: the rows were resampled before the split",
            "train on the rows as they were recorded, and let the training treat the imbalance: --imbalance",
        )
    ]


def _across(content: pl.Series, parts: dict[str, Rows]) -> list[Leak]:
    """Rows of the test that stand in the training too, but for their id and time."""
    train, test = parts["train"], parts["test"]
    frauds = content.gather(train.row[train.fraud == 1.0]).unique()
    goods = content.gather(train.row[train.fraud == 0.0]).unique()
    there = content.gather(test.row)
    copied = np.where(test.fraud == 1.0, there.is_in(frauds.implode()).to_numpy(), there.is_in(goods.implode()).to_numpy())
    of_fraud, of_good = _shares(copied, test.fraud)
    count = int(copied[test.fraud == 1.0].sum())
    if count < FEWEST_FRAUDS or of_fraud < MANY:
        return []
    return [
        Leak(
            "copies_across_the_cut",
            (),
            f"{count:,} of {test.frauds:,} frauds of the test ({of_fraud:.0%}) stand among the frauds of the training too, the"
            f" same in every field but id and time, and {of_good:.1%} of the good events among its good ones",
            "remove the copies: what was learned by heart is no estimate of what is new",
        )
    ]


def _shares(copied: NDArray[np.bool_], fraud: NDArray[np.float64]) -> tuple[float, float]:
    """The shares of frauds and of good events that are copies."""
    frauds, goods = copied[fraud == 1.0], copied[fraud == 0.0]
    return float(frauds.mean()) if len(frauds) else 0.0, float(goods.mean()) if len(goods) else 0.0
