"""What follows recipes reads pages as their authors mean them."""

import pytest
from tests.pages import split_commands
from tests.recipes.conftest import differs


def test_a_command_ends_with_its_line_unless_a_quote_or_a_backslash_goes_on():
    block = "# first\npenstock a \\\n  --b   # why\ncurl -d '{\n  \"x\": 1}'\n\nexport A=1\n"
    assert split_commands(block) == ["penstock a \\\n  --b", "curl -d '{\n  \"x\": 1}'", "export A=1"]


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"id": "stream-...", "any": "..."}, {"id": "stream-12", "any": {"x": [1]}}),
        ([1, "..."], [1, 2, 3]),
        ([{"a": True}], [{"a": True}]),
    ],
)
def test_an_answer_holds_what_the_page_prints(expected, found):
    assert differs(expected, found) is None


@pytest.mark.parametrize(
    ("expected", "found", "said"),
    [
        ({"a": 1}, {"b": 1}, "no field 'a'"),
        ({"a": {"b": "BLOCK"}}, {"a": {"b": "REVIEW"}}, r"answer\.a\.b: 'REVIEW' is not 'BLOCK'"),
        ([1], [1, 2], "2 elements in the place of 1"),
        ([1, 2, "..."], [1], "1 elements in the place of 2"),
        ({"id": "stream-..."}, {"id": "tx-1"}, "'tx-1' is not"),
        ({"a": 1}, "not JSON", "'not JSON' is not"),
    ],
)
def test_another_answer_is_named_with_its_place(expected, found, said):
    with pytest.raises(AssertionError, match=said):
        assert differs(expected, found) is None, differs(expected, found)
