"""The JSON of decisions, made from the ledger's record alone: what was answered is what is read back."""

from collections.abc import Mapping, Sequence
from functools import cache
from itertools import accumulate
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from penstock.decision import form, kernel, writer
from penstock.decision.digits import SLACK
from penstock.decision.policy import Thresholds
from penstock.decision.reasons import Narrator, Row, Spoken
from penstock.decision.record import TEXT, contributions_of, explanations_of, keep_explanations
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
    ) -> None:
        self.versions = versions
        self._layout = layout
        self._form = form.Form(detector, layout, features, members, versions)
        self._rule_columns = np.array([rule.index for rule in rules], np.int64)
        self._narrator = Narrator(layout, rules, model_features, usual or {}, words or {}, thresholds or Thresholds())

    def explain(self, record: Record) -> None:
        """Put the explanations of all rows into the record, so that it reads the same under any later renderer."""
        keep_explanations(record, self._explanations(record, np.arange(len(record))))

    def render(self, record: Record, rows: Sequence[int] | None = None) -> list[bytes]:
        """The JSON of these rows of the record (all, where none are named), in order."""
        chosen = np.arange(len(record)) if rows is None else np.array(rows, np.int64)
        if not len(chosen):
            return []
        form_, columns = self._form, record.columns
        parts = self._parts(record, rows)
        marks = [0, *accumulate(map(len, parts))]
        stops = np.zeros((len(chosen), 2), np.int64)
        self._add_pieces(record, chosen, parts, stops, marks[-1])
        loose = np.frombuffer(bytearray(b"".join((*parts, bytes(SLACK)))), np.uint8)
        out = np.empty(len(chosen) * (form_.row_bytes + marks[1]) + len(loose), np.uint8)
        ends = np.empty(len(chosen), np.int64)
        writer.write_rows(
            form_.slots,
            form_.fixed,
            chosen,
            _own(columns["x"]),
            _own(record.time_us),
            record.meta["decided_us"],
            _own(columns["scores"]),
            _own(columns["action"]),
            loose,
            np.array([*marks[:2], *(mark + 1 for mark in marks[1:-1]), marks[-1]]),
            stops,
            out,
            ends,
        )
        stop = ends.tolist()
        data = out[: stop[-1]].tobytes()
        return [data[start:end] for start, end in zip([0, *stop], stop, strict=False)]

    def decision(self, record: Record, row: int) -> Decision:
        """One row of the record as an object."""
        return decision_of(self.render(record, [row])[0])

    def _parts(self, record: Record, rows: Sequence[int] | None) -> list[bytes]:
        """What is loose in the form: how long every stage took in milliseconds, then ids and texts as JSON arrays."""
        latency_ms = {stage: round(us / 1000, 4) for stage, us in record.meta["latency_us"].items()}
        texts: list[Any] = [record.ids, *(record.columns[TEXT + name] for name in self._form.texts)]
        if rows is not None:
            texts = [[column[row] for row in rows] for column in texts]
        return [_encoder.encode(part) for part in (latency_ms, *texts)]

    # ---- rows out of the ordinary

    def _add_pieces(
        self, record: Record, rows: NDArray[np.int64], parts: list[bytes], stops: NDArray[np.int64], end: int
    ) -> None:
        """Add explanation and degradation of rows that are no plain approvals to the parts, which end at `end`."""
        kept = explanations_of(record)
        explanations = self._explanations(record, rows) if kept is None else kept
        degraded: Any = record.columns.get("degraded")
        if not explanations and degraded is None:
            return
        for position, row in enumerate(rows.tolist()):
            failure = None if degraded is None else _degraded(degraded[row])
            pieces = (explanations.get(row), None if failure is None else _encoder.encode(failure))
            for which, piece in enumerate(pieces):
                if piece is not None:
                    end += len(piece)
                    stops[position, which] = end
                    parts.append(piece)

    def _explanations(self, record: Record, rows: NDArray[np.int64]) -> dict[int, bytes]:
        """The explanation of every row that is no plain approval, as JSON."""
        x, action, by = (_own(record.columns[name]) for name in ("x", "action", "by"))
        found = np.empty(len(rows), np.int64)
        count = kernel.unusual(x, rows, self._rule_columns, action, by, found)
        unusual = found[:count].tolist()
        moved = contributions_of(record) if unusual else {}
        return {row: self._explanation(record, row, moved.get(row, _NO_MOVES)) for row in unusual}

    def _explanation(self, record: Record, row: int, moved: Sequence[float]) -> bytes:
        columns: dict[str, Any] = record.columns
        failure = _degraded(columns["degraded"][row]) if "degraded" in columns else None
        action, by = _ACTIONS[int(columns["action"][row])], int(columns["by"][row])
        read = Row(record, row, self._layout)
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


def _own(array: Any) -> Any:
    """The array as the kernels were compiled for: contiguous and writeable (a decoded record may not be)."""
    return array if array.flags.writeable and array.flags.c_contiguous else np.array(array, order="C")
