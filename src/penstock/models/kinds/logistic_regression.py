"""Logistic regression over fitted, monotone transforms of the features, served in closed form by `LinearMember`."""

from typing import Literal

import numpy as np

from penstock.errors import DeclarationError
from penstock.models.declared import DeclaredModel, TrainingRows
from penstock.models.imbalance import Imbalance
from penstock.models.linear import LinearMember, Preprocessing


class LogisticRegression(DeclaredModel, frozen=True, kw_only=True):
    """L2-regularised logistic regression; C is the inverse of the penalty's strength. class_weight
    "balanced" makes both classes weigh the same, which calibration makes unnecessary and which costs ranking (on the
    Handbook's card data .05 of average precision). imbalance: see `penstock.models.imbalance`; "weights" is the same thing.

    Before it, everything fitted on the training rows and written into the bundle: a missing value becomes the median
    and, where training had missing values in that feature, carries a separate weight. transform "auto" takes, per
    feature, whichever of x and sign(x) log(1 + |x|) goes better with the outcome (amounts have heavy tails), "standard"
    always x. Then the feature is standardised. With clip, values beyond the training range count as the range's end,
    so that no single strange number outvotes everything else.

    >>> LogisticRegression(weight=0.5).transform
    'auto'
    """

    name: str = "logistic_regression"
    C: float = 1.0
    class_weight: Literal["balanced"] | None = None
    transform: Literal["auto", "standard"] = "auto"
    clip: bool = True
    imbalance: Imbalance = "none"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.C < float("inf"):
            raise DeclarationError(f"model {self.name!r} has C = {self.C}; it must be above 0")

    def _fitted(self, rows: TrainingRows) -> LinearMember:
        """Train; see the port. The optimum is unique: the seed is for resampling."""
        from sklearn.linear_model import LogisticRegression as Solver
        from threadpoolctl import threadpool_limits

        preprocessing = Preprocessing.fit(rows.x, rows.y, logarithms=self.transform == "auto", clip=self.clip)
        solver = Solver(C=self.C, class_weight=self.class_weight, solver="newton-cholesky", tol=1e-8, random_state=rows.seed)
        with threadpool_limits(1):  # sums in another order would give other last digits
            solver.fit(preprocessing.design(rows.x), rows.y, sample_weight=rows.weights)
        coefficients = solver.coef_[0].astype(np.float64)
        return LinearMember(preprocessing, coefficients, float(solver.intercept_[0]))
