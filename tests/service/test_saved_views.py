"""Saved views of the console over HTTP: one's own, shared ones, and who may do what with them."""

import httpx
import pytest

from penstock.audit import AuditLog
from penstock.config import Settings
from penstock.database import SqliteDatabase
from penstock.governance.saved_views import MOST, SavedViews
from penstock.identity.keys import Keys
from penstock.service import MicroBatcher, create_app
from penstock.service.access.authorize import Access
from penstock.service.app import ServiceParts
from penstock.wiring.health import ServiceHealth

ROLES = {"vic": ["viewer"], "ana": ["rule_author"], "bob": ["analyst"], "root": ["administrator"]}
LARGE = {"page": "/transactions", "name": "Large", "search": {"decision": "block", "sort": "-amount"}}


@pytest.fixture
def office():
    database = SqliteDatabase()
    yield database
    database.close()


@pytest.fixture
def people(engine, office, serve_in_thread):
    """Clients of users with different roles."""
    settings = Settings()
    secrets = {name: Keys(office).add(name, roles, who="local")[0] for name, roles in ROLES.items()}
    parts = ServiceParts(access=Access(office, settings, exposed=False), operating=ServiceHealth(settings, office))
    with serve_in_thread(create_app({"fake": MicroBatcher.of(engine, settings)}, settings, parts)) as url:
        clients = {name: httpx.Client(base_url=url, headers={"x-api-key": key}, timeout=60) for name, key in secrets.items()}
        yield clients
        for client in clients.values():
            client.close()


def names(client):
    return [(view["name"], view["owner"]) for view in client.get("/views").json()["views"]]


def changes(office):
    return [(entry.who, entry.action) for entry in reversed(AuditLog(office).entries()) if entry.subject.startswith("views/")]


def test_a_view_is_its_owners_until_it_is_shared_and_sharing_is_audited(people, office):
    ana, bob = people["ana"], people["bob"]
    assert ana.post("/views", json=LARGE).status_code == 201
    assert (names(ana), names(bob), changes(office)) == ([("Large", "key:ana")], [], [])
    shared = ana.post("/views/shared", json=LARGE).json()
    assert (shared["shared"], shared["search"]) == (True, LARGE["search"])
    assert names(ana) == names(bob) == [("Large", "key:ana")]
    assert ana.post("/views", json=LARGE).status_code == 201
    assert names(bob) == []
    assert changes(office) == [("key:ana", "views.share"), ("key:ana", "views.unshare")]


@pytest.mark.parametrize("name", ["vic", "bob"])
def test_viewers_and_analysts_save_views_and_share_none(people, name):
    vic = people[name]
    assert vic.post("/views", json=LARGE).status_code == 201
    assert vic.post("/views/shared", json=LARGE).status_code == 403
    assert vic.delete(f"/views/{vic.get('/views').json()['views'][0]['id']}").status_code == 200
    assert names(vic) == []


def test_a_shared_view_is_removed_by_its_owner_or_an_administrator_alone(people, office):
    made = people["ana"].post("/views/shared", json=LARGE).json()
    hidden = people["ana"].post("/views", json={**LARGE, "name": "Mine"}).json()
    refused = people["bob"].delete(f"/views/{made['id']}")
    assert (refused.status_code, made["id"] in refused.json()["detail"]) == (404, True)
    assert people["root"].delete(f"/views/{hidden['id']}").status_code == 404
    assert people["root"].delete(f"/views/{made['id']}").status_code == 200
    assert changes(office)[-1] == ("key:root", "views.remove")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"page": "https://elsewhere.example"}, "page"),
        ({"page": "//elsewhere"}, None),
        ({"name": ""}, "name"),
        ({"search": {"key": "k" * 501}}, "search"),
        ({"search": {"sort": 1}}, "search"),
        ({"owner": "bob"}, "owner"),
    ],
)
def test_what_is_no_view_is_refused(people, given, named):
    answer = people["ana"].post("/views", json=LARGE | given)
    if named is None:  # a path of the console all the same: it is only ever opened below /console
        assert answer.status_code == 201
        return
    assert answer.status_code == 422
    assert named in answer.text


def test_the_views_of_one_owner_are_bounded_and_another_is_saved_once_one_is_removed(office):
    views = SavedViews(office)
    made = [views.save("/rules", str(number), {}, owner="ana", shared=False) for number in range(MOST)]
    with pytest.raises(Exception, match=f"{MOST} saved views"):
        views.save("/rules", "one more", {}, owner="ana", shared=False)
    views.save("/rules", "0", {"find": "x"}, owner="ana", shared=False)
    views.remove(made[1].id, who="ana", any_owner=False)
    views.save("/rules", "one more", {}, owner="ana", shared=False)
    assert len(views.of("ana")) == MOST
