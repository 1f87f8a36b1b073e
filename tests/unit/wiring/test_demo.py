"""How a demo is prepared: models come along or are trained, then a month is decided; later starts go on from there."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from penstock.adapters import world
from penstock.adapters.world import LiveWorld
from penstock.cases.analysts import analysts
from penstock.cases.queues import Filter, page, queues
from penstock.clock import from_us
from penstock.config import Settings, load_settings
from penstock.engine import startup
from penstock.ledger.archive import Archive
from penstock.models import champion
from penstock.models.bundle_store import alias
from penstock.wiring import demo as demo_of
from penstock.wiring.cases import open_cases
from penstock.wiring.demo import Demo
from penstock.wiring.engines import open_engine
from penstock.wiring.governance import open_rule_administration

DAY_US = 86_400_000_000
NOW = datetime(2026, 5, 15, 6, 30, tzinfo=UTC)


def now_us() -> int:
    return int(NOW.timestamp() * 1e6)


class Prepared(NamedTuple):
    """A demo that was prepared, and the progress that it told."""

    settings: Settings
    told: list[tuple[float, str | None]]

    def again(self, after: timedelta = timedelta(0)) -> list[tuple[float, str | None]]:
        """Prepare it once more; the progress."""
        told: list[tuple[float, str | None]] = []
        demo = Demo(self.settings, clock=lambda: now_us() + after // timedelta(microseconds=1))
        demo.begin()
        demo.prepare(lambda share, step=None, /: told.append((share, step)))
        return told

    def query(self, sql: str) -> list[dict[str, Any]]:
        with (
            open_engine(Demo(self.settings).detector, self.settings) as engine,
            Archive(engine.ledger, self.settings.data / "archive") as archive,
        ):
            return archive.query(sql).to_dicts()


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """A smaller world than the real one, without models that came along, and everything else as in the real one."""
    folder = tmp_path_factory.mktemp("demo")
    settings = load_settings({"data": str(folder)}, environment={}, folder=folder)
    made = Prepared(settings, [])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world, "PEOPLE", 2000)
        patch.setattr(world, "PAYMENTS_A_DAY", 800)
        patch.setattr(demo_of, "_TRAINED_PEOPLE", 250)
        patch.setattr(startup, "SHIPPED", folder / "nothing")
        made.told.extend(made.again())
        yield made


def test_the_first_start_trains_and_the_second_goes_on(prepared: Prepared) -> None:
    shares = [share for share, _ in prepared.told]
    assert shares == sorted(shares)
    assert shares[-1] == pytest.approx(1.0)
    steps = [step for _, step in prepared.told if step]
    assert "Training" in steps[0]
    assert "Deciding" in steps[1]
    trained = champion(prepared.settings.models_folder, "banking")
    assert trained is not None
    assert prepared.again() == [], "nothing is left to do"
    assert champion(prepared.settings.models_folder, "banking") == trained


def test_the_history_is_thirty_decided_days_that_end_now(prepared: Prepared) -> None:
    days = prepared.query(f"SELECT decided_us // {DAY_US} AS day, count(*) AS n FROM decisions GROUP BY 1 ORDER BY 1")
    assert len(days) == 31
    assert all(after["day"] - before["day"] == 1 for before, after in pairwise(days))
    assert all(400 < each["n"] < 1600 for each in days[1:-1])
    [ends] = prepared.query("SELECT min(decided_us) AS first, max(decided_us) AS last FROM decisions")
    assert 29.9 * DAY_US < now_us() - ends["first"] <= 30 * DAY_US
    assert 0 <= now_us() - ends["last"] < DAY_US / 24
    waited = "decided_us - epoch_us(timestamp)"
    [late] = prepared.query(f"SELECT max({waited}) AS most, min({waited}) AS least FROM decisions")
    assert 0 <= late["least"] <= late["most"] < 20 * 60_000_000, "they are decided every quarter of an hour"


def test_labels_matured_and_none_was_known_early(prepared: Prepared) -> None:
    labels = prepared.query(
        "SELECT l.source, l.fraud, l.known_us, d.decided_us FROM labels l JOIN decisions d USING (transaction_id)"
    )
    sources = Counter(each["source"] for each in labels)
    assert min(sources["analyst"], sources["simulated"]) > 10
    assert all(each["decided_us"] - 1_800_000_000 <= each["known_us"] <= now_us() for each in labels)
    waited_us = sorted(each["known_us"] - each["decided_us"] for each in labels if each["source"] == "simulated")
    assert waited_us[len(waited_us) // 2] > 86_400_000_000, "half of the chargebacks took more than a day"


def test_a_challenger_was_in_shadow_for_two_weeks(prepared: Prepared) -> None:
    version = alias(prepared.settings.models_folder, "banking", "challenger")
    assert version not in (None, champion(prepared.settings.models_folder, "banking"))
    scored = f"score_model_{version} IS NOT NULL"
    [tried] = prepared.query(f"SELECT min(decided_us) AS first, count(*) AS n FROM decisions WHERE {scored}")
    assert 13 * DAY_US < now_us() - tried["first"] < 15 * DAY_US
    assert tried["n"] > 5000


def test_rules_use_two_lists_that_fill_with_confirmed_frauds(prepared: Prepared) -> None:
    with open_rule_administration(Demo(prepared.settings).detector, prepared.settings) as administration:
        states = {each.name: each.state for each in administration.rules.versions()}
        assert states["compromised_customer"] == states["watched_merchant"] == "active"
        assert states["fast_spender"] == "shadow"
        entries = administration.lists.history("compromised_customers")
        assert len(entries) > 5
        assert all(from_us(each.added_us) > NOW - timedelta(days=29) for each in entries)
        adopted = next(each for each in administration.rules.versions() if each.name == "amount_spike")
        assert NOW - from_us(adopted.changed_us) >= timedelta(days=30), "it decided from the first day on"


def test_analysts_have_cases_that_are_decided_open_and_held(prepared: Prepared) -> None:
    with open_cases(prepared.settings) as cases:
        decided, _ = page(cases, Filter(state="decided"), limit=500)
        assert {"amara", "jonas", "mei"} <= {each.analyst for each in analysts(cases, days=10_000)}
        assert {case.verdict for case in decided} >= {"fraud", "good"}
        for case in decided:
            assert case.decided_us is not None
            assert case.event_us <= case.opened_us < case.decided_us <= now_us()
        assert sum(queue.waiting + queue.taken for queue in queues(cases)) > 3


def test_features_of_today_agree_with_the_history(prepared: Prepared) -> None:
    """The state holds what was decided: a customer of the history has the number of payments that the ledger has."""
    [most] = prepared.query("SELECT customer_id, count(*) AS n FROM decisions GROUP BY 1 ORDER BY 2 DESC LIMIT 1")
    with open_engine(Demo(prepared.settings).detector, prepared.settings) as engine:
        payment = {"timestamp": NOW, "customer_id": most["customer_id"], "merchant_id": "M", "amount": 10.0}
        decision = engine.decide(payment, dry_run=True)
        assert decision.features["payments_before_60d"] == most["n"]


def test_days_that_the_demo_was_off_are_decided_at_the_next_start(prepared: Prepared) -> None:
    def count() -> int:
        [found] = prepared.query("SELECT count(*) AS n FROM decisions")
        return int(found["n"])

    before = count()
    assert prepared.again(after=timedelta(hours=20)) == []
    assert count() == before, "it was off for less than a day"
    assert "Deciding" in str(prepared.again(after=timedelta(days=3))[0][1])
    assert 1200 < count() - before < 4800


def test_a_folder_of_before_that_holds_decisions_gets_no_history(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings({"data": str(tmp_path)}, environment={}, folder=tmp_path)
    (tmp_path / "ledger" / "log").mkdir(parents=True)
    Demo(settings).begin()
    assert not (tmp_path / "demo.json").exists()


def test_a_place_of_before_can_be_read(prepared: Prepared, tmp_path) -> None:
    (tmp_path / "demo.json").write_text('{"seed": 1, "reached": "2026-05-14T20:00:00Z"}')
    settings = load_settings(
        {"data": str(tmp_path), "models": str(prepared.settings.models_folder)}, environment={}, folder=tmp_path
    )
    demo = Demo(settings, clock=now_us)
    demo.begin()
    told: list[float] = []
    demo.prepare(lambda share, step=None, /: told.append(share))
    assert told == [], "it was off for less than a day"
    assert isinstance(demo.world, LiveWorld)
