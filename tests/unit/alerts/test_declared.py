"""A file of alerts is read, or refused with the place, the value and the remedy."""

from pathlib import Path

import pytest

from penstock.alerts import DEFAULTS, Evaluator, evaluators, read_alerts, rule_of
from penstock.alerts.rule import METRICS
from penstock.config import Settings, load_settings
from penstock.errors import ConfigurationError, DeclarationError
from penstock.wiring.alerts import Alerting, open_channels
from penstock.wiring.detectors import installed, load_detector

from .conftest import detector


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"when": "amount > 1"}, "name"),
        ({"name": "a b", "when": "amount > 1"}, "letters, digits and _"),
        ({"name": "a"}, "when"),
        ({"name": "a", "when": "amount > 1", "wen": 1}, "Did you mean when?"),
        ({"name": "a", "kind": "brust"}, "Did you mean burst?"),
        ({"name": "a", "kind": "burst"}, "more_than"),
        ({"name": "a", "kind": "burst", "more_than": 0}, ">= 1"),
        ({"name": "a", "kind": "burst", "more_than": 5, "within": "soon"}, "within 'soon' is not understood"),
        ({"name": "a", "kind": "burst", "more_than": 5, "within": "ever"}, "no length of time"),
        ({"name": "a", "kind": "rate", "when": "amount > 1"}, "times = N"),
        ({"name": "a", "kind": "rate", "when": "amount > 1", "times": 2, "above": 0.5}, "one of both"),
        ({"name": "a", "kind": "gauge", "metric": "lag"}, "more_than"),
        ({"name": "a", "kind": "gauge", "metric": "lag", "more_than": 1, "within": "0s"}, "no length of time"),
        (
            {"name": "a", "kind": "gauge", "metric": "nonsense_xyz", "more_than": 1},
            "'nonsense_xyz'. Known: conflicts, ",
        ),
        ({"name": "a", "kind": "gauge", "metric": "quarantine", "more_than": 1}, "Did you mean quarantined?"),
        ({"name": "a", "kind": "gauge", "metric": "lag", "more_than": 1, "file": "x.toml"}, "a gauge has no 'file'"),
        ({"name": "a", "kind": "gauge", "metric": "lag", "more_than": 1, "when": "amount > 1"}, "a gauge has no 'when'"),
        ({"name": "a", "kind": "rate", "when": "amount > 1", "above": 0.5, "per": "customer_id"}, "a rate has no 'per'"),
        ({"name": "a", "when": "amount > 1", "severity": "bad"}, "no severity 'bad'. Known: critical, info, warning."),
        ({"name": "a", "when": "amount > 1", "severity": "criticl"}, "Did you mean critical?"),
    ],
)
def test_a_rule_that_cannot_work_is_refused_when_it_is_read(rule, said):
    with pytest.raises(DeclarationError, match="alert") as caught:
        rule_of(rule)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"when": "amuont > 1"}, "Did you mean amount?"),
        ({"when": "amount"}, "a condition"),
        ({"when": "amount > 1", "per": "customer"}, "Did you mean customer_id?"),
        ({"kind": "burst", "more_than": 1, "distinct": "contry"}, "Did you mean country?"),
        ({"when": "amount > 1", "message": "{amont}"}, "Did you mean amount?"),
        ({"when": "amount > 1", "message": "{share}"}, "share"),
        ({"kind": "gauge", "metric": "lag", "more_than": 1, "message": "{amount}"}, "amount"),
    ],
)
def test_a_rule_that_does_not_fit_the_detector_is_refused_before_anything_runs(rule, said):
    with pytest.raises(DeclarationError) as caught:
        Evaluator(detector(), [rule_of({"name": "a", **rule})], dict)
    assert "alert 'a'" in str(caught.value)
    assert said in str(caught.value)


def test_rules_of_other_detectors_and_rules_that_are_off_are_left_out():
    rules = [{"name": "a", "detector": "other", "when": "nothing > 1"}, {"name": "b", "when": "nothing > 1", "off": True}]
    assert Evaluator(detector(), map(rule_of, rules), dict).rules == ()


def write(tmp_path, text, name="alerts.toml"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_file_holds_rules_channels_and_the_limit_over_all(tmp_path):
    path = write(
        tmp_path,
        """
        [alerting]
        limit = 9
        [channels.ops]
        kind = "slack"
        url = "${OPS_URL}"
        [[alerts]]
        name = "a"
        when = "amount > 5"
        """,
    )
    declared = read_alerts(path, environment={"OPS_URL": "https://chat.example/x"})
    assert ([rule.name for rule in declared.rules], declared.limit) == (["a"], 9)
    assert declared.channels == {"ops": {"kind": "slack", "url": "https://chat.example/x"}}
    with pytest.raises(ConfigurationError, match=r"channel 'ops': \$\{OPS_URL\} is not set"):
        read_alerts(path, environment={})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[alert]]\nname='a'", "Did you mean alerts?"),
        ("alerts = 5", r"headed \[\[alerts\]\]"),
        ("[alerting]\nlimits = 5", "Did you mean limit?"),
        ("[alerting]\nlimit = 0", "limit = 0"),
        ("[alerting]\ndefaults = 'no'", "defaults = 'no'"),
        ("[[alerts]]\nname='a'\nkind='gauge'\nmetric='lags'\nmore_than=1", "alert 'a': there is no metric 'lags'"),
        ("[channels]\nops = 'x'", r"headed \[channels.NAME\]"),
        ("[[alerts]]\nname='a'\nwhen='1 > 0'\n[[alerts]]\nname='a'\nwhen='1 > 0'", "declared twice"),
        ("not toml", "is not valid TOML"),
    ],
)
def test_a_file_that_is_not_understood_is_refused(tmp_path, text, said):
    with pytest.raises((ConfigurationError, DeclarationError), match=said) as caught:
        read_alerts(write(tmp_path, text))
    assert "alerts.toml" in str(caught.value)


@pytest.mark.parametrize(
    "rule", ["when='amuont > 1'", "when='amount > 1'\nper='customer'", "when='amount > 1'\nmessage='{amont}'"]
)
def test_a_rule_that_does_not_fit_the_detector_is_named_with_its_file(tmp_path, rule):
    declared = read_alerts(write(tmp_path, f"[[alerts]]\nname='a'\n{rule}"))
    with pytest.raises(DeclarationError, match=r"alerts\.toml: alert 'a'"):
        evaluators([detector()], declared.rules, dict)


@pytest.mark.parametrize(
    ("channel", "said"),
    [
        ("kind='slak'\nurl='https://x'", "Did you mean slack?"),
        ("kind='slack'\nurl='https://x'\nseverity='warn'", "no severity 'warn'"),
        ("kind='slack'\nurl='https://x'\ntimeout=1", "Did you mean timeout_s?"),
    ],
)
def test_a_channel_that_cannot_work_is_refused_with_its_file_and_name(tmp_path, channel, said):
    with pytest.raises(ConfigurationError, match=r"alerts\.toml: channel 'ops'") as caught:
        open_channels(read_alerts(write(tmp_path, f"[channels.ops]\n{channel}")))
    assert said in str(caught.value)


def test_a_rule_about_a_detector_that_is_not_served_is_left_out_with_a_warning(tmp_path, caplog):
    rules = [f"[[alerts]]\nname='{name}'\ndetector='{of}'\nwhen='amount > 1'" for name, of in (("a", "shpo"), ("b", "shop"))]
    settings = Settings(alerts=write(tmp_path, "\n".join(rules)))
    assert Alerting.of([detector()], settings) is not None
    [warning] = [record.getMessage() for record in caplog.records]
    assert "alerts.toml: alert 'a' is left out: detector 'shpo' is not served here. Did you mean shop?" in warning


def test_a_change_of_the_files_name_keeps_what_a_rule_has_counted():
    table = {"name": "a", "kind": "burst", "more_than": 1}
    old, new = (Evaluator(detector(), [rule_of(table, file)], dict).state()["rules"]["a"] for file in ("a.toml", "b.toml"))
    assert old == new


def test_every_figure_that_a_gauge_may_ask_for_is_documented():
    page = (Path(__file__).parents[3] / "docs/guide/alerts.md").read_text()
    assert [name for name in METRICS if f"`{name}`" not in page] == []


def test_rules_may_stand_in_the_file_of_settings(tmp_path):
    write(
        tmp_path,
        "port = 9000\n[channels.a]\nkind='slack'\nurl='https://x'\n[[alerts]]\nname='a'\nwhen='1 > 0'",
        "penstock.toml",
    )
    settings = load_settings(environment={}, folder=tmp_path)
    assert (settings.port, settings.alerts) == (9000, tmp_path / "penstock.toml")
    declared = read_alerts(settings.alerts)
    assert (len(declared.rules), list(declared.channels)) == (1, ["a"])


def test_a_file_beside_the_settings_is_named_by_them(tmp_path):
    write(tmp_path, "alerts = 'mine.toml'", "penstock.toml")
    assert str(load_settings(environment={}, folder=tmp_path).alerts) == "mine.toml"


def test_ones_own_rule_takes_the_place_of_a_default_of_the_same_name(tmp_path):
    text = "[alerting]\ndefaults = true\n[[alerts]]\nname='review_rate'\nkind='rate'\nwhen='amount > 1'\nabove=0.5\noff=true"
    declared = read_alerts(write(tmp_path, text))
    [rule] = [rule for rule in declared.rules if rule.name == "review_rate"]
    assert rule.off
    assert len(declared.rules) == len(read_alerts(write(tmp_path, "[alerting]\ndefaults = true")).rules)


@pytest.mark.parametrize("name", installed())
def test_the_defaults_fit_every_detector_that_comes_with_penstock(name):
    loaded = load_detector(name)
    declared = read_alerts(Path(DEFAULTS), [loaded.folder])
    [evaluator] = evaluators([loaded], declared.rules, dict).values()
    own = [rule for rule in evaluator.rules if rule.detector == name]
    assert own
    assert {"burst_of_blocks", "review_rate", "quarantine_grows", "decisions_lag"} < {rule.name for rule in evaluator.rules}
