"""Rules of the e-commerce detector: reviews, and blocks whatever the models say."""

from penstock import Rule

rules = [
    Rule(
        "device_farm",
        "device_users_24h >= 3 AND bought_at_once",
        then="block",
        reason="{device_users_24h:.0f} accounts bought on this device within 24 hours, this one"
        " {time_setup_to_txn_seconds:.0f} s after it was opened",
    ),
    Rule(
        "shared_device",
        "device_users_24h >= 4",
        then="review",
        reason="{device_users_24h:.0f} accounts bought on this device within 24 hours",
    ),
    Rule(
        "device_with_frauds",
        "device_fraud_rate >= 0.5 AND txn_count >= 3",
        then="review",
        reason="{device_fraud_rate:.0%} of what was bought on this device until a week ago was fraud",
    ),
]
