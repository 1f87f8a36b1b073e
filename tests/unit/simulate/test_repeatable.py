"""The same seed makes the same bytes, however they are asked for."""

from datetime import UTC, datetime

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from penstock.offline.simulate import EXTRA, Profile, Simulator, attack_shares, simulate, submitted

START = datetime(2026, 3, 1, tzinfo=UTC)
PEOPLE = {
    "banking": "customer_id",
    "card": "user",
    "ecommerce": "user_id",
    "mobile_money": "nameOrig",
    "payments": "user_id",
}
"""The column that tells people apart."""


def simulator(profile: Profile, **options: object) -> Simulator:
    return Simulator(profile, **{"seed": 3, "start": START, "people": 2000, "fraud_rate": 0.05, **options})


def test_the_same_seed_gives_the_same_events(profile):
    assert_frame_equal(simulator(profile).batch(3000), simulator(profile).batch(3000))


def test_another_seed_gives_other_events(profile):
    assert not simulator(profile).batch(100).equals(simulator(profile, seed=4).batch(100))


def test_the_size_of_batches_changes_nothing(profile):
    one, many = simulator(profile), simulator(profile)
    assert_frame_equal(one.batch(2500), pl.concat([many.batch(size) for size in (1, 999, 0, 1500)]))


def test_ids_are_unique_and_differ_between_worlds(profile):
    here, elsewhere = simulator(profile).batch(3000), simulator(profile, start=datetime(2026, 4, 1, tzinfo=UTC)).batch(3000)
    ids = pl.concat([here[profile.id], elsewhere[profile.id]])
    assert ids.n_unique() == 6000


def test_events_come_in_order_of_arrival(profile):
    frame = simulator(profile, late_share=0.05).batch(4000)
    assert frame["arrived_at"].is_sorted()
    assert (frame["arrived_at"] >= frame[profile.time]).all()
    late = (frame["arrived_at"] - frame[profile.time]).dt.total_seconds() > 60
    assert 0.02 < late.mean() < 0.08


def test_jitter_shuffles_stamps_but_not_arrivals(profile):
    exact, jittered = simulator(profile).batch(4000), simulator(profile, jitter_s=30.0).batch(4000)
    assert exact["arrived_at"].equals(jittered["arrived_at"])
    apart = (exact[profile.time] - jittered[profile.time]).dt.total_milliseconds()
    assert 25_000 < apart.std() < 35_000


def test_an_attack_begins_when_it_is_asked_for(profile):
    running = simulator(profile, fraud_rate=0.0)
    assert running.batch(500)["attack"].null_count() == 500
    began = running.now
    name = next(iter(attack_shares(profile, None)))
    ids = running.attack(name)
    after = running.batch(3000)
    attacked = after.filter(pl.col("attack") == name)
    assert set(attacked[profile.id]) == set(ids)
    assert attacked[profile.time].min() - began < pl.Series([1]).cast(pl.Duration("ms")).item() + (
        after["arrived_at"].max() - began
    )
    assert after["arrived_at"].is_sorted()
    assert after["arrived_at"].min() >= began


def test_two_attacks_have_different_events(profile):
    running = simulator(profile)
    running.batch(10)
    name = next(iter(attack_shares(profile, None)))
    assert not set(running.attack(name)) & set(running.attack(name))


def test_what_is_submitted_says_nothing_that_is_known_later(profile):
    frame = simulator(profile).batch(5)
    events = submitted(profile, frame)
    assert not {profile.label, *EXTRA} & events[0].keys()
    assert events[0][profile.time].startswith("2026-03-01T")
    assert events[0][profile.time].endswith("Z")


def test_chunks_go_on_where_batches_end(profile):
    chunks = simulator(profile).chunks(50)
    first, second = next(chunks), next(chunks)
    assert first + second == submitted(profile, simulator(profile).batch(100))


def test_a_pace_gives_as_many_people_as_pay_that_often(profile):
    frame = simulator(profile, per_second=5.0, fraud_rate=0.0).batch(20_000)
    seconds = (frame["arrived_at"].max() - frame["arrived_at"].min()).total_seconds()
    assert 20_000 / seconds == pytest.approx(5.0, rel=0.6)  # midnight UTC is not the average hour


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"fraud_rate": 1.5}, "1.5"),
        ({"people": 10**9}, "fewer people"),
        ({"attacks": ["card_tasting"]}, "card_testing|Known: cash_out_burst"),
        ({"start": START.replace(tzinfo=None)}, "time zone"),
    ],
)
def test_what_cannot_be_simulated_is_refused_with_a_remedy(profile, options, named):
    with pytest.raises(Exception, match=named):
        simulator(profile, **options)


def test_an_unknown_attack_cannot_be_begun(profile):
    with pytest.raises(Exception, match=r"card_testing|cash_out_burst"):
        simulator(profile).attack("robbery")


def test_simulate_spreads_its_events_over_the_days_asked_for(profile):
    frame = simulate(profile, events=20_000, days=10, seed=1)
    days = (frame[profile.time].max() - frame[profile.time].min()).total_seconds() / 86400
    assert days == pytest.approx(10, rel=0.2)


def test_a_world_that_is_left_and_entered_again_is_the_same_world(profile):
    key = PEOPLE[profile.name]
    stayed = simulator(profile, fraud_rate=0.0).batch(8000)
    again = simulator(profile, fraud_rate=0.0, start=stayed[profile.time][4000]).batch(4000)
    knew, later = set(stayed[key][:4000]), stayed.filter(pl.int_range(pl.len()) >= 4000)
    known_later = later.filter(pl.col(key).is_in(knew)).height / later.height
    assert again.filter(pl.col(key).is_in(knew)).height / again.height == pytest.approx(known_later, abs=0.04)
    assert not set(again[profile.id]) & set(stayed[profile.id])


def test_people_leave_and_others_come(profile):
    key = PEOPLE[profile.name]
    now, later = simulator(profile).batch(3000), simulator(profile, start=datetime(2031, 3, 1, tzinfo=UTC)).batch(3000)
    assert not set(now[key].drop_nulls()) & set(later[key].drop_nulls())


def test_a_world_of_very_many_people_still_tells_them_apart(profile):
    frame = simulator(profile, people=200_000_000, fraud_rate=0.0).batch(2000)
    key = PEOPLE[profile.name]
    assert frame[key].n_unique() > 1000
