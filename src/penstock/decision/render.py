"""Rendering of decisions as JSON from the ledger's record alone, so that a later read equals the original answer."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from penstock.decision import form, kernel, writer
from penstock.decision.digits import SLACK
from penstock.decision.judge import NO_ACTION
from penstock.decision.policy import Thresholds
from penstock.decision.reasons import Narrator, Row, Spoken
from penstock.decision.record import TEXT, contributions_of, explanations_of, keep_explanations
from penstock.decoding import prepared
from penstock.messages import Action, Decision, Degraded, Layout, Record, Versions

_encode = msgspec.json.Encoder().encode
_ACTIONS = tuple(Action)
_NO_MOVES: Sequence[float] = ()
_NO_STOPS = np.zeros((0, 2), np.int64)
_ALL = np.zeros(0, np.int64)
_SLACK = bytes(SLACK)


class Renderer:
    """The JSON renderer for one version of a detector, its models and its rules.

    Args:
        detector: its name. layout: the columns of the record's matrix.
        versions: of detector, model and rules: those in the record's meta, which say which renderer it needs.
        rules: compiled rules, in their order.
        features: the columns shown under `features`, texts among them.
        members: names of the models, in the order of `scores`.
        model_features: names of the columns that models read, in the order of contributions.
        usual: the usual value of columns (medians of the training data), by name.
        words: a phrase for a column, used in reasons.
        thresholds: those in force. base: the log-odds that contributions start from.

    What is kept for long is explained first (`explain`): the rendering then rests on the record's own explanations, and of
    the arguments only detector, layout, versions, features and members must still be those of its time.

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
        usual: Mapping[str, float | str | None] | None = None,
        words: Mapping[str, str] | None = None,
        thresholds: Thresholds | None = None,
        base: float | None = None,
    ) -> None:
        self.versions = versions
        self._layout = layout
        self._form = form.JsonTemplate(detector, layout, features, members, versions)
        self._rule_columns = np.array([rule.index for rule in rules], np.int64)
        said = usual or {}, words or {}
        self._narrator = Narrator(layout, rules, model_features, *said, thresholds or Thresholds(), base)

    def explain(self, record: Record, unusual: NDArray[np.int64] | None = None) -> None:
        """Put the explanations of all rows into the record, so that it reads the same under any later renderer.

        unusual: the rows that have one, where the judge has just said (`Verdicts.unusual`).
        """
        found = self._unusual(record, np.arange(len(record))) if unusual is None else unusual.tolist()
        keep_explanations(record, self.explanations(record, found))

    def render(self, record: Record, rows: Sequence[int] | None = None) -> list[bytes]:
        """The JSON of these rows of the record (all, where none are named), in order."""
        n = len(record) if rows is None else len(rows)
        if not n:
            return []
        form_, columns = self._form, record.columns
        parts = self._parts(record, rows)
        latency, texts = map(len, parts)
        stops = self._add_pieces(record, rows, parts, latency + texts)
        parts.append(_SLACK)
        loose = np.frombuffer(bytearray(b"".join(parts)), np.uint8)
        out, ends = np.empty(n * (form_.row_bytes + latency) + len(loose), np.uint8), np.empty(n, np.int64)
        writer.write_rows(
            form_.slots,
            form_.fixed,
            _ALL if rows is None else np.array(rows, np.int64),
            _own(columns["x"]),
            _own(record.time_us),
            record.meta["decided_us"],
            _own(columns["scores"]),
            _own(columns["action"]),
            loose,
            latency,
            latency + texts,
            stops,
            out,
            ends,
        )
        stop = ends.tolist()
        data = out[: stop[-1]].tobytes()
        return [data[start:end] for start, end in zip([0, *stop], stop, strict=False)] if n > 1 else [data]

    def decision(self, record: Record, row: int) -> Decision:
        """One row of the record as an object."""
        return decision_of(self.render(record, [row])[0])

    def _parts(self, record: Record, rows: Sequence[int] | None) -> list[bytes]:
        """The loose parts of the form: the duration of every stage in milliseconds, then ids and texts row by row, as JSON."""
        texts: list[Any] = [record.ids, *[record.columns[TEXT + name] for name in self._form.texts]]
        if rows is not None:
            texts = [[column[row] for row in rows] for column in texts]
        return [_encode(record.meta["latency_ms"]), _encode(list(zip(*texts, strict=True)))]

    # ---- rows out of the ordinary

    def _add_pieces(self, record: Record, rows: Sequence[int] | None, parts: list[bytes], end: int) -> NDArray[np.int64]:
        """Add explanation and degradation of rows that are no plain approvals to the parts, which end at `end`.

        Returns where each row's pieces stop; nothing at all where no row has any.
        """
        explanations = explanations_of(record)
        degraded: Any = record.columns.get("degraded")
        among = range(len(record)) if rows is None else rows
        if explanations is None:
            explanations = self.explanations(record, self._unusual(record, np.array(among, np.int64)))
        if not explanations and degraded is None:
            return _NO_STOPS
        stops = np.zeros((len(among), 2), np.int64)
        for position, row in enumerate(among):
            failure = None if degraded is None else _degraded(degraded[row])
            pieces = (explanations.get(row), None if failure is None else _encode(failure))
            for which, piece in enumerate(pieces):
                if piece is not None:
                    end += len(piece)
                    stops[position, which] = end
                    parts.append(piece)
        return stops

    def _unusual(self, record: Record, among: NDArray[np.int64]) -> list[int]:
        """Those among the rows that are no plain approvals."""
        x, action, by = (_own(record.columns[name]) for name in ("x", "action", "by"))
        found = np.empty(len(among), np.int64)
        count = kernel.unusual(x, among, self._rule_columns, action, by, found)
        rows: list[int] = found[:count].tolist()
        return rows

    def explanations(self, record: Record, rows: Sequence[int]) -> dict[int, bytes]:
        """The explanation of each of these rows, as JSON."""
        if not rows:
            return {}
        moved = contributions_of(record)
        return {row: self._explanation(record, row, moved.get(row, _NO_MOVES)) for row in rows}

    def _explanation(self, record: Record, row: int, moved: Sequence[float]) -> bytes:
        columns: dict[str, Any] = record.columns
        failure = _degraded(columns["degraded"][row]) if "degraded" in columns else None
        action, by = _ACTIONS[int(columns["action"][row])], int(columns["by"][row])
        read = Row(record, row, self._layout)
        probability = float(columns["scores"][row, 0])
        lowered = int(columns["lowered"][row]) if "lowered" in columns else NO_ACTION
        return _encode(self._narrator.explain(read, action, by, probability, failure, moved, lowered))


def decision_of(body: bytes) -> Decision:
    """The decision in this JSON."""
    return _decoder().decode(body)


def conflicting(body: bytes) -> bytes:
    """The same decision, marked: the id came again with other content."""
    return body[:-1] + b',"conflict":true}'


@cache
def _decoder() -> msgspec.json.Decoder[Decision]:
    return msgspec.json.Decoder(prepared(Decision))


def _degraded(text: str | None) -> Degraded | None:
    if text is None:
        return None
    part, _, cause = text.partition(": ")
    return Degraded(part, cause)


def _own(array: Any) -> Any:
    """The array as the kernels were compiled for: contiguous and writeable (a decoded record may not be)."""
    return array if array.flags.carray else np.array(array, order="C")
