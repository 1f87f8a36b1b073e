"""The detector of the benchmark of shards: as `_served`, with entities that all contain the customer."""

from _workload import NINE, scoring_detector

from penstock import Entity

own_device, own_merchant = Entity("customer_id", "device_id"), Entity("customer_id", "merchant_id")
features = [
    *NINE[:7],
    own_device.count("24h").named("device_distinct_customer_id_24h"),
    own_merchant.count("1h").named("merchant_count_1h"),
]
detector = scoring_detector(features=features)
