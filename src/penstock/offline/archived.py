"""Archived events as recorded data, in arrival order, each with its label and the time at which the label became known.

Archived features and scores are dropped, and so are decisions but for the column `decision`: a replay computes them again.
"""

from collections.abc import Mapping

import polars as pl

from penstock.detector import Detector

KINDS = ("decisions", "informing", "loaded", "labels")
"""The kinds of archived rows that recorded data is made of."""

_EVENTS = KINDS[:-1]
_TIME = pl.Datetime("us", "UTC")


def as_recorded(frames: Mapping[str, pl.DataFrame], detector: Detector) -> pl.DataFrame:
    """Events in the order of their sequence numbers, with `arrived_at`, `decision`, label and `label_known_at`.

    The label is that of the statement with precedence, known since that verdict holds; events without a statement have
    none.

    Args:
        frames: archived rows by kind, with the columns of `penstock.ledger.expand`.
        detector: whose events they are.
    """
    events = archived_events(frames, detector)
    if detector.label is not None:
        said = _said(
            frames.get("labels"), events.select("seq", pl.col(detector.id).alias("id"), pl.col(detector.time).alias("at"))
        )
        events = events.join(_newest_labels(said, detector.label.field), on="seq", how="left", maintain_order="left")
    return events.drop("seq")


def archived_events(frames: Mapping[str, pl.DataFrame], detector: Detector) -> pl.DataFrame:
    """The events of `as_recorded`, in its order, with their sequence numbers and without labels."""
    parts = [_events(frames[kind], kind, detector) for kind in _EVENTS if kind in frames and len(frames[kind])]
    return pl.concat(parts, how="diagonal_relaxed").sort("seq")


def _events(frame: pl.DataFrame, kind: str, detector: Detector) -> pl.DataFrame:
    """The event columns under their own names; labels come from the recorded statements."""
    label = detector.label.field if detector.label is not None else None
    fields = [name for name in detector.schema.columns if name in frame.columns and name != label]
    made = {
        "seq": pl.col("seq"),
        **{name: pl.col(name) for name in fields},
        detector.id: pl.col("transaction_id"),
        detector.time: pl.col("event_time"),
        "arrived_at": pl.col("arrived_at"),
        "decision": pl.col("decision") if kind == "decisions" else pl.lit(None, pl.String),
    }
    if detector.informs:
        names = pl.Series([None, *(event.__name__ for event in detector.informs)], dtype=pl.String)
        kinds = pl.col("event_kind") if "event_kind" in frame.columns else pl.lit(0)
        made["type"] = kinds.cast(pl.Int64).replace_strict(list(range(len(names))), names, return_dtype=pl.String)
    return frame.select(**made)


def _said(labels: pl.DataFrame | None, events: pl.DataFrame) -> pl.DataFrame:
    """Every statement with the sequence number of its event: of those with its id, the newest that happened by then."""
    if labels is None or labels.is_empty():
        return pl.DataFrame(
            schema={"seq": pl.Int64, "known_us": pl.Int64, "rank": pl.Int64, "said": pl.Int64, "fraud": pl.Boolean}
        )
    said = labels.select("known_us", "rank", id="transaction_id", said="seq", fraud=pl.col("fraud").cast(pl.Boolean)).join(
        events, on="id"
    )
    happened = pl.col("at").dt.epoch("us") <= pl.col("known_us")
    return said.sort(happened, "seq").unique("said", keep="last", maintain_order=True).drop("at", "id")


def _newest_labels(said: pl.DataFrame, label: str) -> pl.DataFrame:
    """The label of each labelled event: the verdict with precedence, and since when it holds."""
    if said.is_empty():
        return pl.DataFrame(schema={"seq": pl.Int64, label: pl.Boolean, "label_known_at": _TIME})
    order = ("rank", "known_us", "said")
    counts = said.sort(*order).group_by("seq").agg(verdict=pl.col("fraud").last(), known=pl.col("known_us").last())
    agrees, known_us = pl.col("fraud") == pl.col("verdict"), pl.col("known_us")
    before = known_us.filter(~agrees & (known_us < pl.col("known"))).max()
    since = known_us.filter(agrees & (known_us > before.fill_null(-(2**62)))).min()
    newest = said.join(counts, on="seq").group_by("seq")
    return newest.agg(pl.col("verdict").first().alias(label), since.cast(_TIME).alias("label_known_at"))
