"""From a score and the rules that fired to an action, its reasons, and the JSON that says so."""

from penstock.decision.judge import Judge
from penstock.decision.policy import Policy, Thresholds

__all__ = ["Judge", "Policy", "Thresholds"]
