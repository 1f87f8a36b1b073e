"""The training report: results (`findings`), charts (`plots`), and one HTML page (`page`).

Nothing is trained here. All figures are of the test rows, unless marked as validation.
"""

from penstock.offline.report.findings import Findings, investigate
from penstock.offline.report.page import page
from penstock.offline.report.plots import plots

__all__ = ["Findings", "investigate", "page", "plots"]
