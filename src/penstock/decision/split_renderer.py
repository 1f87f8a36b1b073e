"""Rendering of records that champion and challenger decided in parts, each row by its own models."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from penstock.decision.record import DECIDED_BY, keep_explanations
from penstock.decision.render import Renderer, decision_of
from penstock.messages import Decision, Record

EXPLAINED, CONTRIBUTIONS = "challenger_explained", "challenger_contributions"
"""As `explained` and `contributions` in a record's meta, of the rows that the challenger decided."""


class SplitRenderer:
    """A `Renderer` made of two. champion, challenger: renderers of the same layout, with the versions of each."""

    def __init__(self, champion: Renderer, challenger: Renderer) -> None:
        self.champion, self.challenger = champion, challenger
        self.versions = champion.versions

    def explain(self, record: Record, unusual: NDArray[np.int64]) -> None:
        """See `Renderer.explain`."""
        theirs = _theirs(record)[unusual]
        if not theirs.any():
            self.champion.explain(record, unusual)
            return
        found = self.champion.explanations(record, unusual[~theirs].tolist())
        found |= self.challenger.explanations(by_challenger(record), unusual[theirs].tolist())
        keep_explanations(record, {row: found[row] for row in sorted(found)})

    def render(self, record: Record, rows: Sequence[int] | None = None) -> list[bytes]:
        """See `Renderer.render`."""
        theirs = _theirs(record)
        if not theirs.any():
            return self.champion.render(record, rows)
        if theirs.all():
            return self.challenger.render(by_challenger(record), rows)
        chosen = np.arange(len(record)) if rows is None else np.array(rows, np.int64)
        out = [b""] * len(chosen)
        for renderer, view, which in (
            (self.champion, record, np.flatnonzero(~theirs[chosen])),
            (self.challenger, by_challenger(record), np.flatnonzero(theirs[chosen])),
        ):
            if len(which):
                for place, body in zip(which.tolist(), renderer.render(view, chosen[which].tolist()), strict=True):
                    out[place] = body
        return out

    def decision(self, record: Record, row: int) -> Decision:
        """See `Renderer.decision`."""
        return decision_of(self.render(record, [row])[0])


def deciding_version(record: Record) -> str | None:
    """The version of the challenger that decided for a share of the keys; None where none did."""
    trial: dict[str, str | None] = record.meta.get("trial") or {}
    return trial["version"] if "version" in trial else record.meta["versions"].get("challenger")


def by_challenger(record: Record) -> Record:
    """The record as if the challenger had decided all of it."""
    meta = dict(record.meta)
    meta["versions"] = {**meta["versions"], "model": deciding_version(record)}
    for name, theirs in (("explained", EXPLAINED), ("contributions", CONTRIBUTIONS)):
        meta.pop(name, None)
        if theirs in meta:
            meta[name] = meta[theirs]
    return replace(record, meta=meta)


def _theirs(record: Record) -> NDArray[np.bool_]:
    column = record.columns.get(DECIDED_BY)
    return np.zeros(len(record), np.bool_) if column is None else np.asarray(column) == 1
