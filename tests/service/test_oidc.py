"""Signing in with an account elsewhere, and tokens of programs: against a provider over HTTP, good ones and bad ones."""

import logging
import time

import httpx
import pytest
from tests.integration.openid import CLIENT, SECRET, openid
from tests.service import patient
from tests.waiting import wait_until

from penstock.adapters.oidc import OidcProvider
from penstock.audit import AuditLog
from penstock.clock import SECOND_US, system_clock
from penstock.config import Settings
from penstock.database import SqliteDatabase
from penstock.errors import ConfigurationError, MalformedEvent
from penstock.identity.keys import Keys
from penstock.identity.users import Users
from penstock.service import MicroBatcher, create_app
from penstock.service.access.authorize import Access
from penstock.service.access.sign_on import SignOn
from penstock.service.app import ServiceParts
from penstock.wiring.identity_provider import open_provider

AGAIN_S = 0.05
"""How soon the keys of the provider are fetched again."""


@pytest.fixture
def provider():
    with openid() as found:
        yield found


@pytest.fixture
def office():
    database = SqliteDatabase()
    yield database
    database.close()


class Later:
    """The system's clock, and what a test adds to it."""

    ahead_s = 0

    def __call__(self):
        return system_clock() + self.ahead_s * SECOND_US


@pytest.fixture
def clock():
    return Later()


@pytest.fixture
def start(provider, office, engine, serve_in_thread, clock):
    """Starts a service that knows the provider: `with start(oidc_roles={...}) as url`."""

    def serve(**options):
        given = {"oidc_issuer": provider.issuer, "oidc_client_id": CLIENT, "oidc_client_secret": SECRET, "rate_limit": None}
        settings = Settings(**(given | options))
        sign_on = SignOn(open_provider(settings, again_s=AGAIN_S), settings)
        access = Access(office, settings, exposed=False, sign_on=sign_on, clock=clock)
        return serve_in_thread(create_app({"fake": MicroBatcher.of(engine, settings)}, settings, ServiceParts(access=access)))

    return serve


@pytest.fixture
def url(start):
    with start() as found:
        yield found


@pytest.fixture
def browser():
    """Follows redirects and keeps cookies, as a browser does."""
    with patient.Client(follow_redirects=True) as client:
        yield client


def until_answered(status, url, **options):
    """Ask until the answer has this status: a service sees soon, and not at once, what others changed in its office."""
    wait_until(lambda: patient.get(url, **options).status_code == status)


def who(told):
    return told["name"], told["roles"], told["open"]


def bearer(token):
    return {"authorization": f"Bearer {token}"}


# ---------------------------------------------------------------- people


def test_who_signs_in_elsewhere_has_a_session_here_with_the_roles_that_the_provider_says(url, browser, office, provider):
    assert patient.get(url + "/health").json() | {"detectors": 0} == {
        "status": "ok",
        "version": patient.get(url + "/health").json()["version"],
        "access": "closed",
        "sign_in": ["password", "oidc"],
        "detectors": 0,
    }
    assert patient.get(url + "/stats").status_code == 401
    landed = browser.get(url + "/session/oidc")
    assert (landed.status_code, str(landed.url)) == (200, url + "/"), landed.text
    assert who(browser.get(url + "/session").json()) == ("oidc:ana", ["analyst"], False)
    assert browser.get(url + "/stats").status_code == 200
    assert browser.post(url + "/labels", json={"transaction_id": "t", "fraud": True}).status_code != 403
    assert browser.post(url + "/predict", json={}).status_code == 403
    entry = AuditLog(office).entries(action="sessions.begin")[0]
    assert (entry.who, entry.details) == ("oidc:ana", {"issuer": provider.issuer, "roles": ["analyst"]})
    assert browser.delete(url + "/session").status_code == 200
    assert browser.get(url + "/stats").status_code == 401
    assert AuditLog(office).verify() is None


def test_cookies_are_kept_from_scripts_and_from_other_pages(url, provider):
    with patient.Client() as client:
        left = client.get(url + "/session/oidc", headers={"x-forwarded-proto": "https"})
        [pending] = left.headers.get_list("set-cookie")
        assert "HttpOnly; SameSite=Lax; Secure" in pending
        assert "Path=/session/oidc;" in pending
        assert left.headers["location"].startswith(provider.issuer + "/auth?")
        client.cookies.clear()
        left = client.get(url + "/session/oidc")
        back = client.get(client.get(left.headers["location"]).headers["location"])
        session, gone = back.headers.get_list("set-cookie")
        assert "HttpOnly; SameSite=Strict" in session
        assert "Max-Age=0" in gone
        assert "code=" not in back.headers["location"]


def test_roles_are_those_that_the_mapping_gives_to_values_of_a_claim_deep_inside(start, browser, provider):
    groups = {"roles": ["fraud-leads", "cooks", "administrator"]}
    provider.user = {"sub": "u-2", "email": "bo@example.org", "realm_access": groups}
    mapping = {"fraud-leads": "approver analyst", "cooks": "viewer"}
    with start(oidc_roles=mapping, oidc_roles_claim="realm_access.roles") as url:
        browser.get(url + "/session/oidc")
        assert browser.get(url + "/session").json()["roles"] == ["analyst", "approver", "viewer"], "no role by its own name"
        assert browser.get(url + "/session").json()["name"] == "oidc:bo@example.org"


def test_who_has_no_role_is_not_let_in(url, browser, provider, office):
    provider.user["roles"] = ["cook"]
    answer = browser.get(url + "/session/oidc")
    assert answer.status_code == 403
    assert "has no role here" in answer.json()["detail"]
    assert browser.get(url + "/stats").status_code == 401
    assert Users(office).sessions() == []


def test_a_name_elsewhere_is_nobodys_name_here(url, browser, office):
    Users(office).add("ana", "correct horse battery", ["administrator"], who="test")
    browser.get(url + "/session/oidc")
    assert who(browser.get(url + "/session").json()) == ("oidc:ana", ["analyst"], False)
    Users(office).disable("ana", who="test")
    assert who(browser.get(url + "/session").json()) == ("oidc:ana", ["analyst"], False)


def test_a_session_of_somebody_from_elsewhere_can_be_ended_here(url, browser, office):
    browser.get(url + "/session/oidc")
    assert browser.get(url + "/stats").status_code == 200
    assert Users(office).sign_out_everywhere("oidc:ana", who="local") == 1
    assert Users(office).sign_out_everywhere("oidc:ana", who="local") == 0
    until_answered(401, url + "/stats", cookies=dict(browser.cookies))
    assert AuditLog(office).entries(action="sessions.end")[0].details == {"sessions": 1}


def changed(**change):
    return lambda provider: provider.change.update(change)


@pytest.mark.parametrize(
    "harm",
    [
        changed(nonce="another"),
        changed(nonce=None),
        changed(aud="another"),
        changed(aud=[CLIENT, "another"], azp="another"),
        changed(iss="http://127.0.0.1:1/realms/test"),
        changed(exp=1),
        changed(exp=None),
        changed(sub=None),
        lambda provider: provider.change.update(iat=int(time.time()) + 3600),  # an hour from when it runs
        changed(key="a secret that both would know, of enough bytes", algorithm="HS256"),
        changed(algorithm="none"),
        changed(kid="nobody's"),
    ],
)
def test_an_identity_token_that_is_not_good_opens_nothing(url, browser, provider, office, harm):
    harm(provider)
    answer = browser.get(url + "/session/oidc")
    assert answer.status_code == 401, answer.text
    assert Users(office).sessions() == []


def test_a_code_counts_only_in_the_browser_that_began_and_only_once(url, browser, provider):
    with patient.Client() as other:
        left = other.get(url + "/session/oidc")
        back = other.get(left.headers["location"]).headers["location"]
        assert browser.get(back).status_code == 400, "another browser, which did not begin"
        assert browser.get(url + "/session/oidc/callback?code=x&state=y").status_code == 400
        assert other.get(back.replace("state=", "state=z")).status_code == 400
        assert other.get(back).status_code == 303
        assert other.get(back).status_code == 400, "its cookie is gone"
    with patient.Client() as client:
        left = client.get(url + "/session/oidc")
        other_code = provider.authorize({**_asked(left.headers["location"]), "code_challenge": "of somebody else"})
        assert client.get(other_code).status_code == 401, "a code that was asked for under another challenge"


def _asked(location):
    return dict(httpx.URL(location).params)


def test_a_provider_that_says_no_or_nothing_is_no_error_of_ours(url, provider, caplog):
    with patient.Client() as client:
        left = client.get(url + "/session/oidc")
        state = _asked(left.headers["location"])["state"]
        refused = client.get(url + f"/session/oidc/callback?error=access_denied&state={state}")
        assert refused.status_code == 401
        assert "access_denied" in refused.json()["detail"]
    failed = [(each.event, each.way, each.address) for each in caplog.records if each.name == "penstock.security"]
    assert failed == [("sign_in_failed", "oidc", "127.0.0.1")]


def test_a_provider_that_does_not_answer_is_said(start, provider):
    provider.silent = True
    with start() as url:
        assert patient.get(url + "/session/oidc").status_code == 503
        assert patient.get(url + "/stats", headers=bearer(provider.token(roles=["viewer"]))).status_code == 503
        assert patient.get(url + "/health").status_code == 200


# ---------------------------------------------------------------- programs


def test_a_token_of_a_program_is_let_in_with_its_roles(url, provider):
    token = provider.token(sub="service-7", roles=["decider"])
    assert patient.post(url + "/predict", json={"transaction_id": "a"}, headers=bearer(token)).status_code == 200
    assert patient.get(url + "/stats", headers=bearer(token)).status_code == 403
    assert patient.get(url + "/stats", headers=bearer(provider.token(roles="viewer analyst"))).status_code == 200
    fetched = provider.fetched
    for _ in range(5):
        patient.get(url + "/stats", headers=bearer(provider.token(roles=["viewer"])))
    assert provider.fetched == fetched, "keys are kept"


@pytest.mark.parametrize(
    "claims",
    [
        {"aud": "another"},
        {"iss": "https://elsewhere.example"},
        {"exp": 1},
        {"exp": None},
        {"key": "a secret that both would know, of enough bytes", "algorithm": "HS256"},
        {"algorithm": "none"},
        {"kid": "nobody's"},
    ],
)
def test_a_token_that_is_not_good_opens_nothing(url, provider, claims):
    answer = patient.get(url + "/stats", headers=bearer(provider.token(roles=["administrator"], **claims)))
    assert answer.status_code == 401


def test_a_token_that_was_changed_opens_nothing(url, provider):
    head, body, signature = provider.token(roles=["viewer"]).split(".")
    other = provider.token(roles=["administrator"]).split(".")
    assert patient.get(url + "/stats", headers=bearer(f"{head}.{other[1]}.{signature}")).status_code == 401
    for token in ("ey.a.b", f"{head}.{body}.", f"{head}..{signature}", "ey..", "a.b.c"):
        assert patient.get(url + "/stats", headers=bearer(token)).status_code == 401


def test_a_token_ends_when_it_says(url, provider, clock):
    token = provider.token(roles=["viewer"])
    assert patient.get(url + "/stats", headers=bearer(token)).status_code == 200
    clock.ahead_s = 301
    assert patient.get(url + "/stats", headers=bearer(token)).status_code == 401


def test_the_provider_can_change_its_keys(url, provider):
    old = provider.token(roles=["viewer"], sub="old")
    assert patient.get(url + "/stats", headers=bearer(old)).status_code == 200
    provider.rotate()
    time.sleep(2 * AGAIN_S)  # from then on its keys may be fetched again
    assert patient.get(url + "/stats", headers=bearer(provider.token(roles=["viewer"], sub="new"))).status_code == 200


def test_tokens_have_the_audience_that_the_settings_say(start, provider):
    with start(oidc_audience="api://fraud") as url:
        assert patient.get(url + "/stats", headers=bearer(provider.token(roles=["viewer"]))).status_code == 401
        token = provider.token(roles=["viewer"], aud=["api://fraud", "other"])
        assert patient.get(url + "/stats", headers=bearer(token)).status_code == 200


def test_a_program_asks_as_often_as_a_key_may_however_many_tokens_it_has(start, provider):
    with start(rate_limit=0.001, rate_burst=2) as url:
        answers = [patient.get(url + "/stats", headers=bearer(provider.token(roles=["viewer"], n=n))) for n in range(3)]
        assert [answer.status_code for answer in answers] == [200, 200, 429]


def test_keys_and_passwords_go_on(url, office):
    secret = Keys(office).add("program", ["viewer"], who="test")[0]
    Users(office).add("eva", "correct horse battery", ["viewer"], who="test")
    until_answered(200, url + "/stats", headers=bearer(secret))
    assert patient.post(url + "/session", json={"name": "eva", "password": "correct horse battery"}).status_code == 200


# ---------------------------------------------------------------- settings, and what is told


def test_without_a_provider_the_routes_know_nobody(run, client_for, engine):
    async def scene():
        async with client_for(engine) as client:
            assert (await client.get("/session/oidc")).status_code == 404
            assert (await client.get("/session/oidc/callback?code=a&state=b")).status_code == 404

    run(scene())


@pytest.mark.parametrize("issuer", ["http://login.example.org", "login.example.org", "file:///etc/passwd", "https://"])
def test_an_issuer_that_could_be_anybody_is_refused(issuer):
    with pytest.raises(ConfigurationError, match="https"):
        OidcProvider(issuer, CLIENT)


def test_settings_that_do_not_fit_together_are_refused():
    with pytest.raises(ConfigurationError, match="oidc_client_id"):
        open_provider(Settings(oidc_issuer="https://login.example.org"))
    with pytest.raises(MalformedEvent, match="analist"):
        wrong = Settings(oidc_issuer="https://login.example.org", oidc_client_id="x", oidc_roles={"a": "analist"})
        SignOn(open_provider(wrong), wrong)


def test_no_secret_and_no_token_is_logged(start, browser, provider, caplog):
    caplog.set_level(logging.DEBUG)
    with start() as url:
        browser.get(url + "/session/oidc")
        good, bad = provider.token(roles=["viewer"]), provider.token(roles=["viewer"], aud="x")
        for token in (good, bad):
            patient.get(url + "/stats", headers=bearer(token))
    mine = "\n".join(record.getMessage() for record in caplog.records if record.name.startswith("penstock"))
    assert not any(secret in mine for secret in (SECRET, good, bad, *dict(browser.cookies).values()))
