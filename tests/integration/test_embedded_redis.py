"""A service without a broker publishes its decisions and profiles in a real Redis, for each of its detectors."""

import redis as client_library

from penstock.config import Settings
from penstock.testing import example_detector
from penstock.wiring import stores
from penstock.wiring.database import office_of
from penstock.wiring.engines import openers
from penstock.wiring.health import ServiceHealth
from penstock.wiring.stores import EmbeddedStores
from tests.waiting import wait_until

EVENT = {"timestamp": "2026-01-05T10:00:00Z", "customer_id": "c", "amount": 3.0}


def pays(engine, *ids):
    engine.decide_many([{**EVENT, "transaction_id": name} for name in ids])


def test_each_detector_is_published_once_through_a_restart_and_an_outage(redis, redis_url, tmp_path, monkeypatch):
    monkeypatch.setattr(stores, "FINISH_S", 60.0)  # so long an end waits for the store: a busy machine's may be slow
    one, other = example_detector(), example_detector()
    other.name = "second"
    settings = Settings(data=tmp_path / "data", redis=redis_url)
    with client_library.Redis.from_url(redis_url, decode_responses=True) as store:

        def ids(detector):
            prefix = f"penstock:{detector}:decision:"
            return {name.removeprefix(prefix) for name in store.scan_iter(f"{prefix}*")}

        opening = openers([one, other], settings)
        with opening["example"]() as first, opening["second"]() as second:
            pays(first, "a", "b")
            pays(second, "c")
            wait_until(lambda: (ids("example"), ids("second")) == ({"a", "b"}, {"c"}))
            assert store.hget("penstock:example:customer:c", "customer_count_1h") == "2"
        store.delete(*store.scan_iter("penstock:*:decision:*"))
        opening = openers([one, other], settings)
        with opening["example"]() as first, opening["second"]():
            redis.stop()
            pays(first, "d")
            redis.start()
            wait_until(lambda: ids("example") == {"d"})  # what was published before the restart is not published again
        assert ids("second") == set()


def test_operations_show_how_far_redis_is(redis_url, tmp_path):
    settings = Settings(data=tmp_path / "data", redis=redis_url)
    followed = EmbeddedStores(settings)
    with (
        office_of(settings) as office,
        openers([example_detector()], settings, stores=followed)["example"]() as engine,
    ):
        pays(engine, "a")
        operating = ServiceHealth(settings, office, stores=followed)

        def part():
            return next(part for part in operating.parts() if part.name == "redis")

        wait_until(lambda: part().lag_events == 0 and followed.redis["example"].position > 0)
        assert (part().status, part().detector, part().text) == ("ok", "example", "up to date with the ledger")


def test_two_services_that_share_a_redis_do_not_take_the_place_of_each_other(redis_url, tmp_path):
    with client_library.Redis.from_url(redis_url, decode_responses=True) as store:
        for k, folder in enumerate(("one", "two")):
            settings = Settings(data=tmp_path / folder, redis=redis_url)
            with openers([example_detector()], settings)["example"]() as engine:
                pays(engine, f"t{k}")
                wait_until(lambda k=k: store.exists(f"penstock:example:decision:t{k}"))
        assert len(list(store.scan_iter("penstock:example:cursor:engine-*"))) == 2
