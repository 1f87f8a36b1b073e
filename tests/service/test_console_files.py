"""How the files of the console are served: packed, kept for ever where the name tells the content; honest where none are."""

import gzip

import httpx
import pytest

from penstock.config import Settings
from penstock.service import MicroBatcher, create_app
from penstock.service.live.web import Console

SCRIPT = b"export const n = 1;\n" * 200
PAGE = b'<!doctype html><title>Penstock</title><script src="./assets/index-1a2b.js"></script>'
FILES = {"index.html": PAGE, "icon.svg": b"<svg/>", "assets/index-1a2b.js": SCRIPT}


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


@pytest.mark.parametrize(
    ("address", "script"),
    [
        ("/", "./assets/"),
        ("/console", "./assets/"),
        ("/console/queue?case=1", "../assets/"),
        ("/console/transactions/a%2Fb", "../../assets/"),
    ],
)
def test_the_page_names_its_files_relative_to_its_address_so_that_a_proxy_may_put_it_anywhere(url, address, script):
    page = get(f"{url}{address}")
    assert page.status_code == 200
    assert f'src="{script}index-1a2b.js"' in page.text
    assert "base-uri 'none'" in page.headers["content-security-policy"]


def test_no_page_of_the_console_hides_a_route_of_the_api(url):
    for path in ("/transactions", "/detectors", "/health"):
        assert get(url + path, headers={"accept": "text/html"}).headers["content-type"].startswith("application/"), path


def test_files_go_packed_only_to_whom_can_unpack_them(url):
    with httpx.stream("GET", f"{url}/assets/index-1a2b.js", headers={"accept-encoding": "gzip"}, timeout=60) as packed:
        assert gzip.decompress(b"".join(packed.iter_raw())) == SCRIPT
    plain = get(f"{url}/assets/index-1a2b.js", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.headers["vary"] == packed.headers["vary"] == "Accept-Encoding"


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
