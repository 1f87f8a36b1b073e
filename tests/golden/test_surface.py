"""Names, types, defaults and numbers that others depend on do not change unnoticed.

Where a change is meant: `python -m tests.golden.surface`, and say in the commit what changed for whom.
"""

import difflib

import pytest

from tests.golden.surface import HERE, SURFACES, text_of


@pytest.mark.parametrize("surface", SURFACES)
def test_nothing_that_others_depend_on_has_changed(surface):
    kept, found = (HERE / f"{surface}.txt").read_text("utf-8"), text_of(surface)
    changed = list(difflib.unified_diff(kept.splitlines(), found.splitlines(), "kept", "found", n=0, lineterm=""))
    assert changed == [], "\n".join(changed[:50])
