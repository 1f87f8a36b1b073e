"""Every mistake is a sentence that names the place, quotes the expression, and says what to do."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.errors import ExpressionError
from penstock.expressions import parse
from penstock.messages import Type

SCOPE = {"amount": Type.NUMBER, "is_night": Type.BOOLEAN, "timestamp": Type.TIME, "browser": Type.TEXT}


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("amuont > 5", "unknown name 'amuont'. Did you mean amount? (at 'amuont', character 1 of"),
        ("amount > 5 AND tiemstamp > 1", "Did you mean timestamp? (at 'tiemstamp', character 16 of"),
        ("Amount > 5", "Did you mean amount?"),
        ("amount", "a condition (true or false) is expected here, this is a number; compare it, as in amount <> 0"),
        ("browser", "compare it, as in browser = 'value'"),
        ("amount + browser > 1", "+ does not take a number and a text; numbers are written plainly, texts in single quotes"),
        ("is_night + 1 > 1", "IF(condition, 1, 0) makes a number of a condition"),
        ("is_night > 0", "IF(condition, 1, 0)"),
        ("amount AND is_night", "AND does not take a number and a condition (true or false); compare it, as in amount <> 0"),
        ("timestamp > 5", "the difference of two times is a number of seconds"),
        ("timestamp + 60 > timestamp", "the difference of two times is a number of seconds"),
        ("timestamp > 'yesterday'", "'yesterday' is not a time; write it as '2026-01-31'"),
        ("IF(is_night, 1, 'a') = 1", "IF does not take a condition (true or false) and a number and a text"),
        ("CASE WHEN is_night THEN 1 ELSE 'a' END = 1", "IF does not take"),
        ("foo(1) = 1", "unknown function FOO."),
        ("hours(timestamp) < 6", "unknown function HOURS. Did you mean HOUR?"),
        ("ROUND(amount, 2, 3) = 1", "ROUND takes 1 or 2 arguments, not 3 (at 'ROUND(amount, 2, 3)'"),
        ("POWER(amount) = 1", "POWER takes 2 arguments, not 1"),
        ("COALESCE(amount) = 1", "COALESCE takes 2 arguments or more, not 1"),
        ("HOUR() = 1", "HOUR takes a time and, if you like, a zone, not 0 arguments"),
        ("HOUR(amount) = 1", "HOUR"),
        ("HOUR(timestamp, 'Europe/Berln') = 1", "unknown time zone 'Europe/Berln'. Did you mean Europe/Berlin?"),
        ("ROUND(amount, amount) = 1", "ROUND takes a number of digits from 0 to 15, written out"),
        ("SUBSTR(browser, 0) = 'a'", "SUBSTR takes a whole number from 1 on"),
        ("browser LIKE browser", "LIKE takes a pattern in quotes"),
        ("LOWER(IF(is_night, browser, 'x')) = 'a'", "derive what stands inside as a separate feature"),
        ("count(*) > 3", "COUNT looks at several events, so it is a feature: declare one, as in customer.count("),
        ("sum(amount) > 3", "customer.sum('amount', '24h')"),
        ("sum(amount) OVER (PARTITION BY browser) > 3", "a window function"),
        ("(SELECT 1) = 1", "a query inside a condition is not part of the language"),
        ("amount IN (SELECT 1)", "IN takes a list in parentheses"),
        ("EXISTS (SELECT 1)", "a query inside a condition"),
        ("SELECT 1", "cannot be read at 'SELECT', character 1: this is out of place"),
        ("amount > 1; DROP TABLE x", "without a semicolon"),
        ("amount > 1;", "without a semicolon"),
        ("NOW() > timestamp", "would give another answer in a replay: use the time of the event"),
        ("CURRENT_TIMESTAMP > timestamp", "would give another answer in a replay"),
        ("RANDOM() < 0.5", "another answer in a replay"),
        ("LOG(amount) > 1", "write LOG10 or LN"),
        ("amount::int = 1", "CAST is not needed"),
        ("CAST(amount AS INT) = 1", "CAST is not needed"),
        ("EXTRACT(hour FROM timestamp) = 1", "cannot be read"),
        ("timestamp - timestamp > INTERVAL '1 hour'", "INTERVAL (write seconds)"),
        ("payment.amount > 1", "names here have no dots"),
        ("amount >", "cannot be read at '>', character 8: something is missing"),
        ("amount > 1)", "cannot be read"),
        ("browser = 'abc", "a quote may not be closed"),
        ("amount ^ 2 > 1", "write POWER"),
        ("amount > 1e999", "the number 1e999 is too large"),
        ("AND(is_night, is_night)", "AND"),
        ("amount > :limit", "a placeholder is not part of the language"),
        ("amount x", "cannot be read at 'x', character 8: this is out of place"),
        ("-- nothing", "there is no expression"),
        ("browser LIKE 'a!%' ESCAPE '!'", "ESCAPE is not part of the language"),
        ("", "an expression is a text such as 'amount > 2000'"),
        ("{amount} > 1", "is not part of the language"),
    ],
)
def test_mistakes_are_named_with_place_part_and_remedy(sql, said):
    with pytest.raises(ExpressionError, match=re.escape(said)) as caught:
        parse(sql, SCOPE, place="rule 'amount_spike'", expect=Type.BOOLEAN)
    assert str(caught.value).startswith("rule 'amount_spike': ")
    assert repr(sql) in str(caught.value) or "feature of" not in said


def test_what_is_not_a_text_is_refused():
    with pytest.raises(ExpressionError, match="not 5"):
        parse(5, SCOPE, place="rule 'r'")


@pytest.mark.parametrize(
    "sql",
    [
        "(" * 3000 + "amount" + ")" * 900,
        "NOT " * 900 + "is_night",
        "- " * 1900 + "amount > 1",
        " + ".join(["amount"] * 500) + " > 1",
        "CASE WHEN is_night THEN " * 100 + "1" + " END" * 100 + " = 1",
        "is_night = " * 300 + "is_night",
        "amount > 1 AND " * 1000 + "is_night",
        "COALESCE(amount, " * 100 + "1" + ")" * 100 + " = 1",
        "CASE " + "WHEN is_night THEN 1 " * 150 + "END = 1",
    ],
)
def test_length_and_depth_are_bounded(sql):
    with pytest.raises(ExpressionError, match=r"nested deeper|nested too deeply|characters; at most|more than 64 branches"):
        parse(sql, SCOPE, place="rule 'r'")


def test_long_chains_of_conditions_are_fine():
    expression = parse(" OR ".join(f"amount = {i}" for i in range(200)), SCOPE, place="rule 'r'")
    assert parse(expression.sql, SCOPE, place="rule 'r'").sql == expression.sql


WORDS = (
    "amount is_night timestamp browser 1 2.5 'x' NULL TRUE + - / ( ) , = < AND NOT IS IN LIKE BETWEEN CASE WHEN THEN END IF( "
    "hour( lower( cast( ' \" -- /* ; select :: [ { @ ? interval timestamp' -> # \x00 é over create show set %(x)s {x}"
)
words = st.sampled_from(WORDS.split())


@settings(max_examples=300, deadline=None)
@given(st.lists(words, min_size=1, max_size=10).map(" ".join) | st.text(max_size=30))
def test_whatever_is_written_is_an_expression_or_a_refusal(sql):
    try:
        expression = parse(sql, SCOPE, place="rule 'r'")
    except ExpressionError:
        return
    assert parse(expression.sql, SCOPE, place="again").sql == expression.sql
