"""How the files of the console are served: packed, kept for ever where the name tells the content; honest where none are."""

import gzip

import httpx
import pytest

from penstock.config import Settings
from penstock.service import MicroBatcher, create_app
from penstock.service.live.web import Console

SCRIPT = b"export const n = 1;\n" * 200
FILES = {"index.html": b"<!doctype html><title>Penstock</title>", "icon.svg": b"<svg/>", "assets/index-1a2b.js": SCRIPT}


@pytest.fixture
def url(engine, serve_in_thread, monkeypatch):
    monkeypatch.setattr("penstock.service.app.Console", lambda **_others: Console(FILES))
    with serve_in_thread(create_app({"fake": MicroBatcher.of(engine, Settings())}, Settings())) as address:
        yield address


def get(url, **options):
    return httpx.get(url, timeout=60, **options)


def test_the_page_is_asked_for_anew_and_its_files_are_kept_for_ever(url):
    page, script = get(url), get(f"{url}/assets/index-1a2b.js")
    assert page.text.startswith("<!doctype html>")
    assert page.headers["cache-control"] == "no-cache"
    assert "immutable" in script.headers["cache-control"]
    assert script.content == SCRIPT
    assert "default-src 'self'" in page.headers["content-security-policy"]


def test_files_go_packed_only_to_whom_can_unpack_them(url):
    with httpx.stream("GET", f"{url}/assets/index-1a2b.js", headers={"accept-encoding": "gzip"}, timeout=60) as packed:
        assert gzip.decompress(b"".join(packed.iter_raw())) == SCRIPT
    plain = get(f"{url}/assets/index-1a2b.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.headers["vary"] == "accept-encoding"


def test_an_asset_that_is_not_there_is_a_problem_that_names_it(url):
    answer = get(f"{url}/assets/other.js")
    assert answer.status_code == 404
    assert "other.js" in answer.json()["detail"]
    assert get(f"{url}/assets/..%2Findex.html").status_code == 404


def test_without_a_built_console_the_page_says_how_to_get_it():
    answer = Console({}).page("gzip")
    assert answer.status_code == 200
    assert b"make console-build" in answer.body
    assert Console({}).file("icon.svg", "") is None
