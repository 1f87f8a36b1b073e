"""The detector of the HTTP benchmark with fifty rules: each of its ten at five thresholds."""

import re

from _workload import RULES, scoring_detector

from penstock import Rule


def stricter(rule: Rule, step: int) -> Rule:
    """The rule with its lower limits raised."""
    when = re.sub(r"(>=?) (\d+)", lambda at: f"{at[1]} {int(at[2]) + step}", rule.when)
    return Rule(f"{rule.name}_{step}", when, then=rule.then)


detector = scoring_detector([stricter(rule, step) for rule in RULES for step in range(5)])
