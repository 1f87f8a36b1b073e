"""Rules of the payments detector: reviews of patterns across users and over two hours, which no signal shows.

They do not fire where the score blocks, so that their figures show what they add.
"""

from penstock import Rule

_NOT_BLOCKED = "coalesce(score, 0) < 0.8"

rules = [
    Rule(
        "shared_device",
        f"(users_of_device_24h >= 3 OR (users_of_device_24h >= 2 AND is_new_device)) AND {_NOT_BLOCKED}",
        then="review",
        reason="{users_of_device_24h:.0f} users paid with this device within 24 hours",
    ),
    Rule(
        "two_countries",
        f"countries_in_person_2h >= 2 AND NOT card_not_present AND foreign_country AND {_NOT_BLOCKED}",
        then="review",
        reason="paid in person in {countries_in_person_2h:.0f} countries within two hours",
    ),
    Rule(
        "card_testing",
        f"amount < 10 AND small_payments_here_30m >= 5 AND is_new_device AND {_NOT_BLOCKED}",
        then="review",
        reason="{small_payments_here_30m:.0f} payments below 10 to {merchant} within 30 minutes, this one from a new device",
    ),
]
