"""Each page shows what the library and the API say, and says what is wrong where they cannot."""

import http.server
import threading
import time

import httpx
import msgspec
import polars as pl
import pytest

from penstock.lab.api import ServiceAway, ServiceClient, ServiceRefused
from penstock.lab.bench import Bench
from penstock.lab.controls import service as looked_at
from penstock.lab.options import LabOptions
from penstock.lab.pages import found
from penstock.lab.pages.stream import Watched, refresh
from penstock.lab.play import play
from penstock.lab.source import RecordedFile, SimulatedEvents
from penstock.models import load_champion, metrics
from penstock.offline import thresholds
from penstock.offline.replay import replay
from penstock.service.live.replay_jobs import StreamRequest
from penstock.wiring.detectors import load_detector
from tests.lab.conftest import PATIENCE_S, done
from tests.waiting import wait_until

pytestmark = pytest.mark.slow


def tiles(shown):
    assert errors(shown) == ""
    return {each.label: each.value for each in shown.metric}


def errors(shown):
    return " ".join(each.value for each in shown.error)


@pytest.fixture
def bench(models):
    return Bench(LabOptions(flags={"models": str(models)}).settings)


@pytest.fixture
def champion(models):
    return load_champion(models, "banking")


@pytest.fixture
def tested(history, champion):
    """What the champion decides in the time of its test, with the truth: by `replay` and a plain join."""
    since = champion.manifest["training"]["periods"]["test"][0]
    recorded = pl.read_parquet(history).select("transaction_id", "is_fraud", "amount")
    decided = replay(load_detector("banking"), history, champion)
    return decided.join(recorded, on="transaction_id").filter(
        pl.col("timestamp") >= pl.lit(since).str.to_datetime(time_zone="UTC")
    )


# ---------------------------------------------------------------- the menu


def test_every_page_is_found_and_has_a_place_of_its_own():
    assert [each.name for each in found()] == ["live", "stream", "data", "simulate", "thresholds", "compare", "errors"]
    assert len({each.place for each in found()}) == len(found())


# ---------------------------------------------------------------- a running service


@pytest.fixture
def busy(service):
    """A client of the service, after some traffic."""
    client = ServiceClient(service)
    answer = client.stream(StreamRequest("banking", "simulator", 60))
    wait_until(lambda: all(client.transaction(name) is not None for name in answer.transaction_ids[-1:]))
    return client


def test_the_live_page_shows_what_the_service_says(page, lab, busy):
    lab(busy.url)
    before, shown, after = busy.overview(), page("live"), busy.overview()
    assert before.total <= int(tiles(shown)["Transactions processed"].replace(",", "")) <= after.total
    assert tiles(shown)["Intervention rate"].endswith(" %")
    assert tiles(shown)["Latency p99"].endswith(" ms")
    recent = shown.dataframe[0].value
    assert set(recent["transaction"]) == {decision.transaction_id for decision in busy.transactions(400)}
    assert {"decision", "probability", "why", "ms"} <= set(recent.columns)


def test_a_stream_is_started_and_watched_to_its_end(page, lab, service):
    lab(service)
    shown = page("stream")
    shown.number_input[0].set_value(40)
    shown.number_input[1].set_value(0.0)
    shown.button[0].click().run()
    until = time.monotonic() + PATIENCE_S
    while tiles(done(shown)).get("Decided") != "40":
        assert time.monotonic() < until
        shown.run()
    watched = shown.session_state["stream.watched"]
    results = shown.dataframe[0].value
    assert list(results["transaction_id"]) == watched.ids[::-1]
    told = {name: httpx.get(f"{service}/transactions/{name}", timeout=PATIENCE_S).json() for name in watched.ids[:5]}
    by_id = results.set_index("transaction_id")["fraud_probability"]
    assert {name: by_id[name] for name in told} == {name: each["fraud_probability"] for name, each in told.items()}
    assert tiles(shown)["Taken for fraud"] == str(sum(each["predicted_class"] for each in watched.results.values()))


def test_results_that_others_have_pushed_out_of_the_newest_are_asked_for_by_id(busy):
    known = [decision.transaction_id for decision in busy.transactions(10)][::-1]
    watched = Watched("banking", "simulator", known)

    class Few(ServiceClient):
        def results(self, k, detector=None):
            return super().results(1, detector)

    refresh(Few(busy.url), watched)
    assert watched.missing == []
    flat = {row["transaction_id"]: row for row in busy.results(10)}
    assert watched.results == {name: flat[name] for name in known}


def test_a_source_that_is_not_there_is_refused_with_those_that_are(page, lab, service):
    lab(service)
    shown = page("stream")
    shown.text_input[0].set_value("nothing")
    shown.button[0].click().run()
    assert "banking: simulator" in errors(done(shown))


@pytest.mark.parametrize("name", ["live", "stream"])
def test_a_service_that_is_away_is_said_with_what_to_do(page, name):
    assert "nobody answers at http://127.0.0.1:9" in errors(page(name))
    assert "penstock demo" in errors(page(name))


class Other(http.server.BaseHTTPRequestHandler):
    """Something that is no service, and asks for a key under one address."""

    def do_GET(self):
        opened = self.headers["Authorization"] == "Bearer psk_mine"
        self.send_response(200 if opened or self.path != "/detectors" else 401)
        self.end_headers()
        self.wfile.write(b'{"detectors":[{"name":"banking"}]}' if opened else b"<html>")

    def log_message(self, *_):
        pass


@pytest.fixture
def other():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def test_what_is_no_service_and_what_asks_for_a_key_are_told_apart(other):
    with pytest.raises(ServiceRefused, match="PENSTOCK_KEY"):
        ServiceClient(other).detectors()
    with pytest.raises(ServiceAway, match="no service of this version"):
        ServiceClient(other).overview()
    assert ServiceClient(other, "psk_mine").detectors() == ["banking"]


def test_the_key_is_taken_from_the_settings(lab, other, monkeypatch):
    lab(other)
    monkeypatch.setenv("PENSTOCK_KEY", "psk_mine")
    assert looked_at().detectors() == ["banking"]


# ---------------------------------------------------------------- data


def test_the_data_page_counts_a_file_as_it_is(page, history):
    recorded = pl.read_parquet(history)
    shown = tiles(page("data", file=str(history)))
    assert shown["Transactions"] == f"{len(recorded):,}"
    assert shown["Known frauds"] == f"{recorded['is_fraud'].sum():,}"
    assert shown["Refused rows"] == "0"
    assert shown["Features"] == str(len(load_detector("banking").plan.features))


def test_a_decision_table_of_the_data_page_is_what_a_replay_says(page, history, champion):
    decided = replay(load_detector("banking"), history, champion)
    truth = pl.read_parquet(history).select("transaction_id", "is_fraud")
    want = {
        (decision, "fraud" if fraud else "good"): count
        for decision, fraud, count in decided.join(truth, on="transaction_id")
        .group_by("decision", "is_fraud")
        .len()
        .iter_rows()
    }
    table = next(
        each.value for each in page("data", file=str(history)).dataframe if "decision" in each.value and "fraud" in each.value
    )
    rows = table.set_index("decision")
    found = {(decision, outcome): int(rows.loc[decision, outcome]) for decision in rows.index for outcome in ("fraud", "good")}
    assert {key: count for key, count in found.items() if count} == want


def test_a_file_that_is_not_there_or_does_not_fit_is_said(page, history, tmp_path):
    assert "Did you mean history.parquet?" in errors(page("data", file=str(history.with_name("histori.parquet"))))
    wrong = tmp_path / "wrong.csv"
    wrong.write_text("a,b\n1,2\n")
    assert "has no column" in errors(page("data", file=str(wrong)))
    assert "name a recorded file" in errors(page("data", file=" "))


def test_a_file_that_changes_is_read_again(bench, tmp_path):
    path = tmp_path / "events.parquet"
    simulation = bench.simulated("banking", SimulatedEvents(events=50))
    simulation.head(20).write_parquet(path)
    first = bench.source("banking", RecordedFile.at(str(path)))
    assert len(bench.recorded(first).frame) == 20
    simulation.write_parquet(path)
    assert len(bench.recorded(bench.source("banking", RecordedFile.at(str(path)))).frame) == 50


MINE = """
import msgspec
from datetime import datetime
from penstock import Detector, Entity, Rule
class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
detector = Detector(name="mine", event=Payment, id="transaction_id", time="timestamp", naive_times="UTC",
    features=[Entity("customer_id").count("1h")], models=[], rules=[Rule("often", "customer_count_1h > 1", then="review")])
"""


def test_a_detector_of_rules_alone_without_labels_or_simulator_is_looked_at(page, lab, monkeypatch, tmp_path):
    (tmp_path / "mine.py").write_text(MINE)
    (tmp_path / "events.csv").write_text(
        "transaction_id,timestamp,customer_id\na,2026-01-01T10:00:00,C1\nb,2026-01-01T10:10:00,C1\nc,2026-01-01T12:00:00,C1\n"
    )
    mine = str(tmp_path / "mine.py")
    monkeypatch.setenv("PENSTOCK_LAB", msgspec.json.encode({"detectors": [mine]}).decode())
    shown = page("data", detector=mine, file=str(tmp_path / "events.csv"))
    assert tiles(shown)["Transactions"] == "3"
    assert tiles(shown)["Fraud rate"] == "\N{EN DASH}"
    assert any("Nobody says which of these events were fraud" in each.value for each in shown.info)
    assert shown.sidebar.radio[0].options == ["A recorded file"]


def test_rows_that_are_refused_are_counted_with_their_causes(page, history, tmp_path):
    path = tmp_path / "some.csv"
    frame = pl.read_parquet(history).head(30).drop("arrived_at", strict=False)
    frame.with_columns(
        amount=pl.when(pl.int_range(30) < 3).then(pl.lit("much")).otherwise(pl.col("amount").cast(pl.String))
    ).write_csv(path)
    shown = page("data", file=str(path))
    assert tiles(shown)["Refused rows"] == "3"
    assert any("amount: much is not a number" in str(each.value) for each in shown.dataframe)


def test_without_models_rules_alone_decide_and_other_pages_name_the_command(page, lab, tmp_path):
    lab(models=str(tmp_path))
    assert any("Rules alone decide" in each.value for each in page("data").info)
    for name in ("thresholds", "compare", "errors", "simulate"):
        assert "penstock train banking" in errors(page(name)), name


# ---------------------------------------------------------------- models


def test_thresholds_come_to_what_they_would_have_done(page, history, tested):
    shown = page("thresholds", file=str(history))
    shown.slider[1].set_value(0.6)
    shown.slider[0].set_value(0.1).run()
    found = tiles(done(shown))
    stopped, fraud = tested["score"] >= 0.1, tested["is_fraud"]
    assert found["Recall"] == f"{(stopped & fraud).sum() / fraud.sum():.2%}"
    assert found["Precision"] == f"{(stopped & fraud).sum() / stopped.sum():.2%}"
    reviews = ((tested["score"] >= 0.1) & (tested["score"] < 0.6)).sum()
    days = (tested["timestamp"].max() - tested["timestamp"].min()).total_seconds() / 86_400
    assert found["Reviews a day"] == f"{reviews / days:,.1f}"
    annoyed = (~fraud & (tested["score"] >= 0.6)).sum()
    saved = tested.filter(stopped & fraud)["amount"].sum() - 5 * reviews - 25 * annoyed
    assert found["Money saved"] == f"{saved:,.0f}"


def test_the_least_cost_is_what_training_would_have_chosen(page, history, tested, bench, champion):
    shown = page("thresholds", file=str(history))
    next(each for each in shown.button if each.label == "Least cost").click().run()
    source = bench.source("banking", RecordedFile.at(str(history)))
    since_us = int(tested["timestamp"].min().timestamp() * 1e6)
    best = thresholds.choose(thresholds.ByCost(), bench.judged(source, champion.version, since_us).scored)
    review, block = (each.value for each in done(shown).slider[:2])
    assert (review, block) == (max(round(best["review_at"], 4), 0.0001), max(round(best["block_at"], 4), 0.0001))
    saved = float(tiles(shown)["Money saved"].replace(",", ""))
    assert saved >= float(tiles(page("thresholds", file=str(history)))["Money saved"].replace(",", "")) - 1


def test_events_that_models_learned_from_count_only_where_one_says_so(page, history, tested):
    shown = page("compare", file=str(history))
    assert f"{len(tested):,} events of known outcome" in " ".join(each.value for each in shown.caption)
    everything = page("compare", file=str(history), everything=True)
    assert f"{len(pl.read_parquet(history)):,} events of known outcome" in " ".join(each.value for each in everything.caption)
    assert any("Flattering" in each.value for each in everything.warning)


def test_versions_are_compared_on_the_same_events(page, history, tested, champion):
    shown = page("compare", file=str(history))
    table = shown.dataframe[0].value.set_index("figure")
    assert len(table.columns) == 3, "two versions, and which of them is best"
    score, fraud = tested["score"].to_numpy(), tested["is_fraud"].cast(pl.Float64).to_numpy()
    assert table.loc["roc auc", champion.version] == pytest.approx(metrics.roc_auc(score, fraud), abs=1e-12)
    assert table.loc["average precision", champion.version] == pytest.approx(metrics.average_precision(score, fraud), abs=1e-12)
    other = next(name for name in table.columns if name not in (champion.version, "best"))
    better = max((champion.version, other), key=lambda name: table.loc["average precision", name])
    assert table.loc["average precision", "best"] == better
    shown.sidebar.toggle[-1].set_value(True).run()
    assert f"{champion.version} xgboost" in done(shown).dataframe[0].value.columns


def test_errors_are_the_decisions_that_were_wrong_and_have_reasons(page, history, tested):
    shown = page("errors", file=str(history))
    missed = ((tested["decision"] == "APPROVE") & tested["is_fraud"]).sum()
    stopped = ((tested["decision"] != "APPROVE") & ~tested["is_fraud"]).sum()
    assert tiles(shown)["Frauds missed"] == str(missed)
    assert tiles(shown)["False positives"] == str(stopped)
    assert len(shown.expander) == min(missed, 8) + min(stopped, 8) > 0
    assert any("Spoke for fraud" in each.value for each in shown.markdown)
    assert any(each.value.startswith("- ") and "typically" in each.value for each in shown.markdown)


# ---------------------------------------------------------------- simulations


def test_a_simulation_is_decided_as_a_replay_decides_it(bench, champion):
    source = bench.source("banking", SimulatedEvents(events=2000, days=20.0, fraud_rate=0.05, seed=3))
    events = [each for portion in play(bench, source, champion.version, 7) for each in portion]
    decided = bench.decided(source, champion.version)
    assert [each.id for each in events] == decided["transaction_id"].to_list()
    assert [each.probability for each in events] == decided["score"].to_list()
    assert [each.decision for each in events] == decided["decision"].to_list()


def test_a_simulation_is_handed_out_in_portions(bench, champion):
    source = bench.source("banking", SimulatedEvents(events=1000, seed=3))
    assert [len(portion) for portion in play(bench, source, champion.version, 4)] == [250] * 4


def test_the_simulate_page_counts_what_the_simulator_knows(page, bench):
    shown = page("simulate", attacks=["card_testing", "velocity_burst"], rate=5.0)
    shown.button[0].click().run()
    found = tiles(done(shown))
    world = bench.simulated("banking", SimulatedEvents(1200, 30.0, 0.05, ("card_testing", "velocity_burst"), 9))
    assert found["Decided"] == "1,200"
    assert found["Frauds"] == f"{world['is_fraud'].sum():,}"
    attacks = shown.dataframe[-1].value.set_index("attack")
    assert set(attacks.index) == set(world["attack"].drop_nulls().unique())
    assert int(attacks["frauds"].sum()) == world["is_fraud"].sum()
    assert int(found["Missed"].replace(",", "")) == round((attacks["frauds"] * (1 - attacks["stopped"])).sum())
    shown.number_input[0].set_value(1100).run()
    assert tiles(done(shown))["Decided"] == "1,200", "the simulation before stays until the next is begun"


# ---------------------------------------------------------------- recorded data


@pytest.mark.data
@pytest.mark.parametrize(("detector", "file"), [("ecommerce", "Fraud_Data.csv"), ("mobile_money", "paysim_excerpt.csv")])
def test_published_data_is_looked_at_as_it_is_published(recorded, bench, page, lab, detector, file, monkeypatch, tmp_path):
    monkeypatch.setenv("PENSTOCK_LAB", f'{{"detectors":["{detector}"],"flags":{{"models":"{tmp_path}"}}}}')
    monkeypatch.setenv("PENSTOCK_LOOKUPS", str(recorded))
    shown = page("data", file=str(recorded / file), detector=detector)
    frame = pl.read_csv(recorded / file)
    label = "class" if detector == "ecommerce" else "isFraud"
    assert tiles(shown)["Transactions"] == f"{len(frame):,}"
    assert tiles(shown)["Known frauds"] == f"{frame[label].sum():,}"
