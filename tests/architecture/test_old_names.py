"""Names that the project no longer uses: classes and other names whose terms nobody would search for do not come back."""

import io
import re
import tokenize

from tests.pages import ROOT

GONE = (
    "Voices|Look|Trying|CodesMeet|Repeats|Filling|Deciding|Entered|Desks?|Beside|Aside|Front|Shelf|Books|Roster|JoiningProtocol|"
    "Streams|Seat|Growth|Restraint|Courier|Divided|InForce|Lesson|Study|RuleBook|ListBook|FeatureBook|Keeping|PendingLabels|"
    "Journaled|Holding|Claiming|Gathering|Spreading|Finishing|Told|Untold|Seen|Said|Asked|Whose|Grown|Held|Tried|Learned|Serving"
)
WORDS = {
    *("desk", "desks", "shelf", "roster", "drawer", "crown", "taught", "lesson", "lessons", "growing", "grown"),
    *("aside", "beside", "instead", "nobody", "nobodys", "whoever", "fare", "fares", "saw", "heard", "told"),
}
"""Words that no identifier has in it."""


def test_classes_have_names_that_a_stranger_would_search_for():
    defined = re.compile(rf"^class _?({GONE})\b", re.MULTILINE)
    found = {str(path.relative_to(ROOT)): defined.findall(path.read_text("utf-8")) for path in (ROOT / "src").rglob("*.py")}
    assert {path: names for path, names in found.items() if names} == {}


def identifiers(text):
    return {token.string for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.type == tokenize.NAME}


def words_of(name):
    return set(re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower().split("_"))


def test_identifiers_are_made_of_words_of_the_field():
    found = {}
    for path in (ROOT / "src").rglob("*.py"):
        names = {name for name in identifiers(path.read_text("utf-8")) if words_of(name) & WORDS}
        if names:
            found[str(path.relative_to(ROOT / "src/penstock"))] = names
    assert found == {}
