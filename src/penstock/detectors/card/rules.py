"""Rules of the card detector: blocks, and reviews of payments that the model would not block.

Those that ask for a review do not fire where the score blocks, so that their figures tell what they add.
"""

from penstock import Rule

_NOT_BLOCKED = "coalesce(score, 0) < 0.8"

rules = [
    Rule(
        "impossible_travel",
        f"km_from_previous > 500 AND km_per_hour > 2000 AND amount > usual_amount AND {_NOT_BLOCKED}",
        then="review",
        reason="{km_from_previous:.0f} km from the card's previous payment, at {km_per_hour:.0f} km/h",
    ),
    Rule(
        "card_testing",
        "amount < 10 AND small_payments_1h >= 5",
        then="block",
        reason="{small_payments_1h:.0f} payments below 10 with this card within an hour",
    ),
    Rule(
        "shared_device",
        f"payers_of_device_24h >= 4 AND {_NOT_BLOCKED}",
        then="review",
        reason="{payers_of_device_24h:.0f} cards were used with this device within 24 hours",
    ),
]
