"""Features of a movement: the history of both accounts, and money that passes through one within minutes.

An account sends and receives: one thing in two roles, in one row. Features without `receiver` in their name are of the
account that sends. Balances after the movement (`newbalanceOrig`, `newbalanceDest`) are not known when it is decided,
and nothing here reads them, nor what an upstream system flagged.
"""

from collections.abc import Sequence

from penstock import Entity, derive
from penstock.detector import Feature

account = Entity("account", roles={"sent": "nameOrig", "received": "nameDest"})
pair = Entity("nameOrig", "nameDest", name="pair")

_movement: Sequence[Feature] = [
    derive("hour_of_day", "hour(timestamp)"),
    derive("is_transfer", "type = 'TRANSFER'"),
    derive("is_cash_out", "type = 'CASH_OUT'"),
    derive("is_cash_in", "type = 'CASH_IN'"),
    derive("takes_out", "is_transfer OR is_cash_out"),
    derive("amount_to_balance", "amount / oldbalanceOrg"),
    derive("leaves_nothing", "amount >= oldbalanceOrg"),
]

_sender: Sequence[Feature] = [
    account.count("10m", role="sent").named("sent_count_10m"),
    account.count("1h", role="sent").named("sent_count_1h"),
    account.count("24h", role="sent").named("sent_count_24h"),
    account.sum("amount", "1h", role="sent", where="takes_out").named("sent_1h"),
    account.sum("amount", "24h", role="sent", where="takes_out").named("sent_24h"),
    account.count("30d", role="sent", current=False).named("sent_count_30d_before"),
    account.mean("amount", "30d", role="sent", where="takes_out", current=False).named("usual_sent"),
    account.max("amount", "30d", role="sent", where="takes_out", current=False).named("max_sent"),
    account.since_last(role="sent").named("seconds_since_sent"),
    account.since_first().named("seconds_since_first"),
    account.distinct("nameDest", "24h", role="sent").named("fan_out_24h"),
    derive("amount_to_usual", "amount / usual_sent"),
    derive("amount_to_max", "amount / max_sent"),
]

_through: Sequence[Feature] = [
    account.sum("amount", "10m", role="received", where="is_transfer", current=False).named("received_10m"),
    account.sum("amount", "1h", role="received", where="is_transfer", current=False).named("received_1h"),
    account.sum("amount", "24h", role="received", where="is_transfer", current=False).named("received_24h"),
    account.sum("amount", "1h", role="sent", where="is_cash_in").named("cashed_in_1h"),
    account.since_last(role="received").named("seconds_since_received"),
    account.distinct("nameOrig", "24h", role="received").named("fan_in_24h"),
    account.last("amount", role="received").named("last_received"),
    derive("passes_on_10m", "amount / nullif(received_10m, 0)"),
    derive("passes_on_24h", "amount / nullif(received_24h, 0)"),
    derive("passes_on_last", "amount / nullif(last_received, 0)"),
    derive("in_and_out", "coalesce(takes_out AND received_1h > 0 AND sent_1h >= 0.7 * received_1h, FALSE)"),
]

_receiver: Sequence[Feature] = [
    account.count("24h", role="received", at="received").named("receiver_count_24h"),
    account.sum("amount", "24h", role="received", at="received", where="is_transfer").named("receiver_received_24h"),
    account.distinct("nameOrig", "24h", role="received", at="received").named("receiver_fan_in_24h"),
    account.distinct("nameOrig", "1h", role="received", at="received").named("receiver_fan_in_1h"),
    account.distinct("nameDest", "24h", role="sent", at="received").named("receiver_fan_out_24h"),
    account.count("30d", role="received", at="received", current=False).named("receiver_count_30d_before"),
    account.mean("amount", "30d", role="received", at="received", current=False).named("receiver_usual"),
    account.sum("amount", "1h", role="sent", at="received", where="is_cash_out").named("receiver_cashed_out_1h"),
    account.since_first(at="received").named("receiver_seconds_since_first"),
    account.label_count("30d", delay="7d", role="received", at="received").named("receiver_known_frauds_30d"),
    derive("amount_to_receiver_usual", "amount / receiver_usual"),
]

_pair: Sequence[Feature] = [
    pair.count("ever", current=False).named("movements_to_receiver_before"),
    derive("is_new_counterparty", "movements_to_receiver_before = 0"),
    account.distinct("nameDest", "30d", role="sent", current=False).named("counterparties_30d_before"),
]

features: Sequence[Feature] = [*_movement, *_sender, *_through, *_receiver, *_pair]

_FOR_OTHERS = {"takes_out", "last_received"}

inputs = ["type", "amount", "oldbalanceOrg", "oldbalanceDest", *(f.name for f in features if f.name not in _FOR_OTHERS)]
"""What the models read: type, amount, the balances before the movement, and every feature but those others are made of."""

words = {
    "type": "the type of movement",
    "amount": "the amount is {amount}",
    "oldbalanceOrg": "what the account held before",
    "oldbalanceDest": "what the receiver held before",
    "hour_of_day": "the hour (UTC)",
    "is_transfer": "a transfer",
    "is_cash_out": "a withdrawal at an agent",
    "is_cash_in": "a deposit at an agent",
    "amount_to_balance": "the amount is {times} what the account holds",
    "leaves_nothing": "a movement that empties the account",
    "sent_count_10m": "{count} movement(s) by the account within 10 minutes",
    "sent_count_1h": "{count} movement(s) by the account within an hour",
    "sent_count_24h": "{count} movement(s) by the account within 24 hours",
    "sent_1h": "{amount} sent and cashed out by the account within an hour",
    "sent_24h": "{amount} sent and cashed out by the account within 24 hours",
    "sent_count_30d_before": "{count} earlier movement(s) by the account in 30 days",
    "usual_sent": "what the account usually sends or cashes out",
    "max_sent": "the most that the account sent or cashed out in 30 days",
    "seconds_since_sent": "{duration} after the account's previous movement | no earlier movement of the account",
    "seconds_since_first": "{duration} since the account was first seen | first seen with this event",
    "fan_out_24h": "{count} account(s) it paid within 24 hours",
    "amount_to_usual": "the amount is {times} what the account usually sends",
    "amount_to_max": "the amount is {times} the most that the account sent in 30 days",
    "received_10m": "{amount} transferred to the account within 10 minutes",
    "received_1h": "{amount} transferred to the account within an hour",
    "received_24h": "{amount} transferred to the account within 24 hours",
    "cashed_in_1h": "{amount} cashed in by the account within an hour",
    "seconds_since_received": "{duration} since the account received money | the account never received money",
    "fan_in_24h": "{count} account(s) that paid it within 24 hours",
    "passes_on_10m": "the amount is {times} what the account received within 10 minutes",
    "passes_on_24h": "the amount is {times} what the account received within 24 hours",
    "passes_on_last": "the amount is {times} what the account received last",
    "in_and_out": "money that leaves within an hour of its arrival",
    "receiver_count_24h": "{count} receipt(s) by the receiver within 24 hours",
    "receiver_received_24h": "{amount} transferred to the receiver within 24 hours",
    "receiver_fan_in_24h": "{count} account(s) that paid the receiver within 24 hours",
    "receiver_fan_in_1h": "{count} account(s) that paid the receiver within an hour",
    "receiver_fan_out_24h": "{count} account(s) that the receiver paid within 24 hours",
    "receiver_count_30d_before": "{count} earlier receipt(s) by the receiver in 30 days",
    "receiver_usual": "what the receiver usually receives",
    "receiver_cashed_out_1h": "{amount} cashed out by the receiver within an hour",
    "receiver_seconds_since_first": "{duration} since the receiver was first seen | first seen with this event",
    "receiver_known_frauds_30d": "{count} known fraud(s) among what the receiver received until a week ago",
    "amount_to_receiver_usual": "the amount is {times} what the receiver usually receives",
    "movements_to_receiver_before": "{count} earlier movement(s) by the account to this receiver",
    "is_new_counterparty": "a receiver the account never paid",
    "counterparties_30d_before": "{count} account(s) it paid in 30 days",
}
"""How features are said in reasons: see `penstock.decision.phrases`."""
