"""The work of text functions is bounded before any event comes, from how long the texts of an event may be."""

import pytest

from penstock.errors import DeclarationError
from penstock.expressions import assemble, parse
from penstock.expressions.work import MAX_WORK, longest, work
from penstock.messages import Layout, Type

LAYOUT = Layout()
LAYOUT.add("note", Type.TEXT)
LAYOUT.add("city", Type.TEXT, 100)
LAYOUT.add("book", Type.TEXT, 10_000_000)
LAYOUT.add("amount", Type.NUMBER)
LAYOUT.add("fired", Type.BOOLEAN)
LAYOUT.add("made", Type.TEXT)
SCOPE = {name: column.type for name, column in LAYOUT.items()}


def root(sql):
    return parse(sql, SCOPE, place="rule 'r'").root


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("amount > 3", 0),
        ("city = 'x' AND city IN ('a', 'b')", 0),  # by code
        ("note LIKE '%crypto%'", 8192),
        ("note NOT LIKE '%crypto%' OR city LIKE 'B%'", 8292),
        ("LOWER(note) LIKE '%crypto%'", 2 * 8192),
        ("note LIKE '%abcdefg_%'", 2 * 8192),
        ("city ILIKE 'b%'", 17 * 100),
        ("LEFT(note, 200) LIKE '%crypto%'", 400),
        ("LENGTH(CONCAT(note, city, 'abc')) > 3", 2 * 8295),
        ("note || city < 'x'", 8292 + 8293),
    ],
)
def test_work_is_the_characters_that_are_looked_at(sql, expected):
    assert work(root(sql), LAYOUT) == expected


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("note", 8192),
        ("CONCAT(note, city, 'abc')", 8295),
        ("UPPER(TRIM(city))", 100),
        ("SUBSTR(note, 3, 10)", 10),
        ("SUBSTR(city, 3)", 100),
        ("SPLIT_PART(city, ',', 2)", 100),
        ("IF(amount > 1, note, city)", 8192),
        ("COALESCE(city, 'unknown')", 100),
    ],
)
def test_the_longest_text_is_known(sql, expected):
    assert longest(root(sql), LAYOUT) == expected


def test_what_could_take_long_is_refused_with_its_remedies():
    sql = " OR ".join(f"book LIKE '%word{k}%'" for k in range(6))
    with pytest.raises(DeclarationError) as error:
        assemble([(parse(sql, SCOPE, place="rule 'r'"), "fired")], LAYOUT)
    assert str(error.value) == (
        f"rule 'r': its text functions could look at 60,000,000 characters of one event and at most {MAX_WORK:,} are allowed; "
        "declare how long its texts are, as Annotated[str, Meta(max_length=200)], look at the first characters alone, as "
        "LEFT(book, 200), or write fewer text functions"
    )
    assemble([(parse(sql.replace("book", "LEFT(book, 200)"), SCOPE, place="rule 'r'"), "fired")], LAYOUT)


def test_the_expressions_of_one_program_count_together():
    items = [(parse(f"book LIKE '%word{k}%'", SCOPE, place=f"rule 'r{k}'"), "fired") for k in range(5)]
    assemble(items, LAYOUT)
    with pytest.raises(DeclarationError, match=r"rule 'last': .* 10,000,000 characters of one event, 60,000,000 with the expr"):
        assemble([*items, (parse("book LIKE '%x%'", SCOPE, place="rule 'last'"), "fired")], LAYOUT)
    several_thousand = [(parse("note LIKE '%x%'", SCOPE, place="rule 'r'"), "fired")] * 6_000
    assemble(several_thousand, LAYOUT)


def test_texts_that_are_joined_again_and_again_grow_only_so_far():
    layout = Layout()
    layout.add("t0", Type.TEXT)
    with pytest.raises(DeclarationError, match="feature 't6'"):
        for k in range(12):
            scope = {name: column.type for name, column in layout.items()}
            joined = ", ".join([f"t{k}"] * 5)
            expression = parse(f"CONCAT({joined})", scope, place=f"feature 't{k + 1}'")
            layout.add(f"t{k + 1}", Type.TEXT, expression.max_characters(layout))
            assemble([(expression, f"t{k + 1}")], layout)
