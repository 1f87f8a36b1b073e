"""What is tried beside what decides: it changes nothing that it should not, and is recorded on the same events."""

import shutil
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import msgspec
import numpy as np
import pytest

from penstock import Detector, Engine, Entity, Label, LogisticRegression, Policy, Rule, XGBoost
from penstock.decision import NO_ACTION
from penstock.engine import Challenger, verify
from penstock.engine.trials.challenger import model_trial
from penstock.errors import BundleError, DeclarationError
from penstock.messages import Action
from penstock.models import About, Ensemble, fit_ensemble, load_bundle, promote, save
from penstock.rules import KeyShare

START = datetime(2026, 1, 5, 10, tzinfo=UTC)
N = 400


class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str | None
    amount: float
    is_fraud: bool | None = None


customer = Entity("customer_id")


def declared(**options: Any) -> Detector:
    fixed: dict[str, Any] = {
        "event": Payment,
        "id": "transaction_id",
        "time": "timestamp",
        "label": Label("is_fraud", delay="1h"),
        "features": [customer.count("1h"), customer.sum("amount", "24h")],
        "models": [LogisticRegression(), XGBoost(trees=10, depth=3)],
        "rules": [Rule("fourth", "customer_count_1h >= 4", then="review"), Rule("sure", "score > 0.9", then="block")],
        "policy": Policy(review_at=0.5, block_at=0.7),
    }
    return Detector("shop", **{**fixed, **options})


def events(n: int = N, seed: int = 0) -> list[dict[str, Any]]:
    rng = np.random.default_rng(seed)
    return [
        {
            "transaction_id": f"t{k}",
            "timestamp": (START + timedelta(seconds=20 * k)).isoformat(),
            "customer_id": f"c{rng.integers(60)}",
            "amount": round(float(rng.exponential(50)), 2),
        }
        for k in range(n)
    ]


def trained(detector: Detector, seed: int, models: Any = None) -> Ensemble:
    rng = np.random.default_rng(seed)
    x = rng.exponential(50, size=(600, len(detector.plan.inputs)))
    y = (x[:, seed % x.shape[1]] + rng.normal(0, 20, 600) > 60).astype(float)
    return fit_ensemble(models or detector.models, x[:400], y[:400], x[400:], y[400:], detector.plan.inputs, seed=seed)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Any:
    """A champion, and a challenger with members of its own, as bundles."""
    detector = declared()
    path = tmp_path_factory.mktemp("models")
    about = About(detector.name, detector.version, detector.fingerprint(detector.plan.inputs), {}, {}, {})
    others = [LogisticRegression(), XGBoost(name="deeper", trees=12, depth=4)]
    for seed, models in ((0, None), (1, others)):
        saved = save(trained(detector, seed, models), path, about)
        if seed == 0:
            promote(path, detector.name, str(saved.version))
    return path


@pytest.fixture
def versions(folder) -> list[str]:
    champion = (folder / "shop" / "champion").read_text().strip()
    [other] = [each.name for each in (folder / "shop").iterdir() if each.is_dir() and each.name != champion]
    return [champion, other]


@pytest.fixture
def challenger(folder, versions) -> Ensemble:
    return load_bundle(folder / "shop" / versions[1])


def decided(engine: Engine, some: Any = None) -> list[Any]:
    return [plain(each) for each in engine.decide_many(some or events())]


def plain(decision: Any) -> dict[str, Any]:
    """A decision without what differs from run to run."""
    found = msgspec.to_builtins(decision)
    return {name: value for name, value in found.items() if name not in ("decided_at", "latency_ms")}


def column(engine: Engine, name: str) -> Any:
    return np.concatenate([record.columns[name] for _, record in engine.ledger.read(kinds=["decisions"])])


ROLLOUT = KeyShare("customer_id", 0, 30, seed="models of shop")


# ---------------------------------------------------------------- a challenger


def test_a_challenger_in_shadow_changes_no_decision_to_the_last_bit(folder, challenger) -> None:
    with Engine(declared(), models=folder) as alone, Engine(declared(), models=folder) as beside:
        beside.challenge(Challenger(challenger))
        assert decided(alone) == decided(beside)
        for name in ("x", "scores", "action", "by"):
            assert np.array_equal(column(alone, name), column(beside, name), equal_nan=True)


def test_what_a_challenger_would_have_decided_is_what_it_decides_as_champion(folder, challenger) -> None:
    with Engine(declared(), models=folder) as tried, Engine(declared(), models=challenger) as champion:
        tried.challenge(Challenger(challenger))
        decided(tried)
        decided(champion)
        assert np.array_equal(column(tried, "would")[:, 1], column(champion, "action"))
        assert np.array_equal(column(tried, "would")[:, 0], column(tried, "action"))
        assert np.array_equal(column(tried, "trial_scores")[:, 1], column(champion, "scores")[:, 0])


def test_a_challenger_rolled_out_decides_for_its_share_of_the_keys_and_for_no_other(folder, challenger, versions) -> None:
    with (
        Engine(declared(), models=folder) as champion,
        Engine(declared(), models=challenger) as other,
        Engine(declared(), models=folder) as divided,
    ):
        divided.challenge(Challenger(challenger, ROLLOUT))
        ours, theirs, found = decided(champion), decided(other), decided(divided)
        keys: dict[str, set[str]] = {}
        for event, mine, its, decision in zip(events(), ours, theirs, found, strict=True):
            keys.setdefault(event["customer_id"], set()).add(decision["versions"]["model"])
            expected = mine if decision["model_version"] == versions[0] else its
            known = {name: value for name, value in decision["scores"].items() if value is not None}
            assert {**decision, "scores": known} == {**expected, "versions": decision["versions"]}
        assert all(len(found) == 1 for found in keys.values())
        assert 0.15 < sum(found == {versions[1]} for found in keys.values()) / len(keys) < 0.45


def test_an_error_of_the_challenger_never_touches_what_the_champion_decides(folder, challenger, monkeypatch) -> None:
    with Engine(declared(), models=folder) as alone, Engine(declared(), models=folder) as beside:
        beside.challenge(Challenger(challenger, ROLLOUT))
        monkeypatch.setattr(type(challenger), "fill", _failing(challenger, type(challenger).fill))
        found = decided(beside)
        assert all(decision["degraded"] is None for decision in found)
        for decision in found:
            decision["scores"].pop("deeper")
        assert found == decided(alone)
        assert (column(beside, "would")[:, 1] == NO_ACTION).all()
        assert beside.trials.figures(model_trial(challenger.version), 10**9).errors == N
        assert verify(beside.ledger, declared(), "t7", folder).identical


def _failing(challenger: Ensemble, fill: Any) -> Any:
    def fails(self: Ensemble, x: Any, out: Any) -> None:
        if self is challenger:
            raise RuntimeError("out of order")
        fill(self, x, out)

    return fails


@pytest.mark.parametrize("share", [None, ROLLOUT], ids=["shadow", "rollout"])
def test_decisions_beside_a_challenger_are_verified_and_read_the_same_later(folder, challenger, tmp_path, share) -> None:
    detector = declared()
    with Engine(detector, models=folder, data=tmp_path) as engine:
        engine.challenge(Challenger(challenger, share))
        found = decided(engine, events(60))
        for k in (1, 17, 59):
            assert verify(engine.ledger, detector, f"t{k}", folder).identical
    with Engine(detector, models=folder, data=tmp_path) as engine:
        for decision in found:
            again = msgspec.json.decode(engine.queries.transaction(decision["transaction_id"]))
            assert {name: again[name] for name in decision} == decision


def test_the_archive_says_which_version_decided_each_event(folder, challenger, versions, tmp_path) -> None:
    from penstock.ledger.archive import Archive

    with Engine(declared(), models=folder) as engine:
        engine.challenge(Challenger(challenger, ROLLOUT))
        found = decided(engine)
        with Archive(engine.ledger) as archive:
            would = f"would_model_{versions[1]}"
            frame = archive.query(f"SELECT transaction_id, versions_model, champion_decision, {would}, decision FROM shop")
    assert dict(zip(frame["transaction_id"], frame["versions_model"], strict=True)) == {
        each["transaction_id"]: each["model_version"] for each in found
    }
    theirs = frame["versions_model"] == versions[1]
    assert (frame.filter(theirs)[would] == frame.filter(theirs)["decision"]).all()
    assert (frame.filter(~theirs)["champion_decision"] == frame.filter(~theirs)["decision"]).all()


def test_a_challenger_that_does_not_fit_is_refused_and_nothing_changes(folder, challenger) -> None:
    with Engine(declared(), models=folder) as engine:
        with pytest.raises(DeclarationError, match="Did you mean customer_id"):
            engine.challenge(Challenger(challenger, KeyShare("customer", 0, 10)))
        other = declared(features=[customer.count("1h"), customer.sum("amount", "7d")])
        with pytest.raises(BundleError, match="train it again"):
            engine.challenge(Challenger(trained(other, 0)))
        engine.challenge(Challenger(challenger))
        engine.challenge()
        assert engine.pipeline.trying is None
        assert engine.trials.names == []


# ---------------------------------------------------------------- several at a time


def versioned(ensemble: Ensemble, version: str) -> Ensemble:
    ensemble.version = version
    return ensemble


@pytest.fixture
def several(challenger) -> list[Challenger]:
    """Four challengers, of which the third decides for a share of the keys."""
    others = [versioned(trained(declared(), seed), f"v{seed}") for seed in (2, 3, 4)]
    return [Challenger(others[0]), Challenger(others[1]), Challenger(challenger, ROLLOUT), Challenger(others[2])]


def test_four_challengers_in_shadow_change_no_decision_to_the_last_bit(folder, several) -> None:
    with Engine(declared(), models=folder) as alone, Engine(declared(), models=folder) as beside:
        beside.challenge(*(Challenger(each.ensemble) for each in several))
        assert decided(alone) == decided(beside)
        for name in ("x", "scores", "action", "by"):
            assert np.array_equal(column(alone, name), column(beside, name), equal_nan=True)


def test_shadows_beside_a_rollout_change_none_of_its_decisions_and_each_is_recorded_as_if_alone(folder, several) -> None:
    with Engine(declared(), models=folder) as one, Engine(declared(), models=folder) as all_:
        one.challenge(several[2])
        all_.challenge(*several)
        assert decided(one) == decided(all_)
        for name in ("x", "scores", "action", "by", "decided_by"):
            assert np.array_equal(column(one, name), column(all_, name), equal_nan=True)
        together, scores = column(all_, "would"), column(all_, "trial_scores")
    for place, each in enumerate(several, 1):
        with Engine(declared(), models=folder) as alone:
            alone.challenge(Challenger(each.ensemble))
            decided(alone)
            assert np.array_equal(together[:, place], column(alone, "would")[:, 1])
            assert np.array_equal(scores[:, place], column(alone, "trial_scores")[:, 1])


def test_of_several_challengers_the_one_that_fails_leaves_the_others_alone(folder, several, monkeypatch) -> None:
    with Engine(declared(), models=folder) as usual, Engine(declared(), models=folder) as beside:
        usual.challenge(*several)
        found = decided(usual)
        beside.challenge(*several)
        failing = several[1].ensemble
        monkeypatch.setattr(Ensemble, "fill", _failing(failing, Ensemble.fill))
        assert decided(beside) == found
        figures = [beside.trials.figures(each.trial, 10**9) for each in several]
        assert [(each.events, each.errors) for each in figures] == [(N, 0), (0, N), (N, 0), (N, 0)]


def test_decisions_beside_several_challengers_are_verified(folder, challenger, tmp_path) -> None:
    detector = declared()
    about = About(detector.name, detector.version, detector.fingerprint(detector.plan.inputs), {}, {}, {})
    other = save(trained(detector, 5), folder, about)
    try:
        with Engine(detector, models=folder) as engine:
            engine.challenge(Challenger(load_bundle(folder / "shop" / str(other.version))), Challenger(challenger, ROLLOUT))
            decided(engine, events(60))
            assert all(verify(engine.ledger, detector, f"t{k}", folder).identical for k in (1, 17, 59))
    finally:
        shutil.rmtree(folder / "shop" / str(other.version))


def test_what_cannot_be_tried_together_is_refused(folder, several) -> None:
    with Engine(declared(), models=folder) as engine:
        with pytest.raises(DeclarationError, match="at most 4"):
            engine.challenge(*several, Challenger(versioned(trained(declared(), 6), "v6")))
        with pytest.raises(DeclarationError, match="cannot both decide"):
            engine.challenge(several[2], Challenger(several[0].ensemble, ROLLOUT))
        with pytest.raises(DeclarationError, match="once at a time"):
            engine.challenge(several[0], several[0])


# ---------------------------------------------------------------- rules that are candidates


def with_candidate(percent: float | None) -> list[Rule]:
    """`fourth` with a second version that is in shadow, or rolled out."""
    begin = percent or 0.0
    ours = KeyShare("customer_id", begin, 100, seed="fourth") if percent else None
    theirs = KeyShare("customer_id" if percent else None, 0, begin, seed="fourth")
    return [
        Rule("fourth", "customer_count_1h >= 4", then="review", share=ours),
        Rule("sure", "score > 0.9", then="block"),
        Rule("fourth_v2", "customer_count_1h >= 3", then="block", share=theirs),
    ]


@pytest.mark.parametrize("percent", [None, 20.0, 100.0])
def test_a_candidate_rule_is_held_against_the_active_one_on_the_same_events(folder, percent) -> None:
    promoted = [Rule("sure", "score > 0.9", then="block"), Rule("fourth", "customer_count_1h >= 3", then="block")]
    with (
        Engine(declared(rules=with_candidate(percent)), models=folder) as tried,
        Engine(declared(), models=folder) as before,
        Engine(declared(rules=promoted), models=folder) as after,
    ):
        for engine in (tried, before, after):
            decided(engine)
        assert tried.trials.names == ["fourth_v2"]
        assert np.array_equal(column(tried, "would")[:, 0], column(before, "action"))
        assert np.array_equal(column(tried, "would")[:, 1], column(after, "action"))
        figures = tried.trials.figures("fourth_v2", 10**9)
        assert figures.events == N
        assert figures.candidate == tuple(np.bincount(column(after, "action"), minlength=4).tolist())


@pytest.mark.parametrize("percent", [None, 20.0])
def test_a_candidate_rule_that_fails_harms_nobody_and_is_counted(folder, percent, monkeypatch) -> None:
    with (
        Engine(declared(rules=with_candidate(percent)), models=folder) as tried,
        Engine(declared(rules=with_candidate(percent)[:2]), models=folder) as without,
    ):
        [(candidate, _)] = tried.detector.plan.rules.tried_programs
        failing = SimpleNamespace(run=_out_of_order)
        monkeypatch.setattr(tried.detector.plan.rules, "tried_programs", [(candidate, failing)])
        assert [each["decision"] for each in decided(tried)] == [each["decision"] for each in decided(without)]
        assert (column(tried, "would")[:, 1] == NO_ACTION).all()
        assert tried.trials.figures("fourth_v2", 10**9).errors == N
        [record, *_] = [record for _, record in tried.ledger.read(kinds=["decisions"])]
        assert record.meta["trial_errors"] == {"fourth_v2": "RuntimeError: out of order"}


def _out_of_order(_batch: Any) -> None:
    raise RuntimeError("out of order")


def test_rules_that_read_the_score_read_that_of_the_model_that_decides(folder, challenger) -> None:
    rules = [Rule("likely", "score > 0.4", then="block")]
    with Engine(declared(rules=rules), models=folder) as tried, Engine(declared(rules=rules), models=challenger) as other:
        tried.challenge(Challenger(challenger, ROLLOUT))
        decided(tried)
        decided(other)
        assert np.array_equal(column(tried, "would")[:, 1], column(other, "action"))
        theirs = column(tried, "decided_by") == 1
        assert np.array_equal(column(tried, "action")[theirs], column(other, "action")[theirs])


# ---------------------------------------------------------------- outcomes that rules lower


@pytest.mark.parametrize("which", [0, 1])  # only the first finds anything to block
def test_the_one_that_decides_judges_by_the_same_order_and_says_what_a_rule_lowered(folder, versions, which) -> None:
    known = Rule("known", "customer_count_1h < 3", then="review", override=True)
    detector = declared(rules=[known, Rule("small", "amount < 90", then="challenge")], models=declared().models)
    champion, challenger = (load_bundle(folder / "shop" / versions[at]) for at in (which, 1 - which))
    with Engine(detector, models=champion) as engine:
        engine.challenge(Challenger(challenger, ROLLOUT))
        found = engine.decide_many(events())
        lowered, theirs = column(engine, "lowered"), column(engine, "decided_by") == 1
        assert set(lowered[theirs == which].tolist()) == {NO_ACTION, Action.BLOCK.value}
        for each, was in zip(found, lowered.tolist(), strict=True):
            score, rules = each.fraud_probability, [hit.name for hit in each.explanation.rules]
            asked = "BLOCK" if score >= 0.7 else "REVIEW" if score >= 0.5 else "APPROVE"
            if "known" in rules:
                assert each.decision == "REVIEW"
                assert each.explanation.lowered == ("BLOCK" if asked == "BLOCK" else msgspec.UNSET)
            else:
                assert each.decision == (asked if asked != "APPROVE" else "CHALLENGE" if rules else "APPROVE")
                assert each.explanation.lowered is msgspec.UNSET
            assert (was == Action.BLOCK.value) is (each.explanation.lowered == "BLOCK")
        for at in np.flatnonzero(lowered != NO_ACTION)[:3].tolist():
            assert verify(engine.ledger, detector, f"t{at}", folder).identical


@pytest.mark.parametrize("override", [False, True])
def test_a_rule_that_watches_would_lower_only_what_it_says_that_it_lowers(folder, override) -> None:
    tried = Rule("any_v2", "amount > 0", then="challenge", override=override, share=KeyShare(None, 0.0, 0.0, "any"))
    with Engine(declared(rules=[tried]), models=folder) as engine:
        engine.decide_many(events())
        champion, candidate = column(engine, "would").T
        action = column(engine, "action")
    assert (action == champion).all()
    expected = np.full(len(champion), Action.CHALLENGE.value) if override else np.maximum(champion, Action.CHALLENGE.value)
    assert (candidate == expected).all()
    assert (candidate < champion).any() == override


# ---------------------------------------------------------------- the control share


def controlled(**options: Any) -> Detector:
    policy = Policy(review_at=0.5, block_at=0.7, control_share=0.2, **options)
    return declared(
        models=[],
        rules=[Rule("any", "amount > 5", then="block"), Rule("list", "amount > 90", "block", hard=True)],
        policy=policy,
    )


def test_a_control_share_lets_through_what_would_be_blocked_but_no_hard_block(tmp_path) -> None:
    detector = controlled()
    with Engine(detector, data=tmp_path) as engine:
        found = engine.decide_many(events(2000))
        let_through = [each for each in found if each.explanation.decision_reason == "control_share"]
        blocked = [each for each in found if each.decision == "BLOCK"]
        assert all(each.decision == "APPROVE" and each.explanation.rules for each in let_through)
        soft = [each for each in blocked if each.explanation.decision_reason == "any"]
        assert 0.15 < len(let_through) / (len(let_through) + len(soft)) < 0.25
        assert not any(hit.name == "list" for each in let_through for hit in each.explanation.rules)
        control = column(engine, "control")
        assert np.count_nonzero(control == Action.BLOCK.value) == len(let_through)
        assert verify(engine.ledger, detector, let_through[0].transaction_id, None).identical


def test_whoever_is_let_through_is_so_in_a_replay_too(tmp_path) -> None:
    from penstock import replay

    detector = controlled()
    some = events(500)
    import polars as pl

    frame = pl.DataFrame(some).with_columns(pl.col("timestamp").str.to_datetime(time_zone="UTC"))
    with Engine(detector) as one_by_one, Engine(detector) as together:
        live = [one_by_one.decide(event).decision for event in some]
        assert live == [each.decision for each in together.decide_many(some)]
    assert live == replay(detector, frame)["decision"].to_list()
    other = replay(controlled(control_salt="another"), frame)["decision"].to_list()
    assert live != other


def test_a_control_share_is_part_of_the_version_and_none_is_not() -> None:
    assert controlled().version != controlled(control_salt="another").version
    assert declared().version == declared(policy=Policy(review_at=0.5, block_at=0.7, guards=())).version
    with pytest.raises(DeclarationError, match=r"control_share=0\.5"):
        Policy(control_share=0.5)
