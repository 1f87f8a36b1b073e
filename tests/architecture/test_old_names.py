"""Names that the project no longer uses: modules and classes whose terms nobody would search for do not come back."""

import re

from tests.pages import ROOT

GONE = """Voices Truth Look Learned Trying Tried CodesMeet Repeats Filling Deciding Entered Desk Desks Beside Aside Front Shelf
Books Roster JoiningProtocol Places Streams Watch Seat Growth Restraint Courier Divided InForce Lesson Study RuleBook ListBook
FeatureBook People Keeping PendingLabels Journaled Carrying Holding Claiming Gathering Spreading Finishing""".split()


def test_classes_have_names_that_a_stranger_would_search_for():
    defined = re.compile(rf"^class ({'|'.join(GONE)})\b", re.MULTILINE)
    found = {str(path.relative_to(ROOT)): defined.findall(path.read_text("utf-8")) for path in (ROOT / "src").rglob("*.py")}
    assert {path: names for path, names in found.items() if names} == {}
