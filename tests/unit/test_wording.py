"""Values are said as people would say them, and templates that cannot work are refused when they are declared."""

from datetime import UTC, datetime

import pytest

from penstock.errors import DeclarationError
from penstock.messages import Type
from penstock.wording import Template, plain

SCOPE = {"amount": Type.NUMBER, "is_night": Type.BOOLEAN, "when": Type.TIME, "city": Type.TEXT}
VALUES = {"amount": 1234.5, "is_night": True, "when": datetime(2026, 1, 31, 4, 5, 6, tzinfo=UTC), "city": "Bern"}


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (3.0, "3"),
        (-3.0, "-3"),
        (1234.567, "1234.57"),
        (2.50, "2.5"),
        (0.01234, "0.0123"),
        (1e-7, "1e-07"),
        (3e20, "3e+20"),
        (float("inf"), "inf"),
        (True, "yes"),
        (False, "no"),
        (None, "unknown"),
        ("Bern", "Bern"),
        (datetime(2026, 1, 31, 4, 5, 6, tzinfo=UTC), "2026-01-31 04:05:06"),
    ],
)
def test_values_are_said_plainly(value, said):
    assert plain(value) == said


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{amount}", "1234.5"),
        ("{amount:.0f} paid", "1234 paid"),
        ("{amount:,.2f}", "1,234.50"),
        ("at {when:%H:%M} in {city}", "at 04:05 in Bern"),
        ("night: {is_night}", "night: yes"),
        ("{{{city}}}", "{Bern}"),
        ("no places at all", "no places at all"),
        ("", ""),
    ],
)
def test_a_template_takes_values_in_the_format_it_asks_for(text, said):
    assert Template(text, SCOPE, place="rule 'r'").fill(VALUES) == said


def test_null_is_said_as_unknown_whatever_the_format():
    assert Template("{amount:.2f} {when:%H}", SCOPE, place="rule 'r'").fill(dict.fromkeys(VALUES)) == "unknown unknown"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{amuont}", "Did you mean amount?"),
        ("{}", "Write a column's name"),
        ("{amount.real}", "is no field or feature"),
        ("{amount[0]}", "is no field or feature"),
        ("{amount!r}", "leave !r out"),
        ("{amount:d}", "a number takes formats such as .2f"),
        ("{amount:%H}", "a number takes formats"),
        ("{amount:{city}}", "does not fit"),
        ("{amount:9999}", "does not fit"),
        ("{is_night:.2f}", "takes no format"),
        ("{when:.2f}", "a time takes formats such as %H:%M"),
        ("{city:.2f}", "a text takes no format"),
        ("{amount", "cannot be read"),
        ("amount}", "cannot be read"),
    ],
)
def test_a_template_that_cannot_work_is_refused_with_its_place_and_a_remedy(text, complaint):
    with pytest.raises(DeclarationError, match="rule 'r'") as refusal:
        Template(text, SCOPE, place="rule 'r'")
    assert complaint in str(refusal.value)
