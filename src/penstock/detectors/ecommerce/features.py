"""Features of a purchase: history of the device, other users of device and address, and the account's age.

A device is consistent in its address (or in how its users came) where it has no history yet, or where exactly one is
known and it is this one; a purchase without an address is not consistent with a known one.
"""

from collections.abc import Sequence
from pathlib import Path

from penstock import Entity, derive, lookup
from penstock.detector import Feature

RANGES, GDP = "IpAddress_to_Country", "gdp_usd"
"""The files of the `lookups` folder: ranges of IPv4 numbers with their country, and gross domestic product by country
and year. The package ships neither; without them both features are null."""

device = Entity("device_id")
ip = Entity("ip_address", name="ip")
user = Entity("user_id")

_device = [
    device.count("ever").named("txn_count"),
    device.since_last().named("time_since_last_device_txn"),
    device.since_first().named("device_seconds_since_first"),
    device.mean("purchase_value", "ever", current=False).named("device_mean_value"),
    device.distinct("ip_address", "ever", current=False).named("device_ips_before"),
    device.last("ip_address").named("device_last_ip"),
    device.distinct("source", "ever", current=False).named("device_sources_before"),
    device.last("source").named("device_last_source"),
    device.distinct("user_id", "ever").named("device_users"),
    device.distinct("user_id", "24h").named("device_users_24h"),
    device.count("1h").named("device_count_1h"),
    device.label_rate("ever", delay="7d").named("device_fraud_rate"),
]

_address = [
    ip.count("24h").named("ip_count_24h"),
    ip.distinct("user_id", "24h").named("ip_users_24h"),
    ip.distinct("user_id", "ever").named("ip_users"),
    ip.distinct("device_id", "24h").named("ip_devices_24h"),
    ip.since_last().named("ip_seconds_since_last"),
    ip.label_rate("90d", delay="7d").named("ip_fraud_rate"),
]

_user = [
    user.count("24h").named("user_count_24h"),
    user.count("ever", current=False).named("user_purchases_before"),
    user.sum("purchase_value", "24h").named("user_value_24h"),
    user.mean("purchase_value", "90d", current=False).named("user_mean_value"),
    user.since_last().named("user_seconds_since_last"),
    user.distinct("device_id", "7d").named("user_devices_7d"),
    user.distinct("ip_address", "24h").named("user_ips_24h"),
    user.last("device_id").named("user_last_device"),
]

_derived = [
    derive(
        "device_ip_consistency",
        "device_ips_before = 0 OR (device_ips_before = 1 AND coalesce(device_last_ip = ip_address, FALSE))",
    ),
    derive(
        "device_source_consistency",
        "device_sources_before = 0 OR (device_sources_before = 1 AND coalesce(device_last_source = source, FALSE))",
    ),
    derive("time_setup_to_txn_seconds", "purchase_time - signup_time"),
    derive("purchase_deviation_from_device_mean", "coalesce(abs(purchase_value - device_mean_value), 0)"),
    derive("device_lifespan", "coalesce(device_seconds_since_first, 0)"),
    derive("value_to_users_usual", "purchase_value / user_mean_value"),
    derive("is_users_device", "user_last_device = device_id"),
    derive("bought_at_once", "time_setup_to_txn_seconds < 120"),
    derive("purchase_year", "year(purchase_time)"),
    derive("hour_of_day", "hour(purchase_time)"),
    derive("day_of_week", "weekday(purchase_time)"),
    derive("is_male", "sex = 'M'"),
    derive("from_ads", "source = 'Ads'"),
    derive("from_search", "source = 'SEO'"),
    *(derive(f"uses_{name.lower()}", f"browser = '{name}'") for name in ("Chrome", "FireFox", "IE", "Opera", "Safari")),
]

features: Sequence[Feature] = [*_device, *_address, *_user, *_derived]


def looked_up(folder: Path | None) -> Sequence[Feature]:
    """Country by address, and that country's gross domestic product in the year; null where there is no file."""
    ranges, gdp = _file(folder, RANGES), _file(folder, GDP)
    return [
        lookup("country", "ip_address", ranges=str(ranges)) if ranges is not None else derive("country", "nullif('', '')"),
        lookup("gdp_usd_millions", ("country", "purchase_year"), table=str(gdp))
        if gdp is not None
        else derive("gdp_usd_millions", "nullif(0, 0)"),
    ]


def _file(folder: Path | None, stem: str) -> Path | None:
    """The table of this name: CSV, else Parquet, else Excel."""
    named = [] if folder is None else [folder / f"{stem}{ending}" for ending in (".csv", ".parquet", ".xlsx")]
    return next((path for path in named if path.is_file()), None)


_FOR_OTHERS = {"device_last_ip", "device_last_source", "device_mean_value", "device_seconds_since_first", "user_last_device"}

inputs = [
    "purchase_value",
    "age",
    *(f.name for f in features if f.name not in _FOR_OTHERS | {"purchase_year"}),
    "gdp_usd_millions",
]
"""What the models read: value, age, and every number and yes-or-no but those that other features are made of."""

words = {
    "purchase_value": "the value of the purchase",
    "age": "the user's age",
    "txn_count": "{count} purchase(s) on this device",
    "time_since_last_device_txn": "{duration} after the device's previous purchase | no earlier purchase of the device",
    "device_ips_before": "{count} addresses the device came from before",
    "device_sources_before": "{count} source(s) the device's users came from before",
    "device_users": "{count} account(s) that bought on this device",
    "device_users_24h": "{count} account(s) that bought on this device within 24 hours",
    "device_count_1h": "{count} purchase(s) on this device within an hour",
    "device_fraud_rate": "{share} fraud among what was bought on this device until a week ago",
    "ip_count_24h": "{count} purchase(s) from this address within 24 hours",
    "ip_users_24h": "{count} account(s) that bought from this address within 24 hours",
    "ip_users": "{count} account(s) that bought from this address",
    "ip_devices_24h": "{count} device(s) at this address within 24 hours",
    "ip_seconds_since_last": "{duration} after the previous purchase from this address | no earlier purchase from this address",
    "ip_fraud_rate": "{share} fraud among what was bought from this address until a week ago",
    "user_count_24h": "{count} purchase(s) by the account within 24 hours",
    "user_purchases_before": "{count} earlier purchase(s) by the account",
    "user_value_24h": "{amount} bought by the account within 24 hours",
    "user_mean_value": "the account's usual purchase",
    "user_seconds_since_last": "{duration} after the account's previous purchase | no earlier purchase of the account",
    "user_devices_7d": "{count} device(s) of this account in 7 days",
    "user_ips_24h": "{count} addresses of this account within 24 hours",
    "device_ip_consistency": "the address is the device's only one",
    "device_source_consistency": "the source is the device's only one",
    "time_setup_to_txn_seconds": "{duration} from sign-up to purchase",
    "purchase_deviation_from_device_mean": "the distance from the usual purchase on this device",
    "device_lifespan": "{duration} since the device was first seen | first seen with this event",
    "value_to_users_usual": "the value is {times} the account's usual purchase",
    "is_users_device": "the device is the one the account used before",
    "bought_at_once": "bought within two minutes of signing up",
    "hour_of_day": "the hour (UTC)",
    "day_of_week": "the day of the week (Monday is 0)",
    "is_male": "the user is male",
    "from_ads": "the user came by an advertisement",
    "from_search": "the user came by a search",
    "gdp_usd_millions": "the gross domestic product of the address's country in million US dollars",
}
"""How features are said in reasons: see `penstock.decision.phrases`."""
