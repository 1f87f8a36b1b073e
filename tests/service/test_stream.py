"""Live viewers, by server-sent events and WebSockets: told in one form, however slow they are, until the service stops."""

import asyncio
import contextlib
import functools
import json
import socket
import threading
import time

import pytest
from tests.service import patient
from tests.waiting import wait_until
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as connect_within

from penstock.config import Settings
from penstock.service import MicroBatcher, create_app
from penstock.service.decide.detectors import DetectorRouter
from penstock.service.decide.feed import ALERTS, Feed
from penstock.service.live import stream as live_stream
from penstock.service.server import STOP_WITHIN_S

SOON_S = 60.0
connect = functools.partial(connect_within, open_timeout=SOON_S)


@pytest.fixture
def app(engine):
    settings = Settings()
    return create_app({"fake": MicroBatcher.of(engine, settings)}, settings)


@pytest.fixture
def url(app, serve_in_thread):
    with serve_in_thread(app) as address:
        yield address


def socket_of(url):
    return url.replace("http", "ws") + "/ws/live"


def test_a_socket_tells_decisions_alerts_and_statistics(app, url, payment):
    with connect(socket_of(url)) as viewer:
        first = json.loads(viewer.recv(SOON_S))
        assert first["stats"]["total"] == 0
        assert (first["decisions"], first["alerts"], first["left_out"]) == ([], [], {"decisions": 0, "alerts": 0})
        patient.post(url + "/predict", content=payment(1, amount=5000))
        app.served("fake").feed.alert(b'{"at":"2026-01-01T00:00:00Z","text":"a burst of blocks"}')
        told, decisions, alerts = first, [], []
        while not alerts and told["measured_ms"] - first["measured_ms"] < SOON_S * 1000:
            told = json.loads(viewer.recv(SOON_S))
            decisions += told["decisions"]  # in a message of their own, where one goes out between the two
            alerts += told["alerts"]
        assert [decision["transaction_id"] for decision in decisions] == ["tx1"]
        number = 1767225600000000
        assert alerts == [{"number": number, "at": "2026-01-01T00:00:00Z", "text": "a burst of blocks"}]
        assert told["alert_number"] == number
        assert told["outcomes"] == {"fake": {"BLOCK": 1}}
        later = json.loads(viewer.recv(SOON_S))
        assert (later["decisions"], later["alerts"]) == ([], []), "nothing is told twice"
        assert later["measured_ms"] > first["measured_ms"]


def test_server_sent_events_have_the_same_form(url, payment):
    patient.post(url + "/predict", content=payment(1))
    with connect(socket_of(url)) as viewer, patient.stream("GET", url + "/live") as stream:
        by_event = next(json.loads(line[6:]) for line in stream.iter_lines() if line.startswith("data: "))
        assert by_event.keys() == json.loads(viewer.recv(SOON_S)).keys()


def test_what_a_viewer_says_means_nothing_and_too_much_ends_it(url):
    with connect(socket_of(url)) as viewer:
        viewer.recv(SOON_S)
        viewer.send("hello")
        viewer.send(b"\x00")
        viewer.recv(SOON_S)
        with pytest.raises(ConnectionClosed) as ended:
            viewer.send("x" * 100_000)
            while True:
                viewer.recv(SOON_S)
    assert ended.value.rcvd.code == 1009


def refused(url, **options):
    """The status with which a socket is refused."""
    with pytest.raises(InvalidStatus) as found, connect(url, **options):
        pass
    return found.value.response.status_code


def test_a_page_from_elsewhere_may_not_watch(url, caplog):
    assert refused(socket_of(url), origin="https://elsewhere.example") == 403
    with connect(socket_of(url), origin=url) as viewer:
        viewer.recv(SOON_S)
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_no_more_watch_than_there_is_room_for_and_whoever_leaves_makes_room(url, monkeypatch):
    monkeypatch.setattr(live_stream, "MOST_VIEWERS", 2)
    with connect(socket_of(url)) as first:
        first.recv(SOON_S)
        with connect(socket_of(url)) as second:
            second.recv(SOON_S)
            with connect(socket_of(url)) as third, pytest.raises(ConnectionClosed) as turned_away:
                third.recv(SOON_S)
            assert turned_away.value.rcvd.code == 1013
            assert patient.get(url + "/live").status_code == 503

        def let_in():
            with connect(socket_of(url)) as third, contextlib.suppress(ConnectionClosed):
                third.recv(SOON_S)
                return True

        wait_until(let_in)


def test_an_upgrade_elsewhere_is_refused_and_a_broken_one_is_no_traceback(url, caplog):
    assert refused(url.replace("http", "ws") + "/predict") in {403, 404}
    host, port = url.removeprefix("http://").split(":")
    for head in (b"POST /ws/live HTTP/1.1", b"GET /ws/live HTTP/1.1", b"POST /predict HTTP/1.1"):
        with socket.create_connection((host, int(port)), timeout=SOON_S) as connection:
            connection.sendall(head + b"\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
            assert connection.recv(100)[:10] in {b"", b"HTTP/1.1 4"}
    assert "Traceback" not in caplog.text
    assert patient.get(url + "/health").status_code == 200


def test_a_stop_says_goodbye_to_viewers_and_does_not_wait_for_one_who_does_not_read(
    app, engine, payment, serve_in_thread, monkeypatch
):
    monkeypatch.setattr(live_stream, "EVERY_S", 0.005)
    engine.explanation = {"padding": "x" * 100_000}  # of what is blocked
    blocked = b"[%s]" % b",".join(payment(n, amount=5000) for n in range(8))
    with serve_in_thread(app) as url:
        host, port = url.removeprefix("http://").split(":")
        deaf = socket.create_connection((host, int(port)))
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13"
        deaf.sendall(f"GET /ws/live HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n{key}\r\n\r\n".encode())
        wait_until(lambda: app.live.viewers == 1)
        for _ in range(30):  # many times what the sockets hold
            patient.post(url + "/predict", content=blocked)
            time.sleep(0.01)
        with connect(socket_of(url), max_size=None) as viewer:
            viewer.recv(SOON_S)
            app.stopping()
            with pytest.raises(ConnectionClosed) as ended:
                while True:
                    viewer.recv(SOON_S)
        assert ended.value.rcvd.code == 1001
        began = time.monotonic()
    assert time.monotonic() - began < STOP_WITHIN_S - 5  # so long a stop takes that does wait
    deaf.close()


def test_a_slow_viewer_is_told_the_newest_and_how_many_were_left_out(engine, run):
    async def scene():
        batcher = MicroBatcher.of(engine, Settings())
        told = live_stream.Live(DetectorRouter({"fake": batcher})).messages()
        await anext(told)
        for start in range(0, 50_000, 500):
            batcher.feed.decided([decision(n) for n in range(start, start + 500)])
        for number in range(300):
            batcher.feed.alert(json.dumps({"n": number}).encode())
        messages = [json.loads(await anext(told)) for _ in range(6)]
        await told.aclose()
        return messages[0], messages

    message, messages = run(scene())
    shown = len(message["decisions"])
    assert 0 < shown <= live_stream.MOST_SHOWN
    assert message["left_out"]["decisions"] == 50_000 - shown
    assert message["decisions"][-1]["n"] >= 49_500
    assert [alert["n"] for each in messages for alert in each["alerts"]] == list(range(300)), "no alert is left out"
    assert messages[0]["left_out"]["alerts"] == 300 - live_stream.MOST_ALERTS
    assert messages[-1]["left_out"] == {"decisions": 0, "alerts": 0}


def test_a_viewer_that_comes_back_is_told_every_alert_since_the_last_it_knows(make_engine, run):
    async def scene():
        batchers = {name: MicroBatcher.of(make_engine(name=name), Settings()) for name in ("one", "two")}
        watched, alerts = live_stream.Live(DetectorRouter(batchers)), []

        async def all_of(since):
            told, found = watched.messages(since), []
            while (message := json.loads(await anext(told)))["alerts"]:
                found += message["alerts"]
            await told.aclose()
            return found

        def burst(name, count):
            for _ in range(count):
                alerts.append(len(alerts))
                at = f"2026-01-01T00:00:{len(alerts) % 7:02}Z"  # neither in order nor different
                batchers[name].feed.alert(json.dumps({"at": at, "n": alerts[-1]}).encode())

        burst("one", 3)
        known = (await all_of(0))[-1]["number"]
        burst("two", 150)
        burst("one", 150)
        missed = await all_of(known)
        return missed, await all_of(missed[-1]["number"]), len(await all_of(None))

    missed, later, newest = run(scene())
    assert [alert["n"] for alert in missed] == list(range(3, 303))
    assert later == []
    assert newest == live_stream.MOST_SHOWN


def test_after_a_restart_alerts_have_the_numbers_that_they_had(url, app):
    alerts = [json.dumps({"at": f"2026-01-01T00:00:{second:02}Z", "n": second}).encode() for second in (1, 1, 2, 5, 5, 5, 9)]
    before, after = Feed(), Feed()
    for alert in alerts:
        before.alert(alert)
        after.alert(alert)
        app.served("fake").feed.alert(alert)
    assert before.alerts_since(0) == after.alerts_since(0)
    known = before.alerts_since(0)[3][0]
    with connect(socket_of(url) + f"?alerts_since={known}") as viewer:
        assert [alert["n"] for alert in json.loads(viewer.recv(SOON_S))["alerts"]] == [5, 5, 9]
    for nonsense in ("x", "-1", "", "9" * 40):
        with connect(socket_of(url) + f"?alerts_since={nonsense}") as viewer:
            assert len(json.loads(viewer.recv(SOON_S))["alerts"]) == len(alerts)


def test_of_several_detectors_each_is_shown_however_busy_another_is(make_engine, run):
    async def scene():
        batchers = {name: MicroBatcher.of(make_engine(name=name), Settings()) for name in ("calm", "busy")}
        told = live_stream.Live(DetectorRouter(batchers)).messages()
        await anext(told)
        batchers["calm"].feed.decided([decision(1)])
        batchers["busy"].feed.decided([decision(n) for n in range(1000, 2000)])
        message = json.loads(await anext(told))
        await told.aclose()
        return message

    message = run(scene())
    assert message["decisions"][0]["n"] == 1
    assert message["left_out"]["decisions"] == 1001 - len(message["decisions"])


def test_statistics_are_measured_once_for_viewers_who_ask_together(engine, run, monkeypatch):
    monkeypatch.setattr(live_stream, "EVERY_S", 600.0)  # so that ten ask together however slow the machine is
    asked = []
    engine.stats, before = (lambda: asked.append(1) or before()), engine.stats

    async def scene():
        watched = live_stream.Live(DetectorRouter({"fake": MicroBatcher.of(engine, Settings())}))
        viewers = [watched.messages() for _ in range(10)]
        for viewer in viewers:
            await anext(viewer)
            await viewer.aclose()

    run(scene())
    assert len(asked) == 1


def test_alerts_may_come_from_any_thread_and_the_newest_are_kept():
    feed = Feed()
    threads = [threading.Thread(target=lambda: [feed.alert(b"{}") for _ in range(500)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert feed.alert_count == 2000
    kept = [number for number, _ in feed.alerts_since(0)]
    assert (len(kept), kept) == (ALERTS, sorted(set(kept)))


def test_the_newest_alerts_are_listed_newest_first_whichever_detector_raised_them(client_for, make_engine, run):
    async def scene():
        async with client_for(make_engine(name="one"), make_engine(name="two")) as client:
            for name, at in (("one", "10:00"), ("two", "11:00"), ("one", "12:00")):
                client.app.served(name).feed.alert(json.dumps({"at": f"2026-01-01T{at}:00Z", "detector": name}).encode())
            return [(await client.get("/alerts" + query)).json() for query in ("", "?limit=1", "?detector=two")]

    everything, newest, of_two = run(scene())
    assert [alert["at"][11:16] for alert in everything["alerts"]] == ["12:00", "11:00", "10:00"]
    assert [alert["at"][11:16] for alert in newest["alerts"]] == ["12:00"]
    assert [alert["detector"] for alert in of_two["alerts"]] == ["two"]


def decision(number):
    return b'{"transaction_id":"t%d","detector":"fake","decision":"APPROVE","n":%d}' % (number, number)


def test_nobody_who_waits_costs_the_hot_path_more_than_a_glance():
    feed, answers, looked = Feed(), [decision(n) for n in range(256)], []
    feed.watch.decided = lambda _answers: looked.append(1)
    feed.decided(answers)
    assert looked == []


def test_a_watcher_is_woken_once_for_the_right_transaction(run):
    async def scene():
        feed = Feed()
        with feed.watch.waiting(b'"t2"') as right, feed.watch.waiting(b'"t3"') as other:
            feed.decided([decision(1), decision(2), decision(2)])
            await asyncio.sleep(0)
            return right.done(), other.done()

    assert run(scene()) == (True, False)


def test_a_watcher_is_woken_when_what_was_decided_elsewhere_can_be_found(run):
    async def scene():
        feed = Feed()
        with feed.watch.waiting(json.dumps('t"2').encode()) as right, feed.watch.waiting(b'"t3"') as other:
            feed.followed({"APPROVE": 1}, [decision(3)])
            feed.watch.found(["t1", 't"2'])
            await asyncio.sleep(0)
            return right.done(), other.done()

    assert run(scene()) == (True, False)
