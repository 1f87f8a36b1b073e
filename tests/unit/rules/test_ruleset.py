"""Rules are checked against the columns there are, fill a column each, and say what they saw."""

import numpy as np
import pytest

from penstock.codes import text_codes
from penstock.errors import DeclarationError, ExpressionError
from penstock.messages import Batch, Layout, Type
from penstock.rules import Rule, RuleSet

NAN = float("nan")
TYPES = {"amount": Type.NUMBER, "amount_ratio": Type.NUMBER, "is_night": Type.BOOLEAN, "country": Type.TEXT}


def layout():
    made = Layout()
    for name, type_ in TYPES.items():
        made.add(name, type_)
    return made


def compiled(*rules):
    return RuleSet(rules, layout(), TYPES)


def run(rules, amounts=(), ratios=(), nights=(), countries=()):
    n = max(map(len, (amounts, ratios, nights, countries)))
    columns = layout()
    compiled_rules = RuleSet(rules, columns, TYPES)
    x = np.full((n, columns.width), NAN)
    for index, values in enumerate((amounts, ratios, nights)):
        x[: len(values), index] = values
    texts = list(countries) or [None] * n
    zeros = np.zeros(n, np.int64)
    batch = Batch(["id"] * n, zeros.astype(np.uint8), zeros, zeros, x, text_codes(texts)[:, None], {"country": texts})
    compiled_rules.run(batch)
    return batch.x[:, compiled_rules.columns]


def test_every_rule_fills_a_column_of_its_own():
    rules = [Rule("high", "amount > 2000"), Rule("abroad", "country <> 'CH'")]
    assert run(rules, amounts=[100, 3000], countries=["FR", "CH"]).tolist() == [[0, 1], [1, 0]]


def test_columns_of_rules_cannot_be_mistaken_for_fields():
    columns = layout()
    RuleSet([Rule("amount", "amount > 5")], columns, TYPES)
    assert columns["rule:amount"].index == columns.width - 1
    assert columns["rule:amount"].type is Type.BOOLEAN


@pytest.mark.parametrize(
    ("when", "amount", "night", "expected"),
    [
        ("amount > 5", NAN, 1, NAN),
        ("NOT amount > 5", NAN, 1, NAN),
        ("amount > 5 OR is_night", NAN, 1, 1),
        ("amount > 5 AND is_night", NAN, 0, 0),
        ("amount IS NULL", NAN, 0, 1),
        ("amount / 0 > 5", 1, 0, NAN),
    ],
)
def test_null_is_neither_true_nor_false(when, amount, night, expected):
    found = run([Rule("r", when)], amounts=[amount], nights=[night])[0, 0]
    assert found == expected or (np.isnan(found) and np.isnan(expected))


def test_a_detector_without_rules_runs():
    assert run([], amounts=[1.0]).shape == (1, 0)


def test_an_unknown_column_is_refused_with_the_rule_and_the_nearest_name():
    with pytest.raises(ExpressionError, match=r"rule 'spike'.*Did you mean amount"):
        compiled(Rule("spike", "amuont > 3"))


def test_a_condition_must_be_true_or_false():
    with pytest.raises(ExpressionError, match=r"rule 'spike'.*a condition \(true or false\) is expected"):
        compiled(Rule("spike", "amount + 3"))


def test_two_rules_of_one_name_are_refused():
    with pytest.raises(DeclarationError, match=r"rule 'spike' is declared twice; give one"):
        compiled(Rule("spike", "amount > 3"), Rule("spike", "amount > 4"))


def test_a_reason_that_names_no_column_is_refused_with_the_rule():
    with pytest.raises(DeclarationError, match=r"rule 'spike': reason: \{ratio\}.*no field or feature"):
        compiled(Rule("spike", "amount > 3", reason="{ratio} times"))


@pytest.mark.parametrize(
    ("rules", "warning"),
    [
        ([Rule("a", "1 = 1")], "rule 'a' is true for every event, so it always fires: 1 = 1"),
        ([Rule("a", "amount > 1 AND FALSE")], "is never true, so it never fires"),
        ([Rule("a", "amount > NULL")], "is never true, so it never fires"),
        ([Rule("a", "amount > 3"), Rule("b", "amount > 4")], "rule 'b' never decides"),
        ([Rule("a", "amount > 3"), Rule("b", "amount>3.0", then="block")], "rule 'b' has the same condition as rule 'a'"),
    ],
)
def test_what_works_but_cannot_be_meant_is_warned_about(rules, warning):
    assert [warning in found for found in compiled(*rules).warnings] == [True]


def test_ordinary_rules_are_not_warned_about():
    assert compiled(Rule("a", "amount > 4"), Rule("b", "amount > 3")).warnings == []


def test_the_version_changes_with_what_is_decided_or_said_and_with_nothing_else():
    base = Rule("a", "amount > 3", then="review", reason="much")
    versions = [
        compiled(rule).version
        for rule in (
            base,
            Rule("b", "amount > 3", then="review", reason="much"),
            Rule("a", "amount > 4", then="review", reason="much"),
            Rule("a", "amount > 3", then="block", reason="much"),
            Rule("a", "amount > 3", then="block", reason="much", hard=True),
            Rule("a", "amount > 3", then="review", reason="a lot"),
            Rule("a", "amount > 3", then="review", reason="much", code="c"),
        )
    ]
    assert len(set(versions)) == len(versions)
    assert compiled(Rule("a", "AMOUNT>3.0".lower(), then="review", reason="much")).version == versions[0]
    other = Rule("z", "is_night")
    assert compiled(base, other).version != compiled(other, base).version


def test_a_reason_is_filled_with_values():
    rule = next(iter(compiled(Rule("r", "amount_ratio > 3", reason="{amount:.2f} is {amount_ratio:.1f} times the usual"))))
    assert rule.said == ("amount", "amount_ratio")
    assert rule.sentence({"amount": 120.0, "amount_ratio": 4.21}) == "120.00 is 4.2 times the usual"


def test_a_rule_without_a_reason_says_its_condition_and_what_it_read():
    rule = next(iter(compiled(Rule("r", "is_night and amount > 2000"))))
    said = rule.sentence({"is_night": True, "amount": 2500.5})
    assert said == "is_night AND amount > 2000: is_night is yes, amount is 2500.5"


def test_a_rule_is_about_the_first_number_it_reads():
    rules = compiled(Rule("a", "is_night AND amount > amount_ratio"), Rule("b", "country = 'CH'"), Rule("c", "1 = 1"))
    assert [rule.about for rule in rules] == ["amount", "country", None]
