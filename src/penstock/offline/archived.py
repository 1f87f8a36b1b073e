"""What was archived, as recorded data: events as they arrived, each with its label as of when that became known.

Features, scores and decisions of then are left behind, but for `decision`: events are replayed as those of a file are.
"""

from collections.abc import Mapping

import polars as pl

from penstock.detector import Detector

KINDS = ("decisions", "informing", "loaded", "labels")
"""The kinds of archived rows that recorded data is made of."""

_EVENTS = KINDS[:-1]
_TIME = pl.Datetime("us", "UTC")


def as_recorded(frames: Mapping[str, pl.DataFrame], detector: Detector) -> pl.DataFrame:
    """Events in the order of their sequence numbers, with `arrived_at`, `decision`, and label and `label_known_at`.

    The label is that of the statement that counts in the end, known since that verdict stands; what nobody spoke of has none.

    Args:
        frames: archived rows by kind, with the columns of `penstock.ledger.expand`.
        detector: whose events they are.
    """
    parts = [_events(frames[kind], kind, detector) for kind in _EVENTS if kind in frames and len(frames[kind])]
    events = pl.concat(parts, how="diagonal_relaxed").sort("seq")
    if detector.label is not None:
        told = _told(frames.get("labels"), detector.label.field)
        events = events.join(told, left_on=detector.id, right_on="transaction_id", how="left", maintain_order="left")
    return events.drop("seq")


def _events(frame: pl.DataFrame, kind: str, detector: Detector) -> pl.DataFrame:
    """The columns that an event has, under their own names; labels come from what was said of them."""
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


def _told(labels: pl.DataFrame | None, label: str) -> pl.DataFrame:
    """For each transaction that somebody spoke of: the verdict that counts, and since when it stands."""
    if labels is None or labels.is_empty():
        return pl.DataFrame(schema={"transaction_id": pl.String, label: pl.Boolean, "label_known_at": _TIME})
    said = labels.select("transaction_id", "known_us", "rank", "seq", fraud=pl.col("fraud").cast(pl.Boolean))
    order = ("rank", "known_us", "seq")
    counts = said.sort(*order).group_by("transaction_id").agg(verdict=pl.col("fraud").last(), known=pl.col("known_us").last())
    agrees, known_us = pl.col("fraud") == pl.col("verdict"), pl.col("known_us")
    before = known_us.filter(~agrees & (known_us < pl.col("known"))).max()
    since = known_us.filter(agrees & (known_us > before.fill_null(-(2**62)))).min()
    told = said.join(counts, on="transaction_id").group_by("transaction_id")
    return told.agg(pl.col("verdict").first().alias(label), since.cast(_TIME).alias("label_known_at"))
