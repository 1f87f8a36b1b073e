"""`field IN list('name')`: the machine against a naive oracle, nulls, expiry by arrival, and the translation to SQL."""

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.codes import text_codes
from penstock.errors import ExpressionError
from penstock.expressions import ListMember, Members, assemble, constant_of, parse
from penstock.messages import Batch, Layout, Type

SCOPE = {"device": Type.TEXT, "amount": Type.NUMBER, "t": Type.TIME}
LISTS = ("stolen", "vip")


def read(sql, lists=LISTS):
    return parse(sql, SCOPE, place="rule", expect=Type.BOOLEAN, lists=lists)


def run(program_or_sql, rows, lists):
    """The answers for rows of (device, arrival); None for null."""
    layout = Layout()
    for name, type_ in SCOPE.items():
        layout.add(name, type_)
    layout.add("answer", Type.BOOLEAN)
    program = assemble([(read(program_or_sql), "answer")], layout, lists) if isinstance(program_or_sql, str) else program_or_sql
    n, devices = len(rows), [device for device, _ in rows]
    arrived = np.array([at for _, at in rows], np.int64)
    x = np.full((n, layout.width), 7.0)
    texts = {"device": devices}
    program.run(Batch([""] * n, np.zeros(n, np.uint8), arrived, arrived, x, text_codes(devices)[:, None].copy(), texts))
    found = x[:, layout["answer"].index]
    return [None if np.isnan(value) else value == 1.0 for value in found.tolist()], program


values = st.sampled_from(["a", "b", "c", "d", "é", ""])
times = st.integers(0, 5)
member = st.builds(lambda value, since, length: ListMember(value, since, since + length), values, times, times)
rows = st.lists(st.tuples(st.one_of(st.none(), values), times), min_size=1, max_size=300)


@settings(max_examples=60, deadline=None)
@given(st.lists(member, max_size=12), st.lists(member, max_size=12), rows)
def test_the_machine_agrees_with_a_naive_look_through_the_list(stolen, vip, rows):
    lists = {"stolen": Members.of(stolen), "vip": Members.of(vip)}

    def on(members, device, at):
        return None if device is None else any(m.value == device and m.since_us <= at < m.until_us for m in members)

    found, _ = run("device IN list('stolen')", rows, lists)
    assert found == [on(stolen, *row) for row in rows]
    both, _ = run("device IN list('stolen') AND device NOT IN list('vip')", rows, lists)
    naive = [None if device is None else on(stolen, device, at) and not on(vip, device, at) for device, at in rows]
    assert both == naive
    assert all(set(lists["stolen"].at(at)) == {m.value for m in stolen if m.since_us <= at < m.until_us} for at in range(11))


def test_a_program_goes_on_over_other_lists_without_being_made_anew():
    first = {"stolen": Members.of([ListMember("a")]), "vip": Members.of([])}
    then = {"stolen": Members.of([ListMember("b"), ListMember("c")]), "vip": Members.of([ListMember("c")])}
    sql = "device IN list('stolen') AND device NOT IN list('vip')"
    rows = [(device, 0) for device in "abc"]
    before, program = run(sql, rows, first)
    after, changed = run(program.with_lists(then), rows, then)
    again, _ = run(changed.with_lists(first), rows, first)
    assert (before, after, again) == ([True, False, False], [False, True, False], before)


def test_what_is_asked_may_be_made_of_texts_and_stand_among_other_parts():
    lists = {"stolen": Members.of([ListMember("a-b")]), "vip": Members.of([])}
    rows = [("A-B", 0), ("a-c", 0), (None, 0)]
    assert run("LOWER(device) IN list('stolen')", rows, lists)[0] == [True, False, None]
    assert run("COALESCE(device IN list('stolen'), TRUE)", rows, lists)[0] == [False, False, True]
    assert run("IF(LOWER(device) IN list('stolen'), 1, 0) + amount = 8", rows, lists)[0] == [True, False, False]
    assert run("hour(t, 'Europe/Berlin') = 1 AND device NOT IN list('vip')", rows, lists)[0] == [True, True, None]


def test_the_version_names_the_content():
    one, other = Members.of([ListMember("a"), ListMember("b")]), Members.of([ListMember("b"), ListMember("a")])
    assert one.version == other.version
    assert one.version != Members.of([ListMember("a")]).version
    assert Members.of([ListMember("a")], 7).version.startswith("7-")


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("device IN list('stoln')", "no list 'stoln'. Did you mean stolen?"),
        ("device IN list(device)", "the name of a list in quotes"),
        ("device IN list('stolen', 'vip')", "takes 2 arguments, not 3"),
        ("amount IN list('stolen')", "does not take a number"),
        ("'a' IN list('stolen')", "a field or feature that is a text"),
        ("device IN stolen", r"list\('name'\)"),
        ("list('stolen')", "unknown function LIST"),
    ],
)
def test_mistakes_say_what_to_do(sql, said):
    with pytest.raises(ExpressionError, match=said):
        read(sql)


def test_features_cannot_ask_lists_for_those_change():
    with pytest.raises(ExpressionError, match="only the conditions of rules"):
        parse("device IN list('stolen')", SCOPE, place="feature 'x'")


def test_the_canonical_text_reads_back_and_nothing_is_taken_for_constant():
    for sql in ("device NOT IN LIST('stolen')", "amount > 3 OR device in list('vip')"):
        expression = read(sql)
        assert read(expression.sql).sql == expression.sql
        assert constant_of(expression) is None
    assert read("device IN list('vip') OR device IN list('stolen')").lists == {"vip", "stolen"}


@pytest.mark.parametrize("held", [[], ["a", "it's", "c\\d"]])
def test_the_translation_says_the_same_in_duckdb(held):
    devices = ["a", "it's", "c\\d", "b", None]
    lists = {"stolen": Members.of(map(ListMember, held)), "vip": Members.of([])}
    for sql in ("device IN list('stolen')", "device NOT IN list('stolen')"):
        wanted, _ = run(sql, [(device, 0) for device in devices], lists)
        translated = read(sql).to_sql("duckdb", lists={"stolen": lists["stolen"].at(0)})
        with duckdb.connect() as con:
            con.execute("CREATE TABLE rows (device VARCHAR)")
            con.executemany("INSERT INTO rows VALUES (?)", [[device] for device in devices])
            found = [value for (value,) in con.execute(f"SELECT {translated} FROM rows ORDER BY rowid").fetchall()]
        assert found == wanted
    with pytest.raises(ExpressionError, match="has to be given"):
        read("device IN list('vip')").to_sql("duckdb")
