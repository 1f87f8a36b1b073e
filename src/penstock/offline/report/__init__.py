"""The report of a training: what was found (`findings`), in pictures (`plots`), as one page (`page`).

Nothing is trained here, and nothing is measured on anything but the test's rows, except where it says validation.
"""

from penstock.offline.report.findings import Findings, investigate
from penstock.offline.report.page import page
from penstock.offline.report.plots import plots

__all__ = ["Findings", "investigate", "page", "plots"]
