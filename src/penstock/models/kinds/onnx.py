"""A user-supplied trained model as an ONNX file."""

from pathlib import Path

from penstock.errors import ConfigurationError
from penstock.models.declared import DeclaredModel, TrainingRows
from penstock.models.linear import medians
from penstock.models.onnx import OnnxMember


class Onnx(DeclaredModel, frozen=True, kw_only=True):
    """An ONNX file that gives the probability of fraud, run by ONNX Runtime: `pip install 'penstock[onnx]'`.

    path: the file; for one next to the detector, `path=str(Path(__file__).parent / "model.onnx")`. It reads one matrix of float
    or double, one column per input of the detector in their order (`Detector(inputs=[...])`), and gives one probability per
    row, or one per class with fraud last. output: the name of that output, where it is not the last one. Nothing is trained:
    `penstock train` calibrates its output on the validation rows and copies the file into the bundle. keep_missing: it is given
    missing values as NaN, instead of the median of the training rows. Its contributions are approximate; see
    `penstock.models.onnx`.

    >>> Onnx(path="bought.onnx", weight=0.5).name
    'onnx'
    """

    path: str = "model.onnx"
    name: str = "onnx"
    output: str = ""
    keep_missing: bool = False

    def __repr__(self) -> str:
        """Without the folder: a detector is the same wherever its files lie."""
        file = Path(self.path).name
        return f"Onnx({file!r}, {self.weight}, {self.name!r}, {self.output!r}, keep_missing={self.keep_missing})"

    def _fitted(self, rows: TrainingRows) -> OnnxMember:
        """Load the file; of the training rows, only the medians are taken.

        Raises:
            ConfigurationError: the file or ONNX Runtime is missing.
            DataError: it reads other columns, or gives no probability.
        """
        try:
            content = Path(self.path).read_bytes()
        except OSError as cause:
            raise ConfigurationError(
                f"model {self.name!r}: the ONNX file {self.path} cannot be read ({cause.strerror}); give its path from "
                "the folder where Penstock is started, or an absolute one"
            ) from None
        return OnnxMember(content, medians(rows.x), keep_missing=self.keep_missing, output=self.output)
