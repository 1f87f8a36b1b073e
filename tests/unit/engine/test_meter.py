"""What an engine meters of its deciding."""

from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest
from tests.integration.paid import detector, events

from penstock import Engine
from penstock.engine.statistics.totals import MOST_RULES, OTHER, Meter, add_metrics
from penstock.metrics import Families


def test_fires_are_those_that_the_events_say():
    paid = events(500, days=2).with_columns(pl.col("amount") * 50)
    with Engine(detector(models=[])) as engine:
        engine.decide_many(paid)
        fires = engine.totals.meter.fires
    huge = int((paid["amount"] > 5000).sum())
    assert huge
    assert fires == {"huge": huge}


def test_every_batch_is_timed_once_in_every_stage():
    with Engine(detector(models=[])) as engine:
        for event in events(5, days=1).drop("is_fraud").to_dicts():
            engine.decide(event)
        stages = engine.totals.meter.stages
    assert {stage: sum(histogram.counts) for stage, histogram in stages.items() if stage != "challenger"} == dict.fromkeys(
        ("decode", "features", "models", "rules", "explain"), 5
    )


def test_a_dry_run_counts_for_nothing():
    with Engine(detector(models=[])) as engine:
        engine.decide_many(events(50, days=1), dry_run=True)
        assert engine.totals.meter.fires == {}


def test_rules_beyond_the_most_share_one_name():
    meter = Meter()
    for number in range(MOST_RULES + 3):
        rules = (SimpleNamespace(name=f"r{number}", index=0),)
        judged = SimpleNamespace(
            verdicts=SimpleNamespace(unusual=np.array([0])), batch=SimpleNamespace(x=np.ones((1, 1))), rules=rules
        )
        meter.add(judged, {})
    assert len(meter.fires) == MOST_RULES + 1
    assert meter.fires[OTHER] == 3


def test_a_metric_that_is_not_declared_cannot_be_told():
    with pytest.raises(KeyError):
        Families("engine").add("penstock_invented_total", ["x"], 1)


def test_rollbacks_are_told_by_kind():
    meter, families = Meter(), Families("engine")
    meter.rolled_back("rule")
    add_metrics(families, ["paid"], {}, meter)
    [family] = [family for family in families if family.name == "penstock_rollbacks"]
    assert [(sample.labels, sample.value) for sample in family.samples] == [({"detector": "paid", "kind": "rule"}, 1)]
