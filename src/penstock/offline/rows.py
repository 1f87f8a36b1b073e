"""Training rows: each recorded event with the features that models see live, its label and when that became known.

The rows come from the replay. An event without a known label stays among them with an unknown outcome until a split leaves
it out. An unknown outcome is not taken for good, unless the detector's label says that nobody objects to good events.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from penstock.detector import Detector
from penstock.engine.statistics.distribution import worth_of
from penstock.errors import DataError
from penstock.features import Aggregate
from penstock.messages import Action
from penstock.models import Encoding
from penstock.models.inputs import Inputs
from penstock.offline.datasets import Recorded
from penstock.offline.replay import Replay

MOST_WEIGHT = 20.0
"""How many stopped events that nobody looked into one that somebody did may stand for."""


@dataclass(frozen=True, slots=True)
class Texts:
    """A text input: codes (n,) as in `Batch.codes`, and the texts themselves."""

    codes: NDArray[np.int64]
    texts: NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Rows:
    """Replayed events as columns of equal length, in arrival order.

    ids: transaction ids. x (n, k): the models' inputs; texts are NaN until `encoded`. fraud: 1.0, 0.0, NaN where unknown.
    time_us: when it happened, known_us: when its truth became known. card: a number for the customer or card. amount: what
    it was worth, NaN where the event has no such field. stopped: it was not approved when it was recorded. row: where each
    stands in the recorded frame: an id may come again.
    """

    ids: NDArray[np.object_]
    x: NDArray[np.float64]
    texts: Mapping[str, Texts]
    fraud: NDArray[np.float64]
    time_us: NDArray[np.int64]
    known_us: NDArray[np.int64]
    card: NDArray[np.int64]
    amount: NDArray[np.float64]
    stopped: NDArray[np.bool_]
    row: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.fraud)

    @property
    def known(self) -> NDArray[np.bool_]:
        """Whether anybody ever knew."""
        return ~np.isnan(self.fraud)

    @property
    def frauds(self) -> int:
        """How many are known to be fraud."""
        return int(np.nansum(self.fraud))

    def take(self, chosen: "NDArray[np.bool_] | NDArray[np.intp]") -> "Rows":
        """Some of the rows: where a mask is true, or at these positions."""
        return Rows(
            self.ids[chosen],
            self.x[chosen],
            {name: Texts(each.codes[chosen], each.texts[chosen]) for name, each in self.texts.items()},
            self.fraud[chosen],
            self.time_us[chosen],
            self.known_us[chosen],
            self.card[chosen],
            self.amount[chosen],
            self.stopped[chosen],
            self.row[chosen],
        )

    def only(self, features: tuple[str, ...], kept: Sequence[str]) -> "Rows":
        """The rows with some of their inputs. features: the names of all columns."""
        if tuple(kept) == features:
            return self
        texts = {name: each for name, each in self.texts.items() if name in kept}
        return replace(self, x=self.x[:, [features.index(name) for name in kept]], texts=texts)

    # ---- texts

    def encodings(self) -> dict[str, Encoding]:
        """The category encodings, fitted on these training rows alone."""
        return {name: Encoding.fit(each.codes, each.texts.tolist(), self.fraud) for name, each in self.texts.items()}

    def encoded(self, encodings: Mapping[str, Encoding], features: tuple[str, ...]) -> "Rows":
        """The rows with the numbers that texts stand for."""
        return self._filled({name: encodings[name].encode(each.codes) for name, each in self.texts.items()}, features)

    def encoded_by_others(self, features: tuple[str, ...]) -> "Rows":
        """Training rows with numbers that their own outcomes are not part of; see `Encoding.out_of_fold`."""
        return self._filled({name: Encoding.out_of_fold(each.codes, self.fraud) for name, each in self.texts.items()}, features)

    def _filled(self, numbers: Mapping[str, NDArray[np.float64]], features: tuple[str, ...]) -> "Rows":
        if not numbers:
            return self
        x = self.x.copy()
        for name, column in numbers.items():
            x[:, features.index(name)] = column
        return replace(self, x=x)


def joined(parts: Sequence[Rows]) -> Rows:
    """The rows of several parts, one after the other."""
    if len(parts) == 1:
        return parts[0]
    columns = [field.name for field in fields(Rows) if field.name != "texts"]
    texts = {
        name: Texts(
            np.concatenate([part.texts[name].codes for part in parts]),
            np.concatenate([part.texts[name].texts for part in parts]),
        )
        for name in parts[0].texts
    }
    return Rows(texts=texts, **{name: np.concatenate([getattr(part, name) for part in parts]) for name in columns})


def weights_of(known: Rows, everything: Rows) -> NDArray[np.float64] | None:
    """Weights of training rows under which stopped events with known outcome stand for those without.

    None where nothing was stopped, or everything that was stopped is known. known: the training rows. everything: the
    same period with the unknown ones.
    """
    seen, all_ = int(known.stopped.sum()), int(everything.stopped.sum())
    if not seen or seen == all_:
        return None
    return np.where(known.stopped, min(all_ / seen, MOST_WEIGHT), 1.0)


# ---------------------------------------------------------------- from recorded events


def replayed(detector: Detector, recorded: Recorded, progress: Callable[[float], None] = lambda _share: None) -> Rows:
    """Replay recorded events and return every transaction among them.

    Raises:
        DataError: the detector declares no label, or no event has one.
    """
    label = detector.label
    if label is None:
        raise DataError(
            f"detector {detector.name!r} declares no label; training needs one: label=Label('is_fraud', delay='7d')"
        )
    found = _Found.of(detector, recorded, progress)
    truth = recorded.frame if len(found.rows) == len(recorded.frame) else recorded.frame[found.rows]
    fraud, known_us, stopped = _outcomes(detector, truth)
    if np.isnan(fraud).all():
        raise DataError(
            f"{recorded.name}: no event has a label in column {label.field!r}; training needs the truth of some events"
            + (f". {recorded.refusals}" if recorded.refusals else "")
        )
    return Rows(
        ids=np.array(found.ids, dtype=object),
        x=found.x,
        texts=found.texts,
        fraud=fraud,
        time_us=found.time_us,
        known_us=known_us,
        card=_cards(detector, truth),
        amount=found.amount,
        stopped=stopped,
        row=found.rows,
    )


def unjudged(detector: Detector, recorded: Recorded, progress: Callable[[float], None] = lambda _share: None) -> Rows:
    """Replay recorded events as `replayed` does, without requiring known outcomes."""
    found = _Found.of(detector, recorded, progress)
    n = len(found.ids)
    return Rows(
        ids=np.array(found.ids, dtype=object),
        x=found.x,
        texts=found.texts,
        fraud=np.full(n, np.nan),
        time_us=found.time_us,
        known_us=found.time_us,
        card=np.zeros(n, np.int64),
        amount=np.full(n, np.nan),
        stopped=np.zeros(n, np.bool_),
        row=found.rows,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """The result of the replay. amount: in the detector's one currency, NaN for none."""

    ids: list[str]
    x: NDArray[np.float64]
    texts: dict[str, Texts]
    time_us: NDArray[np.int64]
    rows: NDArray[np.int64]
    amount: NDArray[np.float64]

    @classmethod
    def of(cls, detector: Detector, recorded: Recorded, progress: Callable[[float], None]) -> "_Found":
        inputs = Inputs(detector.plan.layout, detector.plan.inputs)
        ids: list[str] = []
        xs, times, stands = [np.empty((0, len(detector.plan.inputs)))], [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        codes: dict[str, list[NDArray[np.int64]]] = {name: [np.empty(0, np.int64)] for name in inputs.texts}
        words: dict[str, list[str | None]] = {name: [] for name in inputs.texts}
        worth, amounts, done = worth_of(detector)[0], [np.empty(0)], 0
        place = None if worth is None else detector.plan.layout[worth].index
        for chunk in Replay(detector).chunks(recorded, decide=False):
            batch = chunk.batch
            done += len(batch)
            rows = np.flatnonzero(batch.kinds == 0).astype(np.int32)
            every = len(rows) == len(batch)
            ids += batch.ids if every else [batch.ids[row] for row in rows.tolist()]
            xs.append(inputs.matrix(batch, None if every else rows))
            times.append(batch.time_us[rows])
            stands.append(chunk.rows[rows])
            amounts.append(np.full(len(rows), np.nan) if place is None else batch.x[rows, place])
            for name, column in inputs.texts.items():
                codes[name].append(batch.codes[rows, column])
                words[name] += [batch.texts[name][row] for row in rows.tolist()]
            progress(done / max(len(recorded.frame), 1))
        texts = {name: Texts(np.concatenate(codes[name]), np.array(words[name], dtype=object)) for name in codes}
        return cls(ids, np.concatenate(xs), texts, np.concatenate(times), np.concatenate(stands), np.concatenate(amounts))


def _outcomes(detector: Detector, truth: pl.DataFrame) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.bool_]]:
    """Fraud (NaN if unknown), when that was known, and which events had been stopped.

    A stopped event cannot turn out bad by itself, so the absence of a fraud label means nothing. It counts as good only if
    the data has the time at which that was found out. Where the absence of a label means good (`Label.unobjected_is_good`), it
    does so from the label delay after the event on; what is younger when the data end stays unknown.
    """
    label = detector.label
    assert label is not None
    due = pl.col(detector.time) + pl.duration(microseconds=label.delay_us)
    stated = [name for name in (label.known_at, "label_known_at") if name and name in truth.columns]
    looked_into = pl.coalesce(pl.col(name) for name in stated).is_not_null() if stated else pl.lit(value=False)
    approved = [Action.APPROVE.name, "ALLOW", "ACCEPT"]
    stopped = ~pl.col("decision").str.to_uppercase().is_in(approved) if "decision" in truth.columns else pl.lit(value=False)
    stopped = stopped.fill_null(value=False)
    fraud = pl.col(label.field).cast(pl.Float64)
    if label.unobjected_is_good:
        fraud = pl.when(fraud.is_null() & ~stopped & (due <= pl.col(detector.time).max())).then(0.0).otherwise(fraud)
    found = truth.select(
        fraud=pl.when(stopped & (fraud == 0) & ~looked_into).then(None).otherwise(fraud),
        known=pl.coalesce([*(pl.col(name) for name in stated), due]).cast(pl.Int64),
        stopped=stopped,
    )
    return found["fraud"].fill_null(float("nan")).to_numpy(), found["known"].to_numpy(), found["stopped"].to_numpy()


def _cards(detector: Detector, truth: pl.DataFrame) -> NDArray[Any]:
    """A number per key of the first declared entity: the customer or card that card precision counts."""
    entity = next((feature.entity for feature in detector.features if isinstance(feature, Aggregate)), None)
    fields = [name for name in (entity.fields if entity else [detector.id]) if name in truth.columns]
    return truth.select(pl.struct(fields or [detector.id]).rank("dense").cast(pl.Int64).alias("card"))["card"].to_numpy()
