"""The documentation site has every page once, leads to pages that exist, and can be read by programs."""

import re
import shutil
from pathlib import Path

import pytest
from docs import site

ROOT = Path(__file__).parents[2]


def test_the_navigation_has_every_page_once():
    listed = [page.path for page in site.pages()]
    assert sorted(listed) == sorted(str(path.relative_to(site.DOCS)) for path in site.DOCS.rglob("*.md"))
    assert len(listed) == len(set(listed))


def test_the_list_for_language_models_names_and_summarises_every_page():
    entries = re.findall(r"^- \[(.+)\]\((.+)\): (.+)$", site.llms(site.pages()), re.MULTILINE)
    assert [path for _, path, _ in entries] == [page.path for page in site.pages()]
    assert all(20 < len(summary) < 400 for _, _, summary in entries), [each for each in entries if not 20 < len(each[2]) < 400]


def test_the_text_of_all_pages_holds_each_of_them():
    text = site.full(site.pages())
    assert all(page.text.strip() in text for page in site.pages())


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """The sources of the site in a folder of their own."""
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    shutil.copy(ROOT / "zensical.toml", tmp_path)
    for name, value in {"ROOT": tmp_path, "DOCS": tmp_path / "docs", "SITE": tmp_path / "build" / "site"}.items():
        monkeypatch.setattr(site, name, value)
    monkeypatch.setattr(site, "CONFIG", tmp_path / "zensical.toml")
    return tmp_path


def test_the_site_is_built_and_fetches_nothing_from_elsewhere(copy):
    assert site.main() == 0
    built = copy / "build" / "site"
    assert not list(built.glob("*.py"))
    assert {"index.html", "llms.txt", "llms-full.txt"} <= {path.name for path in built.iterdir()}
    for page in built.rglob("*.html"):
        fetched = re.findall(r'<(?:script|link|img|iframe)[^>]*(?:src|href)="(https?://[^"]+)"', page.read_text("utf-8"))
        assert fetched == [], page


@pytest.mark.parametrize("link", ["missing.md", "guide/index.md#no-such-heading"])
def test_a_link_that_leads_nowhere_fails_the_build(copy, capsys, link):
    page = copy / "docs" / "index.md"
    page.write_text(f"{page.read_text()}\n[broken]({link})\n")
    assert site.main() == 1
    assert "index.md" in capsys.readouterr().out
