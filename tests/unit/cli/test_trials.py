"""`penstock models shadow | rollout | promote | rollback | compare` and `penstock trials`, over a data folder."""

import json
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from click.testing import CliRunner

from penstock import Engine, cli
from penstock.audit import AuditLog
from penstock.config import Settings
from penstock.database import open_office
from penstock.models import About, fit_ensemble, promote, save
from penstock.wiring.detectors import load_detector
from penstock.wiring.governance import trial_work

FILE = """
from datetime import datetime
import msgspec
from penstock import Detector, Entity, LogisticRegression, Policy, Rule

class Payment(msgspec.Struct):
    transaction_id: str
    timestamp: datetime
    customer_id: str
    amount: float

customer = Entity("customer_id")
detector = Detector(
    "tried", event=Payment, id="transaction_id", time="timestamp", features=[customer.count("1h")],
    models=[LogisticRegression()], rules=[Rule("large", "amount > 300", then="block")],
    policy=Policy(review_at=0.5, block_at=0.9, control_share=0.2),
)
"""


@pytest.fixture
def world(tmp_path):
    """A detector's file, a champion and another version, and the folders of both."""
    file = tmp_path / "mine.py"
    file.write_text(FILE)
    detector, models = load_detector(str(file)), tmp_path / "models"
    about = About(detector.name, detector.version, detector.fingerprint(detector.plan.inputs), {}, {}, {})
    found = []
    for seed in (0, 1):
        rng = np.random.default_rng(seed)
        x = rng.exponential(50, size=(300, len(detector.plan.inputs)))
        y = (x[:, 0] + rng.normal(0, 20, 300) > 60 + 40 * seed).astype(float)
        ensemble = fit_ensemble(detector.models, x[:200], y[:200], x[200:], y[200:], detector.plan.inputs, seed=seed)
        found.append(str(save(ensemble, models, about).version))
    promote(models, "tried", found[0])
    (tmp_path / "data").mkdir()
    return file, tmp_path, found


@pytest.fixture
def run(world):
    file, folder, _ = world

    def ask(*arguments, ends_with=0):
        flags = ["--data", str(folder / "data")]
        if arguments[0] == "models":
            flags += ["--models", str(folder / "models"), "--detector", str(file)]
        with CliRunner().isolation() as (stdout, stderr, _):
            code = cli.run([*arguments, *flags])
            out, said = stdout.getvalue().decode(), stderr.getvalue().decode()
        assert code == ends_with, said
        return out if not code else said

    return ask


def test_a_version_is_tried_compared_promoted_and_taken_back(world, run):
    file, folder, (champion, other) = world
    assert "in shadow" in run("models", "shadow", other[:6], "--who", "ann", "--note", "newer")
    told = json.loads(
        run("models", "rollout", other, "--percent", "50", "--of", "customer_id", "--guard", "block_rate more=0.5", "--json")
    )
    assert (told["state"], told["guards"][0]["more"]) == ("rollout", 0.5)
    _decide(file, folder)
    shown = run("models", "compare")
    assert f"{other} and the champion of" in shown
    assert "agreement" in shown
    assert json.loads(run("trials", str(file), "model", "--json"))["total"]["events"] == 400
    listed = run("trials", str(file))
    assert listed.startswith(f"model_{other}\n")
    assert "control share:" in listed
    assert f"{other} is the champion of tried now" in run("models", "promote", other, "--who", "bob")
    assert f"{champion} is the champion of tried now" in run("models", "rollback")
    assert "nothing is tried" in run("models", "rollback", ends_with=1)
    with open_office(folder / "data") as office:
        actions = [(entry.who, entry.action) for entry in reversed(AuditLog(office).entries())]
        assert AuditLog(office).verify() is None
    assert [action for _, action in actions] == ["model.shadow", "model.rollout", "model.promote", "model.return"]
    assert (actions[0][0], actions[2][0]) == ("ann", "bob")


def _decide(file, folder):
    """Decide 400 payments as a service over this folder would, with whatever is tried."""
    detector, rng = load_detector(str(file)), np.random.default_rng(0)
    settings = Settings(data=folder / "data", models=folder / "models")
    with open_office(settings.data) as office, Engine(detector, models=settings.models, data=settings.data) as engine:
        engine.challenge(*trial_work(office, [detector], settings).newer["tried"](-1).challengers)
        now = datetime.now(UTC) - timedelta(minutes=5)
        engine.decide_many(
            [
                {
                    "transaction_id": f"t{k}",
                    "timestamp": now.isoformat(),
                    "customer_id": f"c{k % 40}",
                    "amount": round(float(rng.exponential(90)), 2),
                }
                for k in range(400)
            ]
        )


def test_with_four_eyes_another_person_approves_a_promotion(world, run, monkeypatch):
    file, folder, (champion, other) = world
    monkeypatch.setenv("PENSTOCK_FOUR_EYES", "true")
    run("models", "shadow", other, "--who", "ann")
    promote = ["models", "promote", other, "--json", "--who", "ann"]
    assert json.loads(run(*promote))["stage"] == "pending"
    listed = json.loads(run("rules", "approvals", "list", str(file), "--json"))
    assert [(each["kind"], each["name"], each["action"]) for each in listed] == [("model", other, "promote")]
    approve = ["rules", "approvals", "approve", str(file), listed[0]["id"], "--models", str(folder / "models"), "--who"]
    assert "four eyes" in run(*approve, "ann", ends_with=1)
    assert (folder / "models" / "tried" / "champion").read_text().strip() == champion
    run(*approve, "bob")
    assert (folder / "models" / "tried" / "champion").read_text().strip() == other


def test_one_of_several_trials_is_ended_by_its_version(world, run):
    _, _, (champion, other) = world
    run("models", "shadow", other)
    assert "is not tried" in run("models", "rollback", champion, ends_with=1)
    assert f"{other} of tried is tried no more" in run("models", "rollback", other[:6])


def test_a_rollback_ends_the_trial_first(world, run):
    _, _, (champion, other) = world
    run("models", "shadow", other)
    assert f"{other} of tried is tried no more; {champion} decides" in run("models", "rollback", "--note", "slow")
    assert "no champion before" in run("models", "rollback", ends_with=1)


def test_a_challenger_by_alias_is_watched_by_whoever_decides(world, run):
    file, folder, (_, other) = world
    run("models", "promote", other, "--as", "challenger")
    settings = Settings(data=folder / "data", models=folder / "models")
    with open_office(settings.data) as office:
        newer = trial_work(office, [load_detector(str(file))], settings).newer["tried"]
        found = newer(-1)
        assert [(each.version, each.share) for each in found.challengers] == [(other, None)]
        assert newer(found.revision) is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rollout", "OTHER", "--percent", "0", "--of", "customer_id"], "more than 0, and at most 100"),
        (["rollout", "OTHER", "--percent", "5", "--of", "customer"], "Did you mean customer_id"),
        (["rollout", "OTHER", "--percent", "5", "--of", "customer_id", "--guard", "block more=1"], "Did you mean block_rate"),
        (["rollout", "OTHER", "--percent", "5", "--of", "customer_id", "--guard", "block_rate"], "more=... or less=..."),
        (["shadow", "CHAMPION"], "decides already"),
        (["shadow", "nobody"], "no model version"),
    ],
)
def test_what_cannot_be_tried_is_refused_with_the_remedy(world, run, arguments, said):
    _, _, (champion, other) = world
    given = [{"OTHER": other, "CHAMPION": champion}.get(each, each) for each in arguments]
    ends_with = 1 if arguments[0] == "shadow" else 2
    assert said in run("models", *given, ends_with=ends_with)
