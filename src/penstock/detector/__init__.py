"""One fraud problem, declared once: `detector` declares, `compiler` turns it into the `plan` that is executed."""

from penstock.detector.detector import Detector
from penstock.detector.doubts import DetectorWarning
from penstock.detector.plan import SCORE, Feature, Plan

__all__ = ["SCORE", "Detector", "DetectorWarning", "Feature", "Plan"]
