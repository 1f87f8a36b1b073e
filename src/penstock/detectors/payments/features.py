"""Features of a payment: the seventeen signals that the models read, and further ones for the rules.

A user's habits leave the event itself out; counts within minutes contain it. What is usual for a user rests on ninety
days, so that a habit can change. A device is new for a day: somebody who takes over an account pays with it more than once.
"""

from collections.abc import Sequence

from penstock import Entity, derive, lookup
from penstock.detector import Feature

COUNTRIES = "countries.csv"
"""How countries are written, in small letters, and their ISO 3166 code: usual names and both codes."""

user = Entity("user_id")
user_device = Entity("user_id", "device_id", name="user_device")
user_country = Entity("user_id", "country")
user_merchant = Entity("user_id", "merchant")
user_amount = Entity("user_id", "amount")
device = Entity("device_id")
merchant = Entity("merchant")

_LAST_PART = """
CASE WHEN location LIKE '%,%,%,%' THEN lower(trim(split_part(location, ',', 4)))
     WHEN location LIKE '%,%,%' THEN lower(trim(split_part(location, ',', 3)))
     WHEN location LIKE '%,%' THEN lower(trim(split_part(location, ',', 2)))
     ELSE lower(trim(location)) END
"""

_place: Sequence[Feature] = [
    derive("written_country", _LAST_PART),
    lookup("country_code", "written_country", table=COUNTRIES, key_columns="written", value="country"),
    derive("country", "coalesce(country_code, nullif(written_country, ''))"),
    user.last("country").named("previous_country"),
    user.count("90d", where="country IS NOT NULL", current=False).named("payments_somewhere_90d"),
    user_country.count("90d", current=False).named("payments_in_country_90d"),
]

_habit: Sequence[Feature] = [
    user.mean("amount", "90d", current=False).named("mean_amount_90d"),
    user.std("amount", "90d", current=False).named("std_amount_90d"),
    user_device.since_first().named("device_seconds_since_first"),
    user_amount.count("1h").named("same_amount_1h"),
    user.count("60s").named("count_60s"),
]

signals: Sequence[Feature] = [
    derive("hour_of_day", "hour(timestamp)"),
    derive("day_of_week", "weekday(timestamp)"),
    derive("weekend", "is_weekend(timestamp)"),
    user.count("1m").named("count_last_1m"),
    user.sum("amount", "1m").named("amount_last_1m"),
    user.count("5m").named("count_last_5m"),
    user.sum("amount", "5m").named("amount_last_5m"),
    derive("is_new_device", "CASE WHEN device_id IS NOT NULL THEN coalesce(device_seconds_since_first < 86400, TRUE) END"),
    user.distinct("device_id", "24h").named("devices_24h"),
    derive("location_changed", "country <> previous_country"),
    derive("foreign_country", "2 * payments_in_country_90d < payments_somewhere_90d"),
    derive("amount_deviation", "(amount - mean_amount_90d) / std_amount_90d"),
    user_merchant.count("90d", current=False).named("payments_here_90d"),
    derive("card_not_present", "lower(transaction_type) = 'online'"),
    derive("rapid_succession", "count_60s >= 5"),
    derive("repeated_amount", "same_amount_1h >= 2"),
]
"""Sixteen of the seventeen signals; the seventeenth is the amount itself."""

_for_rules: Sequence[Feature] = [
    user.distinct("country", "2h", where="NOT card_not_present").named("countries_in_person_2h"),
    device.distinct("user_id", "24h").named("users_of_device_24h"),
    merchant.count("30m", where="amount < 10").named("small_payments_here_30m"),
    merchant.distinct("user_id", "24h").named("users_here_24h"),
    merchant.since_first().named("merchant_seconds_since_first"),
    merchant.mean("amount", "90d").named("merchant_mean_amount_90d"),
]

features: Sequence[Feature] = [*_place, *_habit, *signals, *_for_rules]

inputs = ["amount", *(signal.name for signal in signals)]
"""What the models read: the seventeen signals and nothing else."""

words = {
    "amount": "the amount is {amount}",
    "hour_of_day": "the hour (UTC)",
    "day_of_week": "the day of the week (Monday is 0)",
    "weekend": "a payment at the weekend",
    "count_last_1m": "{count} payment(s) by the user within a minute",
    "amount_last_1m": "{amount} paid by the user within a minute",
    "count_last_5m": "{count} payment(s) by the user within 5 minutes",
    "amount_last_5m": "{amount} paid by the user within 5 minutes",
    "is_new_device": "a device the user first paid with less than a day ago",
    "devices_24h": "{count} device(s) of the user within 24 hours",
    "location_changed": "another country than that of the user's previous payment",
    "foreign_country": "a country that is not the user's usual one",
    "amount_deviation": "{number} standard deviations from the user's usual payment",
    "payments_here_90d": "{count} earlier payment(s) by the user to this merchant in 90 days",
    "card_not_present": "a payment online, without the card",
    "rapid_succession": "five payments within 60 seconds",
    "repeated_amount": "the same amount as an hour ago or less",
    "countries_in_person_2h": "{count} countries the user paid in within two hours, not online",
    "users_of_device_24h": "{count} user(s) who paid with this device within 24 hours",
    "small_payments_here_30m": "{count} payment(s) below 10 to this merchant within 30 minutes",
    "users_here_24h": "{count} user(s) of this merchant within 24 hours",
    "mean_amount_90d": "the user's usual payment of 90 days",
}
"""How features are said in reasons: see `penstock.decision.phrases`."""
