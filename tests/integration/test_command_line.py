"""The command line at work: simulate, train, replay, load, score, serve, explain, verify, query, in one data folder."""

import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from deploy.infra.server import free_port
from penstock import cli
from tests.waiting import wait_until

EVENTS = 10_000


@dataclass
class Done:
    """What a command printed."""

    stdout: str
    stderr: str


def penstock(*arguments, ends_with=0) -> Done:
    """Run a command in this process."""
    with CliRunner().isolation() as (stdout, stderr, _):
        code = cli.run(list(map(str, arguments)))
        done = Done(stdout.getvalue().decode(), stderr.getvalue().decode())
    assert code == ends_with, done.stderr
    assert "Traceback" not in done.stderr
    return done


def in_own_process(*arguments, given="") -> Done:
    """Run a command in a process of its own."""
    command = [sys.executable, "-m", "penstock.cli", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, input=given)
    assert done.returncode == 0, done.stderr
    return Done(done.stdout, done.stderr)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Simulated payments; the first of them as history."""
    folder = tmp_path_factory.mktemp("work")
    penstock("simulate", "banking", "--events", EVENTS, "--days", 40, "--fraud-rate", 0.03, "--out", folder / "paid.parquet")
    pl.read_parquet(folder / "paid.parquet").head(2000).write_parquet(folder / "history.parquet")
    return folder


@pytest.fixture(scope="module")
def report(folder):
    shown = penstock(
        "train", "banking", "--data", folder / "paid.parquet", "--models", folder / "models", "--save", "--json"
    ).stdout
    return json.loads(shown)


@pytest.fixture(scope="module")
def service(folder, report) -> Iterator[str]:
    """A service on what was trained, with some history in its state."""
    penstock("load", "banking", folder / "history.parquet", "--data", folder)
    port = free_port()
    command = [sys.executable, "-m", "penstock.cli", "serve", "banking", "--data", str(folder), "--port", str(port)]
    log = folder / "service.log"  # a pipe that nobody reads would fill
    with log.open("w") as said, subprocess.Popen(command, stderr=said) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until_ready(url, process, log)
            yield url
            process.send_signal(signal.SIGINT)
            process.wait(120)
        finally:
            process.kill()
    assert process.returncode == 0, log.read_text()
    assert "Traceback" not in log.read_text()


def wait_until_ready(url, process, log):
    def ready():
        assert process.poll() is None, log.read_text()
        try:
            with urllib.request.urlopen(f"{url}/ready", timeout=5):
                return True
        except OSError:
            return False

    wait_until(ready, every_s=0.1)


def predict(url, **event):
    plain = {
        "timestamp": "2026-02-06T10:00:00Z",
        "customer_id": "C1",
        "merchant_id": "M1",
        "amount": 25.5,
        "lat": 40.71,
        "long": -74.0,
    }
    asked = urllib.request.Request(f"{url}/predict", json.dumps(plain | event).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(asked) as answer:
        return json.load(answer)


def test_training_reports_everything_that_was_promised(report):
    figures = {
        "roc_auc",
        "average_precision",
        "recall_at_fpr_0.001",
        "recall_at_fpr_0.01",
        "card_precision_at_100",
        "precision",
        "recall",
        "f1",
        "brier",
        "ece",
    }
    assert {"detector", "model_version", "rows", "fraud", "test", "members"} <= set(report)
    assert set(report["rows"]) == set(report["fraud"]) == {"train", "valid", "test"}
    assert set(report["members"]) == {"logistic_regression", "xgboost"}
    for each in (report["test"], *report["members"].values()):
        assert set(each) >= figures


def test_what_was_trained_is_worth_something(report):
    assert report["test"]["roc_auc"] > 0.9
    assert report["champion"] == report["model_version"]


def test_training_leaves_out_the_label_delay_before_validation_and_test(report):
    instants = {part: [datetime.fromisoformat(text) for text in report["periods"][part]] for part in ("train", "valid", "test")}
    assert instants["valid"][0] - instants["train"][1] == instants["test"][0] - instants["valid"][1] == timedelta(days=7)


def test_a_second_bundle_does_not_decide_unless_it_is_promoted(folder):
    def trained(*arguments):
        shown = penstock(
            "train", "banking", "--data", folder / "paid.parquet", "--models", folder / "others", "--json", *arguments
        )
        return json.loads(shown.stdout)

    first = trained("--save", "--model", "logistic_regression")
    assert (
        trained("--save", "--model", "logistic_regression")["model_version"] == first["model_version"]
    )  # nothing is drawn anew
    second = trained("--save", "--model", "xgboost")
    assert (second["champion"], set(second["members"])) == (first["model_version"], {"xgboost"})
    promoted = trained("--promote", "--model", "xgboost")
    assert promoted["champion"] == promoted["model_version"] == second["model_version"]


@pytest.mark.parametrize("ending", ["parquet", "csv", "ndjson"])
def test_a_replay_sums_up_and_writes_one_row_per_event(folder, report, ending):
    out = folder / f"decided.{ending}"
    shown = penstock("replay", "banking", folder / "history.parquet", "--models", folder / "models", "--out", out, "--json")
    found = json.loads(shown.stdout)
    rows = {"parquet": pl.read_parquet, "csv": pl.read_csv, "ndjson": pl.read_ndjson}[ending](out)
    assert found["events"] == len(rows) == 2000
    assert sum(found["decisions"].values()) == 2000
    assert {"transaction_id", "timestamp", "count_last_1h", "amount_ratio", "score", "decision"} <= set(rows.columns)
    assert rows["score"].null_count() == 0
    assert set(found["worth"]) == {"decisions", "score"}


def test_a_replay_without_models_decides_by_rules_alone_and_says_so(folder, report):
    out = folder / "rules.parquet"
    told = penstock("replay", "banking", folder / "history.parquet", "--data", folder, "--out", out).stderr
    assert pl.read_parquet(out)["score"].null_count() == 2000
    assert f"rules alone decide; --models {folder / 'models'} has the champion there decide, too" in told
    assert "rules alone" not in penstock("replay", "banking", folder / "history.parquet", "--data", folder / "none").stderr


def test_scoring_answers_every_line_in_its_place(folder, report):
    lines = penstock("simulate", "banking", "--events", 3, "--seed", 8).stdout.splitlines()
    given = "\n".join([lines[0], "no json", lines[1], "", lines[2]])
    shown = in_own_process("score", "banking", "--models", folder / "models", "--max-refused", "0.3", given=given)
    answers = [json.loads(line) for line in shown.stdout.splitlines()]
    ids = [json.loads(line)["transaction_id"] for line in lines]
    assert [answer.get("transaction_id", answer.get("status")) for answer in answers] == [ids[0], 400, ids[1], ids[2]]
    assert "1 of 4 lines are no events" in shown.stderr


def test_a_service_decides_and_its_decisions_can_be_shown_recomputed_and_counted(folder, service):
    asked = predict(service, transaction_id="cli-1", timestamp="2026-02-06T02:30:00Z", amount=4500)
    assert asked["decision"] == "BLOCK"
    shown = json.loads(penstock("explain", "cli-1", "--data", folder, "--json").stdout)
    assert {name: shown[name] for name in shown if name != "latency_ms"} == {
        name: asked[name] for name in asked if name != "latency_ms"
    }
    assert penstock("explain", "cli-1", "--data", folder).stdout.startswith("BLOCK cli-1")
    verdict = json.loads(penstock("verify", "cli-1", "--data", folder, "--json").stdout)
    assert (verdict["identical"], verdict["differences"]) == (True, [])
    counted = penstock(
        "query", "--data", folder, "--json", "select decision from decisions where transaction_id = 'cli-1'"
    ).stdout
    assert json.loads(counted) == [{"decision": "BLOCK"}]


def test_a_decision_of_models_that_are_gone_cannot_be_verified(folder, service, tmp_path):
    predict(service, transaction_id="cli-2")
    shown = penstock("verify", "cli-2", "--data", folder, "--models", tmp_path, ends_with=1)
    assert "are not in" in shown.stderr


def test_what_nobody_decided_cannot_be_shown(folder, service):
    assert "no decision about 'nothing'" in penstock("explain", "nothing", "--data", folder, ends_with=2).stderr
    assert "no decision about 'nothing'" in penstock("verify", "nothing", "--data", folder, ends_with=2).stderr


def test_a_file_is_sent_to_a_service_with_its_labels(folder, service):
    pl.read_parquet(folder / "paid.parquet").slice(2000, 3000).write_csv(folder / "sent.csv")
    shown = penstock("send", "banking", folder / "sent.csv", "--to", service)
    labels = pl.read_parquet(folder / "paid.parquet").slice(2000, 3000).filter("is_fraud").height
    assert f"3,000 events and {labels:,} labels accepted" in shown.stderr
    told = penstock("query", "--data", folder, "--json", "select count(*) as n from labels").stdout
    assert json.loads(told)[0]["n"] >= labels


def test_simulated_traffic_is_sent_at_its_pace(service):
    began = time.perf_counter()
    assert "40 events accepted" in penstock("simulate", "banking", "--tps", 40, "--events", 40, "--to", service).stderr
    assert time.perf_counter() - began > 0.9


def test_a_load_test_measures_a_running_service(service):
    found = json.loads(penstock("loadtest", "--base-url", service, "--requests", 400, "--concurrency", 8, "--json").stdout)
    assert (found["requests"], found["errors"]) == (400, 0)
    assert 0 < found["latency_ms"]["p50"] <= found["latency_ms"]["p99"]


@pytest.mark.slow
def test_a_load_test_with_a_service_of_its_own_trains_small_models_where_there_are_none(tmp_path):
    done = penstock("loadtest", "--serve", "banking", "--models", tmp_path / "none", "--requests", 200, "--json")
    assert (json.loads(done.stdout)["requests"], json.loads(done.stdout)["errors"]) == (200, 0)
    assert f"{tmp_path / 'none'} holds no models of banking: training small ones" in done.stderr
    assert not (tmp_path / "none").exists()


def test_a_second_service_on_one_folder_is_refused_with_the_reason(folder, service):
    shown = penstock("serve", "banking", "--data", folder, "--port", free_port(), ends_with=2)
    assert "another process" in shown.stderr.lower() or "in use" in shown.stderr.lower()


def test_a_taken_port_is_said_with_a_remedy(folder, service):
    shown = penstock("serve", "banking", "--data", folder / "other", "--port", service.rpartition(":")[2], ends_with=2)
    assert "another process listens there already" in shown.stderr


def test_doctor_finds_a_taken_port(folder, service):
    findings = json.loads(
        penstock("doctor", "--data", folder, "--port", service.rpartition(":")[2], "--json", ends_with=1).stdout
    )
    assert [found["what"] for found in findings if found["remedy"]] == [f"port {service.rpartition(':')[2]}"]


def test_doctor_is_content_with_a_good_machine(tmp_path, monkeypatch):
    monkeypatch.setenv("PENSTOCK_SOMETHING_ELSE", "1")
    findings = json.loads(penstock("doctor", "--port", free_port(), "--data", tmp_path, "--json").stdout)
    assert [found["what"] for found in findings if found["remedy"]] == []


def test_doctor_finds_a_misspelt_variable(tmp_path, monkeypatch):
    monkeypatch.setenv("PENSTOCK_PROT", "1")
    shown = penstock("doctor", "--port", free_port(), "--data", tmp_path, ends_with=1)
    assert "write PENSTOCK_PORT, or unset it" in shown.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train", "banking", "--data", "{none}.csv"], "there is no file"),
        (["train", "banking", "--data", "{paid}", "--model", "xgbost"], "Did you mean xgboost?"),
        (["train", "banking", "--data", "{paid}", "--valid-from", "2026-01-03"], "must lie before"),
        (["replay", "banking", "{paid}", "--out", "{none}.txt"], "it ends in .parquet, .csv or .ndjson"),
        (["simulate", "banking", "--attack", "card_tseting", "--events", "10"], "card_testing"),
        (["simulate", "banking", "--to", "http://127.0.0.1:1", "--events", "10"], "nobody answers at http://127.0.0.1:1"),
        (["query", "--data", "{none}", "select 1"], "there is no ledger in"),
        (["query", "--data", "{folder}", "drop table decisions"], "a query is one SELECT"),
        (["score", "card", "--models", "{none}"], "penstock train card"),
    ],
)
def test_a_mistake_is_a_sentence_with_a_remedy(folder, service, tmp_path, arguments, message):
    values = {"paid": folder / "paid.parquet", "none": tmp_path / "none", "folder": folder}
    ends_with = 1 if "--to" in arguments else 2
    if "score" in arguments:
        ends_with = 1
    assert message in penstock(*(text.format(**values) for text in arguments), ends_with=ends_with).stderr
