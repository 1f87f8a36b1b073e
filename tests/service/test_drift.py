"""`GET /detectors/NAME/drift` and its metrics: what a thread beside the traffic found at its newest look."""

import httpx
import msgspec
import numpy as np
import polars as pl
import pytest
from tests.integration.paid import START, detector, events
from tests.waiting import wait_until_async

from penstock import Engine
from penstock.clock import to_us
from penstock.config import Settings
from penstock.offline.datasets import read
from penstock.offline.drift.result import DriftReport
from penstock.service import MicroBatcher, create_app
from penstock.service.app import ServiceParts
from penstock.wiring.reports.drift import DriftWork
from penstock.wiring.reports.references import make_reference

ALONE = detector(models=[])
HALF = pl.col("timestamp") < START.replace(day=11)
ALL = events(3000, days=20)


@pytest.fixture
def engine(tmp_path):
    with Engine(ALONE, data=tmp_path) as opened:
        yield opened


@pytest.fixture
def play(engine, tmp_path, run):
    """Runs a coroutine with a client of a service over the engine, and the work that looks beside it."""

    async def whole(work, every_s):
        settings = Settings(data=tmp_path, drift_every_s=every_s)
        drift = DriftWork(settings, clock=lambda: to_us(START.replace(day=20)))
        app = create_app({"paid": MicroBatcher.of(engine, settings)}, settings, ServiceParts(drift=drift))
        async with app.app.router.lifespan_context(app.app):
            transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await work(client, drift)

    return lambda work, every_s=3600.0: run(whole(work, every_s))


async def until(client, status):
    """The report, as soon as it is answered with this status."""

    async def answered():
        answer = await client.get("/detectors/paid/drift")
        return answer.status_code == status and answer

    return await wait_until_async(answered)


def test_before_the_first_look_it_says_that_nothing_was_measured(play):
    answer = play(lambda client, _drift: client.get("/detectors/paid/drift"))
    assert answer.status_code == 503
    assert "has not been measured yet" in answer.json()["detail"]


def test_an_unknown_detector_is_404(play):
    assert play(lambda client, _drift: client.get("/detectors/none/drift")).status_code == 404


def test_where_there_is_no_reference_it_says_what_to_do(play):
    answer = play(lambda client, _drift: until(client, 409), every_s=0.01)
    assert "penstock drift paid --reference FILE" in answer.json()["detail"]


def test_the_newest_look_has_everything_that_a_page_needs(play, engine, tmp_path):
    make_reference(Settings(data=tmp_path), ALONE, read(ALL.filter(HALF), ALONE))
    engine.decide_many(ALL.filter(~HALF).with_columns(pl.col("amount") * 5))
    engine.ledger.flush()

    async def look(client, _drift):
        await until(client, 200)
        answer = await client.get("/detectors/paid/drift", params={"detail": True})
        return answer, (await client.get("/metrics")).text

    answer, metrics = play(look, every_s=0.01)
    report = msgspec.json.decode(answer.content, type=DriftReport)
    [amount] = [column for column in report.columns if column.name == "amount"]
    assert (amount.state, amount.rules) == ("drifted", ["huge"])
    assert sum(each.live for each in amount.bins) == pytest.approx(1)
    assert sum(each.training for each in amount.bins) == pytest.approx(1)
    assert len(amount.days) == 10
    assert "amount" in {finding.column for finding in report.alarms}
    assert f'penstock_drift_psi{{column="amount",detector="paid"}} {amount.psi}' in metrics
    assert f'penstock_drift_alarms{{detector="paid"}} {len(report.alarms):.1f}' in metrics
    names = {line.split("{")[0] for line in metrics.splitlines() if line.startswith(("penstock_drift", "penstock_estimated"))}
    assert names == {f"penstock_drift_{name}" for name in ("psi", "limit", "missing_share", "alarms", "looked_at")}


def test_a_page_gets_columns_without_bins_and_days_and_those_of_one_when_it_asks(play, engine, tmp_path):
    make_reference(Settings(data=tmp_path), ALONE, read(ALL.filter(HALF), ALONE))
    engine.decide_many(ALL.filter(~HALF))
    engine.ledger.flush()

    async def look(client, drift):
        whole = (await until(client, 200)).json()
        short = (await client.get("/detectors/paid/drift?detail=false")).json()
        one, unknown = [await client.get(f"/detectors/paid/drift/{name}") for name in ("amount", "amuont")]
        return short, whole, one.json(), unknown

    short, whole, one, unknown = play(look, every_s=0.01)
    assert [column | {"bins": [], "days": []} for column in whole["columns"]] == short["columns"]
    assert one in whole["columns"]
    assert one["bins"]
    assert one["days"]
    assert unknown.status_code == 404
    assert "amount" in unknown.json()["detail"]


def test_metrics_are_as_many_as_there_are_columns_however_much_is_decided(play, engine, tmp_path):
    make_reference(Settings(data=tmp_path), ALONE, read(ALL.filter(HALF), ALONE))
    engine.decide_many(ALL.filter(~HALF))
    engine.ledger.flush()

    async def look(client, _drift):
        await until(client, 200)
        return (await client.get("/metrics")).text

    lines = [line for line in play(look, every_s=0.01).splitlines() if line.startswith("penstock_drift_psi{")]
    assert len(lines) == len(ALONE.plan.inputs)
    assert np.isfinite([float(line.rsplit(" ", 1)[1]) for line in lines]).all()
