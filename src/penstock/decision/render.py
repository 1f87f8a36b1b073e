"""The JSON of decisions, made from the ledger's record alone: what was answered is what is read back."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from penstock.clock import iso
from penstock.decision import form, kernel, writer
from penstock.decision.digits import SLACK
from penstock.decision.policy import Thresholds
from penstock.decision.reasons import Narrator, Row, Spoken
from penstock.decision.record import TEXT, contributions_of
from penstock.messages import Action, Decision, Degraded, Layout, Record, Versions

_encoder = msgspec.json.Encoder()
_ACTIONS = tuple(Action)
_NO_MOVES: Sequence[float] = ()


class Renderer:
    """Renders the records of one version of a detector, its models and its rules.

    Args:
        detector: its name. layout: the columns of the record's matrix.
        versions: of detector, model and rules: those in the record's meta, which say which renderer it needs.
        rules: compiled rules, in their order.
        features: the columns shown under `features`, texts among them.
        members: names of the models, in the order of `scores`.
        model_features: names of the columns that models read, in the order of contributions.
        usual: the usual value of columns (medians of the training data), by name.
        words: a phrase for a column, used in reasons.
        thresholds: those in force.

    A renderer holds no state that changes, so threads may share it.
    """

    def __init__(
        self,
        detector: str,
        layout: Layout,
        versions: Versions,
        rules: Sequence[Spoken],
        features: Sequence[str],
        *,
        members: Sequence[str] = (),
        model_features: Sequence[str] = (),
        usual: Mapping[str, float] | None = None,
        words: Mapping[str, str] | None = None,
        thresholds: Thresholds | None = None,
    ) -> None:
        self.versions = versions
        self._layout = layout
        self._form = form.Form(detector, layout, features, members, versions)
        self._rule_columns = np.array([rule.index for rule in rules], np.int64)
        self._narrator = Narrator(layout, rules, model_features, usual or {}, words or {}, thresholds or Thresholds())

    def render(self, record: Record, rows: Sequence[int] | None = None) -> list[bytes]:
        """The JSON of these rows of the record (all, where none are named), in order."""
        columns: dict[str, Any] = record.columns
        chosen = np.arange(len(record)) if rows is None else np.array(rows, np.int64)
        if not len(chosen):
            return []
        pieces, stops = self._pieces(record, chosen)
        texts, cursors = self._texts(record, rows)
        shared, spans = _joined([*form.OUTCOMES, *_of_batch(record.meta)])
        longest = self._form.row_bytes + len(shared)
        out = np.empty(len(chosen) * longest + len(texts) + len(pieces), np.uint8)
        ends = np.empty(len(chosen), np.int64)
        x, action = (_own(record.columns[name]) for name in ("x", "action"))
        scores: Any = _with_confidence(columns["scores"])
        form_, fixed, time_us = self._form.slots, self._form.fixed, _own(record.time_us)
        writer.write_rows(
            form_, fixed, chosen, x, time_us, scores, action, texts, cursors, shared, spans, pieces, stops, out, ends
        )
        stop = ends.tolist()
        data = out[: stop[-1]].tobytes()
        return [data[start:end] for start, end in zip([0, *stop], stop, strict=False)]

    def decision(self, record: Record, row: int) -> Decision:
        """One row of the record as an object."""
        return decision_of(self.render(record, [row])[0])

    def _texts(self, record: Record, rows: Sequence[int] | None) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """Ids and text columns as JSON arrays, one after the other, and where the first value of each stands."""
        columns: list[Any] = [record.ids, *(record.columns[TEXT + name] for name in self._form.texts)]
        if rows is not None:
            columns = [[column[row] for row in rows] for column in columns]
        joined, spans = _joined([_encoder.encode(column) for column in columns])
        return joined, spans[:-1] + 1

    # ---- rows out of the ordinary

    def _pieces(self, record: Record, rows: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
        """JSON for the explanation and the degradation of rows that are no ordinary approvals, and where each ends."""
        x, action, by = (_own(record.columns[name]) for name in ("x", "action", "by"))
        plain = np.empty(len(rows), np.bool_)
        kernel.ordinary(x, rows, self._rule_columns, action, by, plain)
        degraded: Any = record.columns.get("degraded")
        lengths = np.zeros(2 * len(rows), np.int64)
        parts: list[bytes] = []
        moved: dict[int, list[float]] | None = None
        for position, row in enumerate(rows.tolist()):
            failure = _degraded(degraded[row]) if degraded is not None else None
            if plain[position] and failure is None:
                continue
            moved = contributions_of(record) if moved is None else moved
            explanation = self._explanation(record, row, failure, moved.get(row, _NO_MOVES))
            lengths[2 * position] = len(explanation)
            parts.append(explanation)
            if failure is not None:
                parts.append(_encoder.encode(failure))
                lengths[2 * position + 1] = len(parts[-1])
        return _padded(parts), lengths.cumsum().reshape(-1, 2)

    def _explanation(self, record: Record, row: int, failure: Degraded | None, moved: Sequence[float]) -> bytes:
        columns: dict[str, Any] = record.columns
        action, by = _ACTIONS[int(columns["action"][row])], int(columns["by"][row])
        read = Row(record, row, self._layout, lambda name: columns[TEXT + name])
        probability = float(columns["scores"][row, 0])
        return _encoder.encode(self._narrator.explain(read, action, by, probability, failure, moved))


def decision_of(body: bytes) -> Decision:
    """The decision that this JSON says."""
    return _decoder().decode(body)


def conflicting(body: bytes) -> bytes:
    """The same decision, marked: the id came again with other content."""
    return body[:-1] + b',"conflict":true}'


@cache
def _decoder() -> msgspec.json.Decoder[Decision]:
    return msgspec.json.Decoder(Decision)


def _degraded(text: str | None) -> Degraded | None:
    if text is None:
        return None
    part, _, cause = text.partition(": ")
    return Degraded(part, cause)


def _of_batch(meta: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """When it was decided, and how long every stage took, in milliseconds."""
    latency_ms = {stage: round(us / 1000, 4) for stage, us in meta["latency_us"].items()}
    return _encoder.encode(iso(meta["decided_us"])), _encoder.encode(latency_ms)


def _joined(parts: Sequence[bytes]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """The parts end to end, and where each begins, and the end of the last."""
    spans = np.zeros(len(parts) + 1, np.int64)
    np.cumsum([len(part) for part in parts], out=spans[1:])
    return _padded(parts), spans


def _padded(parts: Sequence[bytes]) -> NDArray[np.uint8]:
    """The parts end to end, and what the writer may read beyond them."""
    return np.frombuffer(bytearray(b"".join((*parts, bytes(SLACK)))), np.uint8)


def _with_confidence(scores: NDArray[np.float64]) -> NDArray[np.float64]:
    """The columns that a form writes: the larger of p and 1 - p, then p and the members."""
    probability = scores[:, :1]
    return np.hstack((np.maximum(probability, 1 - probability), scores))


def _own(array: Any) -> Any:
    """The array as the kernels were compiled for: contiguous and writeable (a decoded record may not be)."""
    return array if array.flags.writeable and array.flags.c_contiguous else np.array(array, order="C")
