"""Features of a card payment: pace, habits in the category, travel since the last place, and the merchant.

`payer` is the card, or the user where no card is named. An event that names neither is judged by what is usual in its
category and at its merchant, and by amount, hour and place. Habits leave the event itself out.
"""

from collections.abc import Sequence

from penstock import Entity, derive
from penstock.detector import Feature

payer = Entity("payer")
payer_category = Entity("payer", "category")
payer_merchant = Entity("payer", "merchant")
payer_device = Entity("payer", "device")
payer_region = Entity("payer", "region")
payer_daypart = Entity("payer", "daypart")
category = Entity("category")
merchant = Entity("merchant")
device = Entity("device")
ip = Entity("ip")
place = Entity("latitude", "longitude", name="place")

_clock: Sequence[Feature] = [
    derive("payer", "coalesce(card, user)"),
    derive("hour_of_day", "coalesce(hour, hour(timestamp))"),
    derive("weekday", "coalesce(day_of_week, weekday(timestamp))"),
    derive("is_weekend_day", "weekday >= 5"),
    derive("is_night", "hour_of_day < 6"),
    derive("daypart", "floor(hour_of_day / 4)"),
]

_pace = [
    payer.count("5m").named("count_5m"),
    payer.count("1h").named("count_1h"),
    payer.count("24h").named("count_24h"),
    payer.count("7d").named("count_7d"),
    payer.sum("amount", "1h").named("amount_1h"),
    payer.sum("amount", "24h").named("amount_24h"),
    payer.count("1h", where="amount < 10").named("small_payments_1h"),
    payer.distinct("merchant", "1h").named("merchants_1h"),
    payer.distinct("category", "24h").named("categories_24h"),
    payer.since_last().named("seconds_since_last"),
    payer.since_first().named("seconds_since_first"),
    payer_daypart.count("60d", current=False).named("payments_at_this_hour_60d"),
]

_habit: Sequence[Feature] = [
    payer.count("60d", current=False).named("payments_60d"),
    payer.sum("amount", "60d", current=False).named("spent_60d"),
    payer.mean("amount", "60d", current=False).named("usual_amount"),
    payer.std("amount", "60d", current=False).named("amount_spread"),
    payer.max("amount", "60d", current=False).named("max_amount_60d"),
    payer.mean("amount", "7d", current=False).named("usual_amount_7d"),
    payer_merchant.count("ever", current=False).named("payments_here_before"),
    payer_device.count("ever", current=False).named("payments_on_device_before"),
    payer.distinct("device", "24h").named("devices_24h"),
    payer.label_count("60d", delay="7d").named("known_frauds_60d"),
    derive("amount_ratio", "amount / usual_amount"),
    derive("amount_ratio_7d", "amount / usual_amount_7d"),
    derive("amount_deviation", "(amount - usual_amount) / amount_spread"),
    derive("amount_to_max", "amount / max_amount_60d"),
    derive("amount_24h_to_usual", "amount_24h / usual_amount"),
]

_category: Sequence[Feature] = [
    payer_category.count("60d", current=False).named("payments_in_category_60d"),
    payer_category.count("24h").named("count_in_category_24h"),
    payer_category.sum("amount", "60d", current=False).named("spent_in_category_60d"),
    payer_category.mean("amount", "60d", current=False).named("usual_in_category"),
    payer_category.max("amount", "60d", current=False).named("max_in_category_60d"),
    category.mean("amount", "60d", current=False).named("category_mean_amount"),
    category.std("amount", "60d", current=False).named("category_std_amount"),
    category.label_rate("60d", delay="7d").named("category_fraud_rate"),
    derive("category_share_of_payments", "payments_in_category_60d / payments_60d"),
    derive("category_share_of_spend", "spent_in_category_60d / spent_60d"),
    derive("amount_to_usual_in_category", "amount / usual_in_category"),
    derive("amount_to_max_in_category", "amount / max_in_category_60d"),
    derive("amount_to_category", "amount / category_mean_amount"),
    derive("category_deviation", "(amount - category_mean_amount) / category_std_amount"),
    derive("amount_to_expected", "amount / coalesce(usual_in_category, usual_amount, category_mean_amount)"),
]

_merchant: Sequence[Feature] = [
    merchant.count("10m").named("merchant_count_10m"),
    merchant.count("1h").named("merchant_count_1h"),
    merchant.distinct("payer", "1h").named("merchant_payers_1h"),
    merchant.count("1h", where="amount < 10").named("merchant_small_payments_1h"),
    merchant.mean("amount", "60d", current=False).named("merchant_mean_amount"),
    merchant.count("60d", current=False).named("merchant_payments_60d"),
    merchant.since_first().named("merchant_seconds_since_first"),
    *(merchant.count(days, delay="7d").named(f"merchant_count_{days}_delayed") for days in ("1d", "7d", "30d")),
    *(merchant.label_rate(days, delay="7d").named(f"merchant_fraud_rate_{days}") for days in ("1d", "7d", "30d")),
    device.distinct("payer", "24h").named("payers_of_device_24h"),
    ip.distinct("payer", "24h").named("payers_of_ip_24h"),
    derive("amount_to_merchant", "amount / merchant_mean_amount"),
]

_place: Sequence[Feature] = [
    derive("is_online", "right(lower(category), 4) = '_net'"),
    derive("region", "floor(latitude) * 360 + floor(longitude)"),
    payer_region.count("ever", current=False).named("payments_in_region_before"),
    payer.last("latitude", where="NOT is_online").named("previous_latitude"),
    payer.last("longitude", where="NOT is_online").named("previous_longitude"),
    payer.since_last(where="NOT is_online").named("seconds_since_place"),
    payer.min("latitude", "3h", where="NOT is_online").named("min_latitude_3h"),
    payer.max("latitude", "3h", where="NOT is_online").named("max_latitude_3h"),
    payer.min("longitude", "3h", where="NOT is_online").named("min_longitude_3h"),
    payer.max("longitude", "3h", where="NOT is_online").named("max_longitude_3h"),
    place.count("24h").named("payments_at_place_24h"),
    place.distinct("payer", "1h").named("payers_at_place_1h"),
    derive(
        "km_from_previous",
        "CASE WHEN NOT is_online THEN distance_km(previous_latitude, previous_longitude, latitude, longitude) END",
    ),
    derive("km_across_3h", "distance_km(min_latitude_3h, min_longitude_3h, max_latitude_3h, max_longitude_3h)"),
    derive("km_per_hour", "3600 * km_from_previous / greatest(seconds_since_place, 60)"),
    derive("home_to_merchant_km", "distance_km(home_latitude, home_longitude, latitude, longitude)"),
]

_newcomer = [
    derive("is_new_payer", "payments_60d = 0"),
    derive("is_new_merchant", "merchant_payments_60d = 0"),
    derive("newcomer_amount", "CASE WHEN is_new_payer THEN amount END"),
    derive("is_anonymous", "payer IS NULL"),
]

features: Sequence[Feature] = [*_clock, *_pace, *_habit, *_category, *_merchant, *_place, *_newcomer]

_FOR_OTHERS = {"payer", "daypart", "region", "previous_latitude", "previous_longitude", "spent_60d", "spent_in_category_60d"}
_FOR_OTHERS |= {"seconds_since_place", "min_latitude_3h", "max_latitude_3h", "min_longitude_3h", "max_longitude_3h"}

inputs = ["category", "amount", "age", "city_population", *(f.name for f in features if f.name not in _FOR_OTHERS)]
"""What the models read: category, amount, age, the size of the holder's town, all features but those others are made of."""

words = {
    "amount": "the amount is {amount}",
    "age": "the holder's age",
    "city_population": "the population of where the holder lives",
    "hour_of_day": "the hour",
    "weekday": "the day of the week (Monday is 0)",
    "is_weekend_day": "a payment at the weekend",
    "is_night": "a payment at night",
    "count_5m": "{count} payment(s) with this card within 5 minutes",
    "count_1h": "{count} payment(s) with this card within an hour",
    "count_24h": "{count} payment(s) with this card within 24 hours",
    "count_7d": "{count} payment(s) with this card within 7 days",
    "amount_1h": "{amount} paid by the card within an hour",
    "amount_24h": "{amount} paid by the card within 24 hours",
    "small_payments_1h": "{count} payment(s) below 10 with this card within an hour",
    "merchants_1h": "{count} merchant(s) the card paid within an hour",
    "categories_24h": "{count} categories the card paid in within 24 hours",
    "seconds_since_last": "{duration} after the card's previous payment | no earlier payment with this card",
    "seconds_since_first": "{duration} since the card's first payment | first payment with this card",
    "payments_at_this_hour_60d": "{count} earlier payment(s) with this card at this time of day",
    "payments_60d": "{count} earlier payment(s) with this card in 60 days",
    "usual_amount": "the card's usual payment of 60 days",
    "amount_spread": "the spread of the card's payments",
    "max_amount_60d": "the card's highest payment of 60 days",
    "usual_amount_7d": "the card's usual payment of 7 days",
    "payments_here_before": "{count} earlier payment(s) with this card to this merchant",
    "payments_on_device_before": "{count} earlier payment(s) with this card with this device",
    "devices_24h": "{count} device(s) the card paid with within 24 hours",
    "known_frauds_60d": "{count} known fraud(s) with this card until a week ago",
    "amount_ratio": "the amount is {times} the card's usual payment",
    "amount_ratio_7d": "the amount is {times} the card's usual payment of 7 days",
    "amount_deviation": "{number} standard deviations from the card's usual payment",
    "amount_to_max": "the amount is {times} the card's highest payment of 60 days",
    "amount_24h_to_usual": "what the card paid within 24 hours is {times} its usual payment",
    "payments_in_category_60d": "{count} earlier payment(s) with this card in this category",
    "count_in_category_24h": "{count} payment(s) with this card in this category within 24 hours",
    "usual_in_category": "the card's usual payment in this category",
    "max_in_category_60d": "the card's highest payment in this category",
    "category_mean_amount": "the usual payment in this category",
    "category_std_amount": "the spread of payments in this category",
    "category_fraud_rate": "{share} fraud in this category until a week ago",
    "category_share_of_payments": "{share} for this category in the card's earlier payments",
    "category_share_of_spend": "{share} for this category in what the card spent",
    "amount_to_usual_in_category": "the amount is {times} the card's usual payment in this category",
    "amount_to_max_in_category": "the amount is {times} the card's highest payment in this category",
    "amount_to_category": "the amount is {times} the usual payment in this category",
    "category_deviation": "{number} standard deviations from the usual payment in this category",
    "amount_to_expected": "the amount is {times} what the card usually pays there (for a new one, what others pay)",
    "merchant_count_10m": "{count} payment(s) to this merchant within 10 minutes",
    "merchant_count_1h": "{count} payment(s) to this merchant within an hour",
    "merchant_payers_1h": "{count} card(s) used at this merchant within an hour",
    "merchant_small_payments_1h": "{count} payment(s) below 10 to this merchant within an hour",
    "merchant_mean_amount": "the usual payment to this merchant",
    "merchant_payments_60d": "{count} earlier payment(s) to this merchant in 60 days",
    "merchant_seconds_since_first": "{duration} since the merchant's first payment | first payment at this merchant",
    "merchant_count_1d_delayed": "{count} payment(s) to this merchant on a day a week ago",
    "merchant_count_7d_delayed": "{count} payment(s) to this merchant in a week until a week ago",
    "merchant_count_30d_delayed": "{count} payment(s) to this merchant in 30 days until a week ago",
    "merchant_fraud_rate_1d": "the share of fraud at this merchant on a day a week ago",
    "merchant_fraud_rate_7d": "the share of fraud at this merchant in a week until a week ago",
    "merchant_fraud_rate_30d": "the share of fraud at this merchant in 30 days until a week ago",
    "payers_of_device_24h": "{count} card(s) used with this device within 24 hours",
    "payers_of_ip_24h": "{count} card(s) used from this address within 24 hours",
    "amount_to_merchant": "the amount is {times} the usual payment to this merchant",
    "is_online": "a payment online",
    "payments_in_region_before": "{count} earlier payment(s) with this card in this region",
    "payments_at_place_24h": "{count} payment(s) from this very place within 24 hours",
    "payers_at_place_1h": "{count} card(s) used at this very place within an hour",
    "km_from_previous": "{km} from the card's previous payment",
    "km_across_3h": "{km} between the places the card paid in within 3 hours",
    "km_per_hour": "{number} km/h since the card's previous payment",
    "home_to_merchant_km": "{km} from the holder's home to the merchant",
    "is_new_payer": "a card without payments in 60 days",
    "is_new_merchant": "a merchant without payments in 60 days",
    "newcomer_amount": "the amount of a new card's payment",
    "is_anonymous": "a payment that names neither card nor user",
    "category": "the category",
}
"""How features are said in reasons: see `penstock.decision.phrases`."""
