"""The sink raises every alert once, whatever stops it, and nobody waits for a channel."""

import threading
import time
from datetime import timedelta

import pytest
from tests.waiting import wait_until

from penstock.alerts import Alert, AlertSink, DeliveryQueue, Evaluator, Undelivered, rule_of, sample
from penstock.alerts.windows import DistinctWindow, Groups, MatchWindow, Shares
from penstock.errors import Fenced, LedgerError, SinkUnavailable
from penstock.ledger.sqlite import SqliteTables

from .conftest import START, detector, random_stream

RULES = [
    {"name": "large", "when": "amount > 900", "per": "customer_id", "cooldown": "20m", "limit": 4},
    {"name": "burst", "kind": "burst", "per": "customer_id", "more_than": 4, "within": "10m", "cooldown": "10m"},
    {"name": "abroad", "kind": "burst", "per": "customer_id", "distinct": "country", "more_than": 1, "within": "1h"},
    {
        "name": "share",
        "kind": "rate",
        "when": "decision = 'BLOCK'",
        "times": 1.1,
        "least": 3,
        "within": "2m",
        "reference": "20m",
    },
]


class Box:
    """A channel that keeps what it is sent, after as many failures as it is told."""

    def __init__(self, name="box", severity="info", failures=0, again=True, takes_s=0.0):
        self.name, self.severity = name, severity
        self.sent, self.tries = [], 0
        self.failures, self.again, self.takes_s = failures, again, takes_s

    def send(self, alert: Alert) -> str:
        self.tries += 1
        time.sleep(self.takes_s)
        if self.failures:
            self.failures -= 1
            raise Undelivered("503 out", again=self.again)
        self.sent.append(alert.key)
        return "200"


class Stuck(Box):
    """A channel that takes nothing until it is going."""

    def __init__(self):
        super().__init__()
        self.going = threading.Event()

    def send(self, alert: Alert) -> str:
        self.going.wait(60)
        return super().send(alert)


def quick(channel, tables):
    return DeliveryQueue(channel, tables, first_wait_s=0.01, longest_wait_s=0.02, attempts=5)


def sink_of(stream, tables, *channels, **options):
    evaluator = Evaluator(detector(), map(rule_of, RULES), stream.ledger.layouts)
    return AlertSink({"shop": evaluator}, tables, channels, clock=stream.clock, courier=quick, **options)


@pytest.fixture
def tables():
    made = SqliteTables()
    yield made
    made.close()


@pytest.fixture(scope="module")
def decided():
    return random_stream(7, events=500)


def test_alerts_are_kept_told_and_delivered(decided, tables):
    box, told = Box(), []
    sink = sink_of(decided, tables, box, on_alert=told.append)
    assert sink.begin(0) == 0
    sink.write(decided.records())
    sink.close()
    raised = [each.key for each in reversed(tables.alerts(limit=1000))]
    assert len(raised) > 20
    assert box.sent == raised == [alert.key for alert in told]
    assert {(each.outcome, each.attempts) for each in tables.deliveries()} == {("delivered", 1)}


@pytest.mark.parametrize("stops", [[0], [3], [5, 6, 20], [40]])
def test_after_a_restart_nothing_is_told_twice_and_nothing_is_left_out(decided, tables, stops):
    """Some restarts are clean, some lose everything since the last snapshot: all tell what one run tells."""
    whole, once = SqliteTables(), Box()
    sink = sink_of(decided, whole, once)
    sink.begin(0)
    sink.write(decided.records())
    sink.close()
    whole.close()
    box, records = Box(), decided.records()
    at = 0
    for number, stop in enumerate([*stops, len(records)]):
        sink = sink_of(decided, tables, box)
        at = sink.begin(number)
        for record in records[at:stop]:
            sink.write([record])
        if number % 2:
            sink.begun = False  # as if the process had been killed: nothing is kept on closing
        sink.close()
    assert sorted(box.sent) == sorted(once.sent)
    assert len(set(box.sent)) == len(box.sent)


def test_what_is_found_again_after_a_crash_is_not_raised_again(decided, tables):
    box, records = Box(), decided.records()
    sink = sink_of(decided, tables, box)
    sink.begin(0)
    sink.write(records[:10])
    old = tables.setting("alerts.snapshot")
    sink.write(records[10:])
    sink.close()
    tables.put_setting("alerts.snapshot", old)  # the last thing that was kept before the machine stopped
    told = list(box.sent)
    again = sink_of(decided, tables, box)
    again.write(records[again.begin(1) :])
    again.close()
    assert box.sent == told
    assert len(told) > 20


def test_a_state_that_was_kept_goes_on_as_if_it_had_never_stopped(decided):
    import msgspec

    rules = [rule_of(rule) for rule in RULES]
    records = [record for _, record in decided.records()]
    whole = Evaluator(detector(), rules, decided.ledger.layouts)
    expected = [alert for record in records for alert in whole.evaluate(record)]
    found = []
    evaluator = Evaluator(detector(), rules, decided.ledger.layouts)
    for record in records:
        kept = msgspec.json.decode(msgspec.json.encode(evaluator.state()))
        evaluator = Evaluator(detector(), rules, decided.ledger.layouts)
        evaluator.restore(kept)
        found += evaluator.evaluate(record)
    assert found == expected


def test_a_rule_that_was_changed_begins_anew(decided):
    first = Evaluator(detector(), [rule_of(RULES[1])], decided.ledger.layouts)
    for _, record in decided.records():
        first.evaluate(record)
    changed = Evaluator(detector(), [rule_of({**RULES[1], "more_than": 9})], decided.ledger.layouts)
    changed.restore(first.state())
    assert changed.state()["rules"]["burst"][1] == [[], []]


def test_a_sink_that_never_ran_begins_at_the_end_with_its_windows_filled(fresh, tables):
    def pay(seconds, *values):
        at = START + timedelta(seconds=seconds)
        fresh.decide([{"timestamp": at, "customer_id": "a", "purchase_value": each} for each in values], at)

    rule = {"name": "burst", "kind": "burst", "more_than": 3, "within": "10m", "cooldown": "0s"}
    for seconds in (0, 4000, 4100, 4200, 4300):  # the first is too old to matter
        pay(seconds, 5.0)
    evaluator = Evaluator(detector(), [rule_of(rule)], fresh.ledger.layouts)
    sink = AlertSink({"shop": evaluator}, tables, (), ledger=fresh.ledger, clock=fresh.clock)
    assert sink.begin(0) == 5
    sink.write([])
    assert tables.alerts() == []
    pay(4301, 5.0)
    sink.write(fresh.records(5))
    sink.close()
    assert [each.key for each in tables.alerts()] == ["shop:burst:5"]


def test_an_owner_that_takes_over_tells_of_what_the_one_before_may_not_have(decided, tables):
    whole, box, again = SqliteTables(), Box(), Box()
    first = sink_of(decided, whole, box)
    first.begin(1)
    first.write(decided.records())
    first.close()
    standby = sink_of(decided, tables, again, ledger=decided.ledger, again_s=900.0)
    assert standby.begin(2) == len(decided.records())
    standby.write([])
    standby.close()
    newest = [each.key for each in reversed(whole.alerts()) if each.at_us > decided.clock() - 900_000_000]
    assert again.sent == newest
    assert 0 < len(newest) < len(box.sent)
    whole.close()


def test_whoever_lost_the_number_raises_nothing(decided, tables):
    frozen, other = sink_of(decided, tables), sink_of(decided, tables)
    frozen.begin(4)
    assert other.begin(5) == 0
    with pytest.raises(Fenced):
        frozen.write(decided.records())
    with pytest.raises(Fenced):
        sink_of(decided, tables).begin(4)
    assert tables.alerts() == []
    frozen.close()
    other.close()


def test_what_was_found_while_the_store_did_not_answer_is_raised_when_it_does(decided, tables):
    class Down(SqliteTables):
        down = False

        def put_alerts(self, *arguments):
            if self.down:
                raise LedgerError("the store is gone")
            return super().put_alerts(*arguments)

    store, box = Down(), Box()
    sink = sink_of(decided, store, box)
    sink.begin(0)
    store.down = True
    with pytest.raises(SinkUnavailable):
        sink.write(decided.records())
    store.down = False
    sink.write(decided.records())
    sink.close()
    assert len(box.sent) == len(store.alerts(limit=1000)) > 20
    store.close()


def test_figures_are_looked_at_and_raised(fresh, tables):
    rule = rule_of({"name": "q", "kind": "gauge", "metric": "quarantined", "more_than": 3})
    figures = {"shop": {"quarantined": 9.0}}
    sink = AlertSink({"shop": Evaluator(detector(), [rule], dict)}, tables, (), metrics=lambda: figures, clock=fresh.clock)
    sink.begin(0)
    sink.look()
    sink.look()
    fresh.clock.at(START + timedelta(hours=1))
    sink.look()
    sink.close()
    assert len(tables.alerts()) == 2  # once in a cool-down


# ---------------------------------------------------------------- couriers


def post(courier, *keys, severity="critical"):
    for key in keys:
        alert = sample("shop", "2026-01-05T00:00:00Z", key)
        courier.post(alert)


def test_a_channel_that_fails_is_tried_again_and_the_log_says_how_often(tables):
    box = Box(failures=3)
    courier = quick(box, tables)
    post(courier, "a")
    wait_until(lambda: box.sent == ["a"])
    courier.close()
    [delivery] = tables.deliveries()
    assert (delivery.outcome, delivery.attempts, delivery.detail) == ("delivered", 4, "200")


def test_an_alert_is_given_up_after_so_many_attempts_and_the_next_goes_out(tables):
    box = Box(failures=5)
    courier = quick(box, tables)
    post(courier, "a")
    wait_until(lambda: box.tries == 5)
    post(courier, "b")
    wait_until(lambda: box.sent == ["b"])
    courier.close()
    assert {(each.key, each.outcome, each.attempts) for each in tables.deliveries()} == {
        ("a", "failed", 5),
        ("b", "delivered", 1),
    }


def test_a_refusal_for_good_is_not_tried_again(tables):
    box = Box(failures=1, again=False)
    courier = quick(box, tables)
    post(courier, "a")
    wait_until(lambda: tables.deliveries() != [])
    courier.close()
    assert (box.tries, tables.deliveries()[0].outcome) == (1, "failed")


def test_one_alert_that_waits_for_its_next_try_holds_up_no_other(tables):
    box = Box(failures=1)
    courier = DeliveryQueue(box, tables, first_wait_s=30.0)
    post(courier, "a")
    wait_until(lambda: box.tries == 1)
    post(courier, "b", "c")
    wait_until(lambda: box.sent == ["b", "c"])
    courier.close()
    assert {each.key: each.outcome for each in tables.deliveries()} == {"a": "waiting", "b": "delivered", "c": "delivered"}


def test_posting_never_waits_and_what_does_not_fit_is_said_to_have_failed(tables):
    box = Stuck()
    courier = DeliveryQueue(box, tables, room=10)
    post(courier, *map(str, range(200)))
    assert box.sent == [], "all are posted, and the channel has not taken the first"
    box.going.set()
    wait_until(lambda: len(tables.deliveries(outcome="failed")) >= 180)
    courier.close()
    assert len(box.sent) <= 12
    assert len(tables.deliveries()) == 200


def test_what_still_waited_goes_out_after_a_restart_and_nothing_else(decided, tables):
    dead, well = Box("dead", failures=10**9), Box("well")
    sink = sink_of(decided, tables, dead, well)
    sink._make = lambda channel, tables: DeliveryQueue(channel, tables, first_wait_s=60.0)
    sink.begin(0)
    sink.write(decided.records())
    wait_until(lambda: dead.tries == len(well.sent) == len(tables.alerts(limit=1000)) > 20)
    sink.close()
    before = list(well.sent)
    dead.failures = 0
    again = sink_of(decided, tables, dead, well)
    again.begin(1)
    again.close()
    assert dead.sent == before == well.sent
    assert {each.attempts for each in tables.deliveries() if each.channel == "dead"} == {2}


def test_a_held_channel_gets_nothing_until_a_process_delivers_what_waits(decided, tables):
    box = Box("box")
    sink = sink_of(decided, tables, box, held=lambda _channel: True)
    sink.begin(0)
    sink.write(decided.records())
    raised = len(tables.alerts(limit=1000))
    assert sink.on_the_way("box") == (raised, None)
    sink.close()
    assert (raised > 20, box.tries, len(tables.deliveries(outcome="waiting", limit=1000))) == (True, 0, raised)
    again = sink_of(decided, tables, box)
    again.begin(1)
    wait_until(lambda: len(box.sent) == raised)
    again.close()


def test_a_channel_is_told_of_what_is_grave_enough(decided, tables):
    low, high = Box("low"), Box("high", severity="critical")
    sink = sink_of(decided, tables, low, high)
    sink.begin(0)
    sink.write(decided.records())
    sink.close()
    assert low.sent
    assert high.sent == []


# ---------------------------------------------------------------- memory


def test_what_is_kept_for_windows_is_bounded():
    threads = threading.active_count()  # those of tests before this one
    times, values, shares = MatchWindow(10**9, 5), DistinctWindow(10**9, 5), Shares(30_000_000, 60_000_000)
    for at in range(1000):
        times.add(at, None)
        values.add(at, at)
        shares.add(at, total=1, hits=1)
    assert (len(times.state()), len(values.state()), len(shares.panes)) == (6, 6, 90)
    groups = Groups(MatchWindow, 10**9, 5, most=100)
    for at in range(10_000):
        groups.add((at % 700,), at, None)
        assert len(groups) <= 101
    assert threading.active_count() <= threads


def test_what_was_raised_elsewhere_is_kept_told_and_delivered_like_everything_else(fresh, tables):
    box, told = Box(), []
    alert = Alert(
        key="guard:1", rule="guard", detector="shop", severity="critical", at="2026-01-05T00:00:00Z", text="rolled back"
    )
    waiting = [alert]
    sink = sink_of(fresh, tables, box, ledger=fresh.ledger, on_alert=told.append, others=lambda: waiting and [waiting.pop()])
    sink.begin(1)
    sink.look()
    sink.look()
    wait_until(lambda: box.sent)
    sink.close()
    assert told == [alert]
    assert [raised.key for raised in tables.alerts()] == ["guard:1"]
    assert box.sent == ["guard:1"]
