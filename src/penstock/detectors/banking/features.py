"""Features of a bank payment: pace and habits of the customer and of the merchant, and travel speed.

The customer's usual payment leaves the event itself out, so that `amount_ratio` compares it with what came before.
Where a customer is new, what is usual at the merchant speaks; where both are new, the amount itself does: those
features are null for everybody else, so that a linear model can weigh a stranger's amount apart from a regular's.
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
    customer.sum("amount", "1h", current=False).named("amount_before_1h"),
    customer.sum("amount", "24h", current=False).named("amount_before_24h"),
    customer.since_last().named("seconds_since_last"),
    customer.since_first().named("seconds_since_first"),
]

_habit: Sequence[Feature] = [
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

_merchant: Sequence[Feature] = [
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

_place: Sequence[Feature] = [
    derive("region", "floor(lat) * 360 + floor(long)"),
    customer_in_region.count("ever", current=False).named("payments_in_region_before"),
    customer.last("lat").named("previous_lat"),
    customer.last("long").named("previous_long"),
    customer.mean("lat", "60d", current=False).named("usual_lat"),
    customer.mean("long", "60d", current=False).named("usual_long"),
    customer.min("lat", "3h").named("min_lat_3h"),
    customer.max("lat", "3h").named("max_lat_3h"),
    customer.min("long", "3h").named("min_long_3h"),
    customer.max("long", "3h").named("max_long_3h"),
    merchant.distinct("lat", "7d").named("merchant_places_7d"),
    merchant_from_place.distinct("customer_id", "24h").named("merchant_customers_from_here_24h"),
    place.count("24h").named("payments_at_place_24h"),
    place.distinct("customer_id", "1h").named("customers_at_place_1h"),
    derive("km_from_previous", "distance_km(previous_lat, previous_long, lat, long)"),
    derive("km_from_usual", "distance_km(usual_lat, usual_long, lat, long)"),
    derive("km_across_3h", "distance_km(min_lat_3h, min_long_3h, max_lat_3h, max_long_3h)"),
    derive("km_per_hour", "3600 * km_from_previous / greatest(seconds_since_last, 60)"),
]

_marks: Sequence[Feature] = [
    derive("pays_in_a_row", "count_last_1h >= 4"),
    derive("pays_far_apart", "km_across_3h > 300"),
    derive("crowded_place", "customers_at_place_1h >= 2"),
    derive("crowded_merchant", "merchant_customers_from_here_24h >= 2"),
    derive("is_tested", "amount < 10 AND greatest(small_payments_last_1h, merchant_small_payments_1h) >= 3"),
    derive("newcomer_beside_others", "is_new_customer AND customers_at_place_1h >= 2"),
    derive("newcomer_above_2000", "is_new_customer AND amount > 2000"),
    derive("pays_elsewhere", "payments_in_region_before = 0 AND payments_before_60d >= 3"),
]
"""What stands out, as yes or no: a linear model cannot find such a step by itself."""

_newcomer = [
    derive("is_new_customer", "avg_amount_60d IS NULL"),
    derive("is_new_merchant", "merchant_avg_amount_60d IS NULL"),
    derive("newcomer_amount", "CASE WHEN is_new_customer THEN amount END"),
    derive("stranger_amount", "CASE WHEN is_new_customer AND is_new_merchant THEN amount END"),
]

features: Sequence[Feature] = [*_pace, *_habit, *_merchant, *_place, *_marks, *_newcomer]

_FOR_OTHERS = {"region", "previous_lat", "previous_long", "usual_lat", "usual_long"}
_FOR_OTHERS |= {"min_lat_3h", "max_lat_3h", "min_long_3h", "max_long_3h"}
_FOR_OTHERS |= {"amount_last_1h", "amount_last_24h"}

inputs = ["amount", *(f.name for f in features if f.name not in _FOR_OTHERS)]
"""What the models read: the amount and every feature but places that others are computed from, and sums with this payment
in them, which one large payment raises as a run of small ones does."""

words = {
    "amount": "the amount is {amount}",
    "count_last_1h": "{count} payment(s) by the customer within an hour",
    "amount_last_1h": "{amount} paid by the customer within an hour",
    "amount_before_1h": "{amount} paid by the customer within an hour before",
    "amount_before_24h": "{amount} paid by the customer within 24 hours before",
    "count_last_5m": "{count} payment(s) by the customer within 5 minutes",
    "count_last_24h": "{count} payment(s) by the customer within 24 hours",
    "amount_last_24h": "{amount} paid by the customer within 24 hours",
    "small_payments_last_1h": "{count} payment(s) below 10 by the customer within an hour",
    "merchants_last_1h": "{count} merchant(s) the customer paid within an hour",
    "seconds_since_last": "{duration} after the customer's previous payment | no earlier payment by this customer",
    "seconds_since_first": "{duration} since the customer's first payment | first payment by this customer",
    "avg_amount_7d": "the customer's usual payment of the last 7 days",
    "avg_amount_60d": "the customer's usual payment of the last 60 days",
    "max_amount_60d": "the customer's highest payment of the last 60 days",
    "payments_before_60d": "{count} earlier payment(s) by the customer in 60 days",
    "payments_here_before": "{count} earlier payment(s) by the customer to this merchant",
    "amount_ratio": "the amount is {times} the customer's usual payment of 7 days",
    "amount_to_max": "the amount is {times} the customer's highest payment of 60 days",
    "hour_of_day": "the hour (UTC)",
    "day_of_week": "the day of the week (Monday is 0)",
    "is_night": "a payment at night (UTC)",
    "solar_hour": "the hour by the sun at that place",
    "merchant_count_10m": "{count} payment(s) to this merchant within 10 minutes",
    "merchant_count_1h": "{count} payment(s) to this merchant within an hour",
    "merchant_customers_1h": "{count} customer(s) of this merchant within an hour",
    "merchant_small_payments_1h": "{count} payment(s) below 10 to this merchant within an hour",
    "merchant_payments_before_60d": "{count} earlier payment(s) to this merchant in 60 days",
    "merchant_avg_amount_60d": "the usual payment to this merchant",
    "merchant_std_amount_60d": "the spread of payments to this merchant",
    "merchant_max_amount_60d": "the highest payment to this merchant in 60 days",
    "merchant_avg_amount_10m": "the mean of the merchant's payments of the last 10 minutes",
    "merchant_seconds_since_first": "{duration} since the merchant's first payment | first payment at this merchant",
    "merchant_fraud_rate": "{share} fraud among earlier payments to this merchant",
    "amount_to_usual": "the amount is {times} the customer's usual payment (for a new one, the merchant's)",
    "amount_to_merchant": "the amount is {times} the usual payment to this merchant",
    "merchant_deviation": "{number} standard deviations from the usual payment to this merchant",
    "payments_in_region_before": "{count} earlier payment(s) by the customer in this region",
    "merchant_places_7d": "{count} place(s) this merchant was paid from in 7 days",
    "merchant_customers_from_here_24h": "{count} customer(s) who paid this merchant from this very place in 24 hours",
    "payments_at_place_24h": "{count} payment(s) from this very place in 24 hours",
    "customers_at_place_1h": "{count} customer(s) who paid from this very place within an hour",
    "km_from_previous": "{km} from the customer's previous payment",
    "km_from_usual": "{km} from the customer's usual location",
    "km_across_3h": "{km} between the places the customer paid from within 3 hours",
    "km_per_hour": "{number} km/h since the customer's previous payment",
    "pays_in_a_row": "four or more payments within an hour",
    "pays_far_apart": "payments more than 300 km apart within 3 hours",
    "crowded_place": "another customer at this very place within an hour",
    "crowded_merchant": "another customer who paid this merchant from this very place in 24 hours",
    "is_tested": "one of several payments below 10 within an hour",
    "newcomer_beside_others": "a new customer at a place from which another one paid within an hour",
    "newcomer_above_2000": "a new customer's payment above 2,000",
    "pays_elsewhere": "a known customer in a region they never paid in",
    "is_new_customer": "a customer without payments in 60 days",
    "is_new_merchant": "a merchant without payments in 60 days",
    "newcomer_amount": "the amount of a new customer's payment",
    "stranger_amount": "the amount of a new customer's payment to a new merchant",
}
"""How features are said in reasons: see `penstock.decision.phrases`."""
