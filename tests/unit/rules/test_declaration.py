"""A rule that cannot work is refused where it is declared, with what is allowed."""

import pytest

from penstock.errors import DeclarationError
from penstock.rules import Rule


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ({"name": "amount spike"}, "a name has up to 63 letters, digits and _"),
        ({"name": "rule:1"}, "a name has up to 63"),
        ({"name": "4th"}, "a name has up to 63"),
        ({"name": ""}, "a name has up to 63"),
        ({"then": "reveiw"}, "Did you mean review?"),
        ({"then": "approve"}, "write then='allow'"),
        ({"then": None}, "use allow, challenge, review, block"),
        ({"then": "review", "hard": True}, "hard=True is for then='block' only"),
        ({"then": "allow", "hard": True}, "hard=True is for then='block' only"),
        ({"reason": 5}, "must be a sentence"),
        ({"code": "two words"}, "a code has up to 63"),
        ({"code": "ml_probability"}, "says that no rule decided"),
        ({"name": "degraded"}, "says that no rule decided"),
    ],
)
def test_what_a_rule_cannot_be_is_refused_with_what_it_can(arguments, complaint):
    with pytest.raises(DeclarationError) as refusal:
        Rule(**{"name": "spike", "when": "amount > 3", **arguments})
    assert complaint in str(refusal.value)


def test_a_rule_asks_for_review_and_is_its_own_code_unless_it_says_otherwise():
    rule = Rule("spike", "amount > 3")
    assert (rule.then, rule.code, rule.hard) == ("review", "spike", False)
    assert Rule("spike", "amount > 3", code="high_amount").code == "high_amount"


def test_a_hard_rule_blocks():
    assert Rule("stolen", "amount > 3", then="block", hard=True).hard
