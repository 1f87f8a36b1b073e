"""Rules that cannot work as meant are found before any event has come, and nothing else is."""

import pytest

from penstock import Rule
from penstock.messages import Type
from penstock.rules.checks import KINDS, check
from penstock.rules.share import KeyShare

SCOPE = {"amount": Type.NUMBER, "count": Type.NUMBER, "night": Type.BOOLEAN, "country": Type.TEXT, "key": Type.TEXT}


def found(*rules, **options):
    return [(each.rule, each.kind, each.other) for each in check(rules, SCOPE, **options)]


@pytest.mark.parametrize(
    ("when", "kind"),
    [
        ("amuont > 1", "unreadable"),
        ("amount = 'x'", "unreadable"),
        ("amount > 5 AND amount < 3", "never_true"),
        ("amount = NULL", "never_true"),
        ("1 = 1", "always_true"),
        ("amount > 5 OR amount <= 5", "always_true"),
        ("amount > 5", None),
        ("amount > 5 OR country = 'DE'", None),
    ],
)
def test_one_rule_by_itself(when, kind):
    assert found(Rule("one", when)) == ([("one", kind, None)] if kind else [])


def test_an_error_names_the_part_and_what_was_meant():
    (finding,) = check([Rule("one", "amuont > 1")], SCOPE)
    assert "Did you mean amount?" in finding.sentence
    assert finding.place == "amuont > 1"


def test_what_is_true_only_of_known_values_says_so():
    rule = Rule("one", "amount > 5 OR amount <= 5")
    assert "of which amount is known" in check([rule], SCOPE)[0].sentence
    assert "for every event, so" in check([rule], SCOPE, known={"amount"})[0].sentence


@pytest.mark.parametrize(
    ("first", "second", "finding"),
    [
        (("amount > 5", "block"), ("amount > 9", "block"), ("second", "never_reached", "first")),
        (("amount > 5", "block"), ("amount > 9 AND night", "review"), ("second", "never_reached", "first")),
        (("amount > 9", "block"), ("amount > 5", "block"), ("first", None, None)),
        (("amount > 5", "review"), ("amount > 9", "block"), None),
        (("amount > 9", "review"), ("amount > 5", "block"), ("first", "never_reached", "second")),
        (("amount > 5", "allow"), ("amount > 9", "block"), ("second", "never_reached", "first")),
        (("amount > 5 AND night", "block"), ("night AND 5 < amount", "review"), ("second", "same_as", "first")),
        (("NOT (amount > 5 OR night)", "block"), ("NOT night AND amount <= 5", "block"), ("second", "same_as", "first")),
        (("amount > 5", "block"), ("count > 5", "block"), None),
    ],
)
def test_two_rules(first, second, finding):
    rules = [Rule("first", first[0], then=first[1]), Rule("second", second[0], then=second[1])]
    wanted = [finding] if finding and finding[1] else []
    assert found(*rules) == wanted


def test_a_hard_block_is_never_behind_anything_softer():
    assert found(Rule("trusted", "amount > 5", then="allow"), Rule("stolen", "amount > 9", then="block", hard=True)) == []


def test_a_rule_that_acts_on_a_share_hides_nothing():
    part = Rule("part", "amount > 5", then="block", share=KeyShare("key", 0, 10, seed="s"))
    assert found(part, Rule("whole", "amount > 9", then="block")) == []


def test_every_kind_is_listed():
    crowded = " AND ".join(f"(amount > {k} OR count > {k} OR amount = count + {k})" for k in range(12))
    assert found(Rule("crowded", crowded)) == [("crowded", "not_told", None)]
    assert {"unreadable", "never_true", "always_true", "same_as", "never_reached", "not_told"} == set(KINDS)
