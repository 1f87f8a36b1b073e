"""Serving of a user-supplied ONNX file by ONNX Runtime (the extra `onnx`)."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from penstock.errors import ConfigurationError, DataError
from penstock.models.port import Matrix, Vector

_FILE = "model.onnx"
_SURE = 20.0
"""The largest log-odds either way, as in calibration."""

_ELEMENTS: dict[str, type[np.floating[Any]]] = {"tensor(float)": np.float32, "tensor(double)": np.float64}


class OnnxMember:
    """Somebody else's model; see `penstock.models.port.Member`. Its raw output is the log-odds of its probability.

    content: the file. usual: (k,) what stands in for a missing value and what an unremarkable event looks like. keep_missing:
    the model wants missing values as NaN. output: the name of the output to read; empty where the file says it itself.

    Rows go through one at a time: in a batch, the order of sums would depend on a row's neighbours, and a decision could not
    be repeated to the last bit.

    Contributions are an approximation, the only one here that is: what a model does inside is not known. A feature's share is
    the mean of two effects: of putting the usual value in its place, and of putting its value into an event that is usual
    otherwise. That is exact where features act on their own or in pairs; what is left of the output is spread in proportion
    to the sizes, so that they add up to raw - base, the base being the output of the usual event. It costs 2 k + 1 runs a row.
    """

    form: ClassVar[str] = "onnx"

    def __init__(self, content: bytes, usual: Vector, *, keep_missing: bool = False, output: str = "") -> None:
        self.content, self.usual, self.keep_missing = content, usual, keep_missing
        self.session = _session(content)
        given = self._matrix(len(usual))
        self._input, self._precision = given.name, _ELEMENTS[given.type]
        self.output = output or self._probability()
        self.base = float(self._raw(self._prepared(usual[None]))[0])

    def fill(self, x: Matrix, out: Vector) -> None:
        """Log-odds of every row into `out`.

        Raises:
            DataError: the model gave no probability for a row.
        """
        out[:] = self._raw(self._prepared(x))

    def contributions(self, x: Matrix) -> Matrix:
        """Approximate shares of features in raw - base; see the class."""
        out = np.empty(x.shape)
        usual = self._prepared(self.usual[None])[0]
        for row, shares in zip(self._prepared(x), out, strict=True):
            shares[:] = self._shares(row, usual)
        return out

    def export(self, folder: Path) -> dict[str, Any]:
        """Write the file unchanged."""
        (folder / _FILE).write_bytes(self.content)
        return {"file": _FILE, "usual": self.usual.tolist(), "keep_missing": self.keep_missing, "output": self.output}

    @classmethod
    def load(cls, folder: Path, described: Mapping[str, Any]) -> Self:
        """Read the files of `export`."""
        content = (folder / described["file"]).read_bytes()
        return cls(
            content,
            np.array(described["usual"], np.float64),
            keep_missing=described["keep_missing"],
            output=described["output"],
        )

    def _prepared(self, x: Matrix) -> Any:
        """Rows in the model's precision, without infinities, and without missing values unless it wants them."""
        rows = x if self.keep_missing else np.where(np.isnan(x), self.usual, x)
        most = np.finfo(self._precision).max
        return np.clip(rows, -most, most).astype(self._precision)

    def _raw(self, rows: Any) -> Vector:
        p = np.array([self.session.run([self.output], {self._input: row[None]})[0].ravel()[-1] for row in rows], np.float64)
        wrong = np.flatnonzero(~((p >= 0) & (p <= 1)))
        if len(wrong):
            raise DataError(
                f"the ONNX model's output {self.output!r} gave {p[wrong[0]]} for a row, which is no probability; name another "
                "output=..., or leave missing values to their medians: keep_missing=False"
            )
        with np.errstate(divide="ignore"):
            result: Vector = np.clip(np.log(p) - np.log1p(-p), -_SURE, _SURE)
        return result

    def _shares(self, row: Any, usual: Any) -> Vector:
        k = len(row)
        without, alone = np.tile(row, (k, 1)), np.tile(usual, (k, 1))
        np.fill_diagonal(without, usual)
        np.fill_diagonal(alone, row)
        raw = self._raw(np.vstack([row[None], without, alone]))
        shares = ((raw[0] - raw[1 : k + 1]) + (raw[k + 1 :] - self.base)) / 2
        left = (raw[0] - self.base) - shares.sum()
        size = np.abs(shares)
        other = row != usual
        share = size / size.sum() if size.any() else other / max(int(other.sum()), 1)
        result: Vector = shares + left * share
        return result

    def _matrix(self, width: int) -> Any:
        """The one input, a matrix as wide as the rows."""
        inputs = self.session.get_inputs()
        shape = inputs[0].shape
        # a dimension that the file leaves open is a name or None
        if len(inputs) == 1 and len(shape) == 2 and inputs[0].type in _ELEMENTS and shape[1] in (width, None, str(shape[1])):
            return inputs[0]
        described = ", ".join(f"{given.name}: {given.type} {given.shape}" for given in inputs)
        raise DataError(
            f"the ONNX model reads {described}, but should read one matrix of float or double with {width} columns, one for "
            "each input of the detector, in their order; set Detector(inputs=[...]) to the model's features"
        )

    def _probability(self) -> str:
        """The output that looks like probabilities: the last matrix or vector of floats."""
        found = [each.name for each in self.session.get_outputs() if each.type in _ELEMENTS]
        if not found:
            described = ", ".join(f"{each.name}: {each.type}" for each in self.session.get_outputs())
            raise DataError(
                f"the ONNX model gives {described}, and no tensor of probabilities; convert it with options={{'zipmap': False}}"
            )
        return str(found[-1])


def _session(content: bytes) -> Any:
    try:
        import onnxruntime
    except ImportError:
        raise ConfigurationError(
            "a model of this detector is an ONNX file, which needs ONNX Runtime; install it with: pip install 'penstock[onnx]'"
        ) from None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # sums in one order, whatever the machine
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    except Exception as cause:  # noqa: BLE001  ONNX Runtime's own exceptions have no common class
        raise DataError(f"the ONNX model cannot be loaded: {cause}") from None
