"""One fraud problem, declared once: `detector` declares, `compiler` turns it into the `plan` that is executed."""

from penstock.detector.detector import Detector, DetectorWarning
from penstock.detector.plan import SCORE, Feature, Plan
from penstock.detector.recipe import Apart, Recipe

__all__ = ["SCORE", "Apart", "Detector", "DetectorWarning", "Feature", "Plan", "Recipe"]
