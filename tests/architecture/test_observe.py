"""What Grafana draws and what Prometheus alerts on exists: every metric and label in deploy/ is declared."""

import json
import re
from pathlib import Path

import pytest
import yaml

from penstock.metrics import METRICS

ROOT = Path(__file__).parents[2]
BOARD = json.loads((ROOT / "deploy/grafana/dashboards/penstock.json").read_text())
ALERTS = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())
SCRAPED = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]

DRAWN = {panel["title"]: [target["expr"] for target in panel["targets"]] for panel in BOARD["panels"]}
RAISED = {rule["alert"]: rule["expr"] for rule in ALERTS["groups"][0]["rules"]}
QUERIES = [query for queries in DRAWN.values() for query in queries] + list(RAISED.values())

SUFFIXES = {"histogram": ("_bucket", "_sum", "_count")}
SERIES = {
    each.name + suffix: {*each.labels_of(sharded=each.source == "engine"), "job", "instance", *["le"] * (suffix == "_bucket")}
    for each in METRICS
    for suffix in SUFFIXES.get(each.kind, ("",))
}
KINDS = {each.name: each.kind for each in METRICS}


@pytest.mark.parametrize("query", QUERIES)
def test_every_metric_of_a_query_is_declared(query):
    named = set(re.findall(r"\bpenstock_\w+", query))
    assert named <= SERIES.keys()
    assert named or "process_" in query


@pytest.mark.parametrize("query", QUERIES)
def test_every_label_of_a_query_is_one_that_a_metric_in_it_has(query):
    known = set().union(*(SERIES[name] for name in re.findall(r"\bpenstock_\w+", query)), {"job", "instance"})
    grouped = {label.strip() for group in re.findall(r"(?:by|ignoring) \(([^)]*)\)", query) for label in group.split(",")}
    chosen = set(re.findall(r"[{,] *(\w+) *(?:=~|!=|!~|=)", query))
    assert grouped | chosen <= known


@pytest.mark.parametrize("query", QUERIES)
def test_rates_are_of_counters_and_of_nothing_else(query):
    for function, name in re.findall(r"\b(rate|increase|deriv)\((penstock_\w+)", query):
        kind = KINDS.get(re.sub(r"_(bucket|sum|count)$", "", name), KINDS.get(name))
        assert (kind == "gauge") == (function == "deriv"), f"{function}({name}) of a {kind}"


@pytest.mark.parametrize("query", QUERIES)
def test_brackets_of_a_query_are_closed(query):
    assert all(query.count(left) == query.count(right) for left, right in ("()", "{}", "[]"))


SHOWN = [
    "penstock_decisions_total",
    "penstock_stage_seconds_bucket",
    "penstock_engine_seconds_bucket",
    "penstock_worker_lag_messages",
    "penstock_quarantined_total",
    "penstock_sink_behind_records",
    "penstock_drift_psi",
    "penstock_rule_fires_total",
    "penstock_rollbacks_total",
    "penstock_alerts_total",
]


@pytest.mark.parametrize("name", SHOWN)
def test_the_board_shows_what_a_team_looks_at(name):
    assert any(name in query for queries in DRAWN.values() for query in queries)


def test_panels_lie_beside_one_another():
    places = [tuple(panel["gridPos"][side] for side in "xy") for panel in BOARD["panels"]]
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(set(places)) == len(places)


def test_legends_and_texts_of_alerts_name_labels_that_there_are():
    known = set().union(*SERIES.values())
    named = set(re.findall(r"\{\{ ?\$?(?:labels\.)?(\w+) ?\}\}", json.dumps(BOARD) + json.dumps(ALERTS))) - {"value"}
    assert named
    assert named <= known


def test_what_is_scraped_and_asked_runs_in_compose():
    targets = [target for job in SCRAPED["scrape_configs"] for found in job["static_configs"] for target in found["targets"]]
    assert {target.partition(":")[0] for target in targets} == {"api", "worker"}
    assert all(name in COMPOSE for name in ("prometheus", "grafana"))
    source = yaml.safe_load((ROOT / "deploy/grafana/provisioning/datasources/prometheus.yml").read_text())["datasources"][0]
    assert source["url"] == "http://prometheus:9090"
    for path in SCRAPED["rule_files"]:
        assert (ROOT / "deploy/prometheus" / Path(path).name).exists()
