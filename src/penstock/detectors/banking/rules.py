"""Rules of the banking detector: payments that are never accepted, whatever the models say."""

from penstock import Rule

rules = [
    Rule(
        "amount_spike",
        "amount_ratio > 3",
        then="block",
        reason="{amount:.2f} is {amount_ratio:.1f} times the {avg_amount_7d:.2f} this customer paid on average in 7 days",
    ),
    Rule(
        "night_high_value",
        "is_night AND amount > 2000",
        then="block",
        reason="{amount:.2f} is a high amount for a payment at night (at {hour_of_day:.0f} o'clock UTC)",
    ),
]
