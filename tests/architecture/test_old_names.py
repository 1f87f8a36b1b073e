"""Names that the project no longer uses: classes whose terms nobody would search for do not come back."""

import re

from tests.pages import ROOT

GONE = (
    "Voices|Look|Trying|CodesMeet|Repeats|Filling|Deciding|Entered|Desks?|Beside|Aside|Front|Shelf|Books|Roster|JoiningProtocol|"
    "Streams|Seat|Growth|Restraint|Courier|Divided|InForce|Lesson|Study|RuleBook|ListBook|FeatureBook|Keeping|PendingLabels|"
    "Journaled|Holding|Claiming|Gathering|Spreading|Finishing"
)


def test_classes_have_names_that_a_stranger_would_search_for():
    defined = re.compile(rf"^class ({GONE})\b", re.MULTILINE)
    found = {str(path.relative_to(ROOT)): defined.findall(path.read_text("utf-8")) for path in (ROOT / "src").rglob("*.py")}
    assert {path: names for path, names in found.items() if names} == {}
