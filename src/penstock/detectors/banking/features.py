"""What is computed for a payment: the customer's pace and habits, the merchant's, the way between two places.

The customer's usual payment leaves the event itself out, so that `amount_ratio` compares it with what came before.
Where a customer is new, what is usual at the merchant speaks; where both are new, the amount itself does: those
features are zero for everybody else, so that a linear model can weigh a stranger's amount apart from a regular's.
"""

from collections.abc import Sequence

from penstock import Entity, derive
from penstock.detector import Feature

customer = Entity("customer_id")
merchant = Entity("merchant_id")
customer_at_merchant = Entity("customer_id", "merchant_id")
place = Entity("lat", "long", name="place")
customer_in_region = Entity("customer_id", "region")
merchant_from_place = Entity("merchant_id", "lat", "long")

_pace = [
    customer.count("1h").named("count_last_1h"),
    customer.sum("amount", "1h").named("amount_last_1h"),
    customer.count("5m").named("count_last_5m"),
    customer.count("24h").named("count_last_24h"),
    customer.sum("amount", "24h").named("amount_last_24h"),
    customer.count("1h", where="amount < 10").named("small_payments_last_1h"),
    customer.distinct("merchant_id", "1h").named("merchants_last_1h"),
    customer.since_last().named("seconds_since_last"),
    customer.since_first().named("seconds_since_first"),
]

_habit = [
    customer.mean("amount", "7d", current=False).named("avg_amount_7d"),
    customer.mean("amount", "60d", current=False).named("avg_amount_60d"),
    customer.max("amount", "60d", current=False).named("max_amount_60d"),
    customer.count("60d", current=False).named("payments_before_60d"),
    customer_at_merchant.count("ever", current=False).named("payments_here_before"),
    derive("amount_ratio", "amount / avg_amount_7d"),
    derive("amount_to_max", "amount / max_amount_60d"),
    derive("hour_of_day", "hour(timestamp)"),
    derive("day_of_week", "weekday(timestamp)"),
    derive("is_night", "hour(timestamp) < 6"),
    derive("solar_hour", "(hour(timestamp) + minute(timestamp) / 60 + coalesce(long, 0) / 15 + 24) % 24"),
]

_merchant = [
    merchant.count("10m").named("merchant_count_10m"),
    merchant.count("1h").named("merchant_count_1h"),
    merchant.distinct("customer_id", "1h").named("merchant_customers_1h"),
    merchant.count("1h", where="amount < 10").named("merchant_small_payments_1h"),
    merchant.count("60d", current=False).named("merchant_payments_before_60d"),
    merchant.mean("amount", "60d", current=False).named("merchant_avg_amount_60d"),
    merchant.std("amount", "60d", current=False).named("merchant_std_amount_60d"),
    merchant.max("amount", "60d", current=False).named("merchant_max_amount_60d"),
    merchant.mean("amount", "10m", current=False).named("merchant_avg_amount_10m"),
    merchant.since_first().named("merchant_seconds_since_first"),
    merchant.label_rate("60d", delay="7d").named("merchant_fraud_rate"),
    derive("amount_to_usual", "amount / coalesce(avg_amount_60d, merchant_avg_amount_60d)"),
    derive("amount_to_merchant", "amount / merchant_avg_amount_60d"),
    derive("merchant_deviation", "(amount - merchant_avg_amount_60d) / merchant_std_amount_60d"),
]

_place = [
    derive("region", "floor(lat) * 360 + floor(long)"),
    customer_in_region.count("ever", current=False).named("payments_in_region_before"),
    customer.last("lat").named("previous_lat"),
    customer.last("long").named("previous_long"),
    customer.mean("lat", "60d", current=False).named("usual_lat"),
    customer.mean("long", "60d", current=False).named("usual_long"),
    merchant.distinct("lat", "7d").named("merchant_places_7d"),
    merchant_from_place.distinct("customer_id", "24h").named("merchant_customers_from_here_24h"),
    place.count("24h").named("payments_at_place_24h"),
    place.distinct("customer_id", "1h").named("customers_at_place_1h"),
    derive("km_from_previous", "distance_km(previous_lat, previous_long, lat, long)"),
    derive("km_from_usual", "distance_km(usual_lat, usual_long, lat, long)"),
    derive("km_per_hour", "3600 * km_from_previous / greatest(seconds_since_last, 60)"),
]

_newcomer = [
    derive("log_amount", "ln(amount + 1)"),
    derive("is_new_customer", "avg_amount_60d IS NULL"),
    derive("is_new_merchant", "merchant_avg_amount_60d IS NULL"),
    derive("is_stranger", "is_new_customer AND is_new_merchant"),
    derive("newcomer_log_amount", "if(is_new_customer, log_amount, 0)"),
    derive("stranger_log_amount", "if(is_stranger, log_amount, 0)"),
]

features: Sequence[Feature] = [*_pace, *_habit, *_merchant, *_place, *_newcomer]

_FOR_OTHERS = {"region", "previous_lat", "previous_long", "usual_lat", "usual_long"}

inputs = [f.name for f in features if f.name not in _FOR_OTHERS]
"""What the models read: every feature but the places that other features are computed from."""
