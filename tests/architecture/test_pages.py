"""Pages lead somewhere: links between them hold, and every recipe is listed, short and tested."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")])
RECIPES = sorted(page for page in (ROOT / "docs" / "recipes").glob("*.md") if page.stem != "index")
NOT_CODE = re.compile(r"^```.*?^```|^(?: {4}.*\n)+|`[^`\n]*`", re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as links write them."""
    text = re.sub(r"^```.*?^```", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    titles = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_to_a_file_leads_to_one_and_to_a_heading_that_is_there(page):
    links = re.findall(r"\]\(([^)\s]+)\)", NOT_CODE.sub("", page.read_text("utf-8")))
    dead = []
    for link in links:
        target, _, anchor = link.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        file = (page.parent / target).resolve() if target else page
        if not file.exists() or (anchor and file.suffix == ".md" and anchor not in anchors(file)):
            dead.append(link)
    assert dead == []


@pytest.mark.parametrize("page", RECIPES, ids=lambda page: page.stem)
def test_a_recipe_is_listed_short_tested_and_ends_with_what_to_change(page):
    assert f"({page.name})" in (page.parent / "index.md").read_text("utf-8")
    assert (ROOT / "tests" / "recipes" / f"test_{page.stem.replace('-', '_')}.py").exists()
    text = page.read_text("utf-8")
    assert len(text.splitlines()) <= 160
    assert re.findall(r"^## (.*)$", text, re.MULTILINE)[-1] == "What to change"
