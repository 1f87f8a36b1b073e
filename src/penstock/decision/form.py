"""The template of a decision's JSON: fixed text and slots."""

from collections.abc import Sequence

import msgspec
import numpy as np

from penstock.decision import writer
from penstock.decision.digits import LONGEST, SLACK
from penstock.messages import Column, Layout, Type, Versions

_SLOTS = {Type.NUMBER: writer.NUMBER, Type.BOOLEAN: writer.BOOLEAN, Type.TIME: writer.TIME}

EXPLANATION, DEGRADED = range(2)
"""The pieces that rows out of the ordinary bring along."""


class JsonTemplate:
    """The template of a JSON: fixed text and slots, in order; see `penstock.decision.writer` for their kinds.

    texts: the text columns that are written after the transaction ids, in their order. row_bytes: an upper bound
    of a row's bytes without the loose ones.
    """

    def __init__(
        self, detector: str, layout: Layout, features: Sequence[str], members: Sequence[str], versions: Versions
    ) -> None:
        self.texts: list[str] = []
        self._fixed = bytearray(b"".join(writer.OUTCOMES))
        self._start = len(self._fixed)
        self._slots: list[list[int]] = []
        self._head(detector)
        self._scores(members)
        self._explanation()
        self._features([layout[name] for name in features])
        self._tail(versions)
        self.fixed = np.frombuffer(self._fixed + bytes(SLACK), np.uint8)
        self.slots = np.array(self._slots, np.int64)
        self.row_bytes = len(self.fixed) + LONGEST * len(self.slots)

    def _write(self, text: str) -> None:
        self._fixed += text.encode()

    def _slot(self, kind: int, index: int = 0) -> None:
        self._slots.append([self._start, len(self._fixed), kind, index, 0])
        self._start = len(self._fixed)

    def _head(self, detector: str) -> None:
        self._write('{"transaction_id":')
        self._slot(writer.TEXT)
        self._write(f',"detector":{_json(detector)},"event_time":')
        self._slot(writer.EVENT_TIME)
        self._write(',"decided_at":')
        self._slot(writer.DECIDED_AT)
        self._write(',"decision":')
        self._slot(writer.OUTCOME)

    def _scores(self, members: Sequence[str]) -> None:
        self._write(',"fraud_probability":')
        self._slot(writer.SCORE, 0)
        self._write(',"scores":{')
        for position, member in enumerate(members):
            self._write(f"{',' if position else ''}{_json(member)}:")
            self._slot(writer.SCORE, 1 + position)

    def _explanation(self) -> None:
        self._write('},"explanation":')
        self._slot(writer.PIECE, EXPLANATION)
        piece = self._slots[-1]
        self._write('{"decision_reason":"normal_behavior","model_confidence":')
        self._slot(writer.CONFIDENCE)
        self._write(',"reasons":[],"rules":[],"contributions":[]}')
        self._close(piece)

    def _close(self, piece: list[int]) -> None:
        """End the default of a piece; a row with a piece continues after it."""
        self._slot(writer.NOTHING)
        piece[4] = len(self._slots)

    def _features(self, columns: Sequence[Column]) -> None:
        self._write(',"features":{')
        for position, column in enumerate(columns):
            self._write(f"{',' if position else ''}{_json(column.name)}:")
            if column.type is Type.TEXT:
                self.texts.append(column.name)
                self._slot(writer.TEXT)
            else:
                self._slot(_SLOTS[column.type], column.index)

    def _tail(self, versions: Versions) -> None:
        self._write(f'}},"model_version":{_json(versions.model)},"versions":{_json(versions)},"degraded":')
        self._slot(writer.PIECE, DEGRADED)
        piece = self._slots[-1]
        self._write("null")
        self._close(piece)
        self._write(',"latency_ms":')
        self._slot(writer.SHARED)
        self._write("}")
        self._slot(writer.END)


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
