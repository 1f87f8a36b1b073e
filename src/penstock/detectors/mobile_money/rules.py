"""Rules of the mobile money detector: blocks, and reviews of movements that the model does not block."""

from penstock import Rule

rules = [
    Rule(
        "flagged_by_source",
        "isFlaggedFraud = 1",
        then="block",
        hard=True,
        reason="the system that sent it had flagged it as fraud",
    ),
    Rule(
        "mule_account",
        "in_and_out AND fan_in_24h >= 3 AND seconds_since_first < 2592000 AND coalesce(score, 0) < 0.8",
        then="review",
        reason="{fan_in_24h:.0f} accounts paid this one within 24 hours, and the money leaves within an hour",
    ),
]
