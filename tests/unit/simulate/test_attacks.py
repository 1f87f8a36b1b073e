"""Each attack does what its name says."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from penstock.detectors.banking.profile import profile as banking
from penstock.detectors.card.profile import profile as card
from penstock.detectors.ecommerce.profile import profile as ecommerce
from penstock.detectors.mobile_money.profile import profile as mobile_money
from penstock.detectors.payments.profile import profile as by_users
from penstock.errors import ConfigurationError
from penstock.offline.simulate import Profile, Simulator, all_attacks, attack_shares, known, simulate
from penstock.offline.simulate.cities import distance_km

START = datetime(2026, 3, 1, tzinfo=UTC)
RINGS = {"quiet_farm": by_users, "synthetic_identities": ecommerce, "rotating_mules": mobile_money}
"""Attacks on request, each with a profile that has it."""
PROFILES = [banking, card, ecommerce, mobile_money, by_users]


def attack(name: str, profile: Profile = banking, strength: float = 0.8, seed: int = 1) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The events of one attack in a quiet world, and everything that happened in its time and before."""
    running = Simulator(profile, seed=seed, start=START, people=300, fraud_rate=0.0)
    before = running.batch(3000)
    ids = set(running.attack(name, strength))
    frames = [before]
    while ids - set(pl.concat(frames)[profile.id]):
        frames.append(running.batch(500))
    everything = pl.concat(frames)
    return everything.filter(pl.col("attack") == name), everything


def most_within(frame: pl.DataFrame, key: str, window: str, time: str = "timestamp") -> int:
    """The most events of one key within a window."""
    counted = frame.sort(time).rolling(time, period=window, group_by=key).agg(pl.len().alias("n"))
    return counted["n"].max()


def spans(frame: pl.DataFrame, time: str = "timestamp") -> timedelta:
    return frame[time].max() - frame[time].min()


@pytest.fixture(params=range(4))
def seed(request: pytest.FixtureRequest) -> int:
    return request.param


def test_there_are_six_with_cards_and_four_with_wallets():
    assert list(attack_shares(banking, None)) == [
        "account_takeover",
        "card_testing",
        "device_farm",
        "impossible_travel",
        "merchant_collusion",
        "velocity_burst",
    ]
    assert list(attack_shares(mobile_money, None)) == ["cash_out_burst", "collecting_scam", "mule_chain", "wallet_drain"]
    assert set(known()) == {*attack_shares(banking, None), *attack_shares(mobile_money, None), *RINGS}


def test_attacks_on_wallets_do_not_happen_where_there_are_none():
    with pytest.raises(ConfigurationError, match="there is no attack 'mule_chain' on banking; known: account_takeover"):
        attack("mule_chain", banking)


@pytest.mark.parametrize("strength", [0.5, *(pytest.param(end, marks=pytest.mark.slow) for end in (0.05, 1.0))])
@pytest.mark.parametrize("profile", PROFILES, ids=lambda profile: profile.name)
def test_every_attack_of_a_profile_works_at_every_strength(profile, strength):
    for name in attack_shares(profile, None):
        frauds, _ = attack(name, profile, strength)
        assert 2 <= len(frauds) <= 150, name


def test_card_testing_tries_small_amounts_within_minutes_at_one_merchant_then_takes_much(seed):
    frauds, _ = attack("card_testing", seed=seed)
    small = frauds.filter(pl.col("amount") < 12)
    assert most_within(small, "merchant_id", "30m") > 10
    assert small["merchant_id"].n_unique() == 1
    big = frauds.filter(pl.col("amount") > 1000)
    assert set(big["customer_id"]) <= set(small["customer_id"])
    if len(big):
        assert big["timestamp"].min() > small["timestamp"].max()


def test_card_testing_sometimes_tries_one_card_again_and_again():
    most = [
        most_within(attack("card_testing", seed=seed)[0].filter(pl.col("amount") < 12), "customer_id", "30m")
        for seed in range(8)
    ]
    assert max(most) > 10
    assert min(most) < 10


def test_account_takeover_drains_a_known_account_from_a_new_place(seed):
    frauds, everything = attack("account_takeover", seed=seed)
    assert frauds["customer_id"].n_unique() == 1
    own = everything.filter((pl.col("customer_id") == frauds["customer_id"][0]) & pl.col("attack").is_null())
    assert len(own)
    assert frauds["amount"].mean() > 2 * own["amount"].median()
    assert len(frauds) >= 3


def test_a_stealthy_takeover_is_slow_and_stays_in_the_victims_city():
    frauds, everything = attack("account_takeover", strength=0.1)
    assert spans(frauds) > timedelta(hours=2)
    own = everything.filter((pl.col("customer_id") == frauds["customer_id"][0]) & pl.col("attack").is_null())
    way = distance_km(own["lat"].to_numpy(), own["long"].to_numpy(), frauds["lat"][0], frauds["long"][0])
    assert way.min() < 60


def test_velocity_burst_pays_again_and_again_with_one_card(seed):
    frauds, _ = attack("velocity_burst", seed=seed)
    assert frauds["customer_id"].n_unique() == 1
    assert most_within(frauds, "customer_id", "30m") >= 10


def test_device_farm_opens_accounts_on_few_devices_and_buys_soon(seed):
    frauds, _ = attack("device_farm", ecommerce, seed=seed)
    assert frauds["user_id"].n_unique() >= 10
    assert frauds["device_id"].n_unique() <= 4
    assert frauds["ip_address"].n_unique() <= 4
    age = (frauds["purchase_time"] - frauds["signup_time"]).dt.total_minutes()
    assert age.min() >= 0
    assert age.median() < 30


def test_impossible_travel_pays_far_away_while_the_owner_pays_at_home(seed):
    frauds, everything = attack("impossible_travel", seed=seed)
    own = everything.filter((pl.col("customer_id") == frauds["customer_id"][0]) & pl.col("attack").is_null())
    before = own.filter(pl.col("timestamp") < frauds["timestamp"].min()).tail(1)
    hours = (frauds["timestamp"].min() - before["timestamp"][0]).total_seconds() / 3600
    way = distance_km(before["lat"][0], before["long"][0], frauds["lat"][0], frauds["long"][0])
    assert way / hours > 1200


def test_merchant_collusion_takes_high_amounts_at_merchants_nobody_knew(seed):
    frauds, everything = attack("merchant_collusion", seed=seed)
    honest = everything.filter(pl.col("attack").is_null())
    assert not set(frauds["merchant_id"]) & set(honest["merchant_id"])
    assert frauds["amount"].min() > 10 * honest["amount"].median()
    assert frauds["customer_id"].n_unique() > 2 or len(frauds) < 5


def wallets(name: str, seed: int) -> pl.DataFrame:
    """The frauds of one attack on wallets."""
    return attack(name, mobile_money, seed=seed)[0].sort("timestamp")


def test_a_wallet_drain_moves_what_there_is_to_a_mule_who_cashes_it_out(seed):
    frauds = wallets("wallet_drain", seed)
    sent, cashed = frauds.filter(pl.col("type") == "TRANSFER"), frauds.filter(pl.col("type") == "CASH_OUT")
    assert set(cashed["nameOrig"]) <= set(sent["nameDest"])
    last = sent.group_by("nameOrig").last()
    assert (last["newbalanceOrig"] / last["oldbalanceOrg"]).median() < 0.3


def test_a_mule_chain_passes_money_from_account_to_account(seed):
    frauds = wallets("mule_chain", seed)
    sent = frauds.filter(pl.col("type") == "TRANSFER")
    passed_on = sent.filter(pl.col("nameOrig").is_in(sent["nameDest"]))
    assert len(passed_on) >= 2
    assert set(frauds.filter(pl.col("type") == "CASH_OUT")["nameOrig"]) <= set(sent["nameDest"])


def test_a_collecting_scam_gathers_the_money_of_many(seed):
    frauds = wallets("collecting_scam", seed)
    sent = frauds.filter(pl.col("type") == "TRANSFER")
    assert sent["nameDest"].n_unique() == 1
    assert sent["nameOrig"].n_unique() >= 6
    assert set(frauds.filter(pl.col("type") == "CASH_OUT")["nameOrig"]) == set(sent["nameDest"])


def test_a_cash_out_burst_empties_one_wallet_at_agents(seed):
    frauds = wallets("cash_out_burst", seed)
    assert frauds["nameOrig"].n_unique() == 1
    assert set(frauds["type"]) == {"CASH_OUT"}
    assert len(frauds) >= 3


@pytest.mark.parametrize("name", RINGS)
def test_rings_take_place_where_they_are_named_alone(name):
    profile = RINGS[name]
    assert name not in attack_shares(profile, None)
    assert name in all_attacks(profile)
    made = simulate(profile, events=6_000, seed=2, fraud_rate=0.02, attacks=[name])
    assert set(made["attack"].drop_nulls()) == {name}
    with pytest.raises(ConfigurationError, match=f"banking knows no attack '{name}'"):
        simulate(banking, events=10, attacks=[name])


def calm(frame: pl.DataFrame, key: str) -> int:
    """The most purchases of one key within an hour; a purchase that is tried again within minutes counts once."""
    moments = frame.sort("timestamp").filter((pl.col("timestamp").diff().over(key) > timedelta(minutes=30)).fill_null(True))
    return most_within(moments, key, "1d")


def test_a_quiet_farm_uses_each_device_with_two_accounts_and_no_key_is_busy(seed):
    frauds, everything = attack("quiet_farm", by_users, seed=seed)
    shared = frauds.group_by("device_id").agg(pl.col("user_id").n_unique())
    assert shared.filter(pl.col("device_id").is_not_null())["user_id"].max() == 2
    assert frauds.group_by("user_id").agg(pl.col("device_id").n_unique())["device_id"].max() >= 2
    assert calm(frauds, "user_id") <= 2
    assert spans(frauds) > timedelta(days=20)
    honest = everything.filter(pl.col("attack").is_null())
    assert frauds["amount"].median() < 2.5 * honest["amount"].median()


def test_rotating_mules_send_to_two_others_days_apart(seed):
    """Mules have a history, and send a part of what they hold as others do."""
    frauds, everything = attack("rotating_mules", mobile_money, seed=seed)
    honest = everything.filter(pl.col("attack").is_null())
    active = {*honest["nameOrig"], *honest["nameDest"]}
    assert len({*frauds["nameOrig"]} & active) > 0.8 * frauds["nameOrig"].n_unique()
    assert (frauds["amount"] / frauds["oldbalanceOrg"]).quantile(0.9) <= 0.6
    assert set(frauds["type"]) == {"TRANSFER"}
    receivers = frauds.group_by("nameDest").agg(pl.col("nameOrig").n_unique())["nameOrig"]
    assert receivers.max() == 2
    assert receivers.mean() > 1.5
    assert calm(frauds, "nameDest") <= 2
    passed_on = frauds.filter(pl.col("nameOrig").is_in(frauds["nameDest"].implode()))
    assert len(passed_on) >= len(frauds) / 2


def test_synthetic_identities_share_each_part_with_others_but_never_both(seed):
    frauds, everything = attack("synthetic_identities", ecommerce, seed=seed)
    assert frauds.group_by("device_id", "ip_address").agg(pl.col("user_id").n_unique())["user_id"].max() == 1
    for part in ("device_id", "ip_address"):
        assert frauds.group_by(part).agg(pl.col("user_id").n_unique())["user_id"].max() == 3
    first = (
        everything.filter(pl.col("user_id").is_in(frauds["user_id"].implode()))
        .sort("purchase_time")
        .group_by("user_id")
        .first()
    )
    assert first["attack"].null_count() == len(first)
