"""Signing in as each role: what each sees, what each may do, and that the service refuses the rest whatever a page shows."""

import re

import pytest
from tests.console.waiting import PATIENCE_S, Client, expect, post
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.browser]

PASSWORD = "correct horse battery"
LOOKING = ["Live", "Review queue", "Transactions", "Impact", "Rules", "Models", "Features", "Try it", "Operations"]
TABS = ["Health", "Quarantine", "Alerts", "Daily reports"]
ALL = ["Health", "Quarantine", "Alerts", "Webhooks", "Daily reports", "Audit log", "Users and keys"]
LOOK = {"viewer", "analyst", "rule_author", "approver", "administrator", "auditor"}

SEES = {
    "viewer": (LOOKING, TABS),
    "analyst": (LOOKING, TABS),
    "rule_author": (LOOKING, TABS),
    "approver": (LOOKING, TABS),
    "administrator": (LOOKING, ALL),
    "auditor": (LOOKING, ALL),
    "operator": (["Operations"], ["Health", "Quarantine", "Alerts", "Webhooks"]),
    "labeler": ([], []),
    "decider": ([], []),
}
"""By role: the pages of the menu, and the parts of Operations."""

ASKED = [
    ("POST", "/cases/next", {}, {"analyst", "administrator"}),
    ("POST", "/detectors/banking/rules/test", {}, {"rule_author", "approver", "administrator"}),
    ("POST", "/detectors/banking/models/rollback", {}, {"approver", "administrator"}),
    ("GET", "/users", None, {"administrator", "auditor"}),
    ("POST", "/users", {}, {"administrator"}),
    ("GET", "/audit", None, {"administrator", "auditor"}),
    ("GET", "/operations/health", None, {*LOOK, "operator"}),
    ("POST", "/predict", {}, {"decider"}),
    ("GET", "/transactions", None, LOOK),
]
"""What is asked with a role's own session, and who is let in; the others are refused with 403."""

SETTLED_MS = 300
"""For the requests of a page that was just opened."""

ENOUGH_CASES = 10
"""More than the tests take and decide."""


@pytest.fixture(scope="module")
def closed(many_cases, demo, browser):
    """A service that was open until its first user was added in the console, with a user of each role, and cases.

    Nothing joins the cases: a verdict is refused to whoever has not seen a transaction that did.
    """
    with demo("--tps", "40") as server:
        page = browser.new_page()
        page.set_default_timeout(1000 * PATIENCE_S)
        page.goto(f"{server.url}/console/operations?tab=access")
        page.get_by_role("button", name="Add a user…").click()
        page.get_by_label("Name", exact=True).fill("root")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_label("Setup token").fill(server.setup_token())
        page.get_by_role("button", name="Add", exact=True).click()
        page.get_by_role("heading", name="Sign in to Penstock").wait_for()
        page.close()
        with Client(base_url=server.url) as root:
            root.post("/session", json={"name": "root", "password": PASSWORD}).raise_for_status()
            for role in SEES:
                person = {"name": f"a.{role}", "password": PASSWORD, "roles": [role]}
                root.post("/users", json=person).raise_for_status()
            elsewhere = {"name": "an.analyst.elsewhere", "password": PASSWORD, "roles": ["viewer", "analyst:card"]}
            root.post("/users", json=elsewhere).raise_for_status()
            wait_until(lambda: len(root.get("/cases", params={"state": "open"}).json()["cases"]) >= ENOUGH_CASES, every_s=0.5)
        server.restart("--tps", "0")
        yield server.url


def sign_in(page, url, name, password=PASSWORD):
    page.goto(url)
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in").click()


def account(page):
    return page.get_by_role("button", name="Account and settings")


def sign_out(page):
    account(page).click()
    page.get_by_role("menuitem", name="Sign out").click()


def menu(page):
    return page.get_by_role("navigation", name="Pages")


@pytest.mark.parametrize("role", SEES)
def test_each_role_sees_its_pages_and_the_service_refuses_the_rest(page, closed, shots, role):
    pages, tabs = SEES[role]
    sign_in(page, closed, f"a.{role}")
    expect(account(page)).to_have_text(f"a.{role}")
    expect(menu(page).get_by_role("link")).to_have_text(["Penstock", *pages])
    for name in pages:  # the page's own requests are answered: a refusal would be an error in the browser
        link = menu(page).get_by_role("link", name=name, exact=True)
        link.click()
        expect(link).to_have_attribute("aria-current", "page")
        page.locator("main h1").wait_for()
        page.wait_for_timeout(SETTLED_MS)
    for name in tabs:
        expect(page.get_by_role("tab")).to_have_text(tabs)
        page.get_by_role("tab", name=name).click()
        page.wait_for_timeout(SETTLED_MS)
    changes = page.get_by_role("button", name=re.compile("^(Add a user|Create API key|Change a)"))
    if role == "administrator":
        changes.first.wait_for()
    else:
        expect(changes).to_have_count(0)
    for method, path, body, let_in in ASKED:
        status = page.request.fetch(f"{closed}{path}", method=method, data=body, timeout=1000 * PATIENCE_S).status
        assert (status != 403) == (role in let_in), (path, status)
        assert status != 401
    shots(page, f"role-{role}")


@pytest.mark.parametrize("name", ["a.viewer", "a.analyst", "an.analyst.elsewhere"])
def test_only_who_may_decide_has_the_buttons_and_the_keys_for_it(page, closed, name):
    sign_in(page, closed, name)
    menu(page).get_by_role("link", name="Review queue").click()
    page.locator("article").wait_for()
    waiting = page.request.get(f"{closed}/cases", params={"state": "open"}, timeout=1000 * PATIENCE_S).json()["cases"]
    # named, since the first of the list becomes another as new ones come
    page.goto(f"{closed}/console/queue?case={waiting[0]['id']}")
    page.get_by_role("article", name=f"Case of {waiting[0]['transaction_id']}").wait_for()
    may = name == "a.analyst"
    for_the_case = re.compile("^Legitimate(?!:)")  # those of its single transactions are "Legitimate: ID"
    expect(page.get_by_role("button", name=for_the_case)).to_have_count(int(may))
    expect(page.get_by_role("button", name="Get next")).to_have_count(int(may))
    expect(page.get_by_text("verdicts are for analysts")).to_have_count(int(not may))
    before = page.locator("article").get_attribute("aria-label")
    page.keyboard.press("u")
    if may:
        page.get_by_text("1 saved").wait_for()
    else:
        page.wait_for_timeout(500)
        assert page.locator("article").get_attribute("aria-label") == before


def test_a_page_that_is_not_for_somebody_says_so_and_where_to_go(page, closed):
    sign_in(page, closed, "a.decider")
    page.get_by_text("Your roles do not let you look at Live").wait_for()
    sign_out(page)


def test_whoever_may_read_tries_events_as_dry_runs_alone(page, closed):
    sign_in(page, f"{closed}/console/try", "a.viewer")
    page.get_by_role("button", name="Score (dry run)").click()
    page.get_by_text("dry run: nothing was recorded").wait_for()
    expect(page.get_by_label("dry run: change and record nothing")).to_be_checked()
    expect(page.get_by_label("dry run: change and record nothing")).to_be_disabled()


def test_a_wrong_password_is_said_and_signing_out_ends_the_session(page, closed, axe):
    page.expected += ["401", "WebSocket"]
    sign_in(page, closed, "a.viewer", "not the password")
    page.get_by_text("Incorrect username or password.").wait_for()
    axe(page)
    sign_in(page, closed, "a.viewer")
    sign_out(page)
    page.get_by_role("heading", name="Sign in to Penstock").wait_for()
    assert page.request.get(f"{closed}/transactions").status == 401


def test_an_administrator_adds_changes_and_keeps_out_users_and_makes_and_revokes_keys(page, closed, browser, shots):
    sign_in(page, closed, "root")
    account(page).wait_for()
    page.goto(f"{closed}/console/operations?tab=access")
    page.get_by_role("button", name="Add a user…").click()
    page.get_by_label("Name", exact=True).fill("ben")
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Add", exact=True).click()
    row = page.get_by_role("row").filter(has_text="ben")
    row.get_by_text("Active", exact=True).wait_for()

    other = browser.new_page()
    other.set_default_timeout(1000 * PATIENCE_S)
    sign_in(other, closed, "ben")
    menu(other).get_by_role("link", name="Live").wait_for()

    page.get_by_role("button", name="Change ben").click()
    page.get_by_label("Disable ben").check()
    page.get_by_role("button", name="Change", exact=True).click()
    row.get_by_text("disabled since").wait_for()
    menu(other).get_by_role("link", name="Transactions").click()
    other.get_by_role("heading", name="Sign in to Penstock").wait_for()
    other.close()

    page.get_by_role("button", name="Create API key…").click()
    page.get_by_label("Name of the program").fill("checkout")
    page.get_by_role("button", name="Make it").click()
    secret = page.locator("code").filter(has_text="psk_").first.inner_text()
    headers = {"authorization": f"Bearer {secret}"}
    assert post(f"{closed}/predict", json={}, headers=headers).status_code == 422
    shots(page, "operations-key-made")
    page.get_by_role("button", name="I have it").click()
    assert secret not in page.content()
    page.get_by_role("button", name="Revoke checkout").click()
    page.get_by_role("button", name="Revoke", exact=True).click()
    page.get_by_role("row").filter(has_text="checkout").get_by_text("revoked").wait_for()
    assert post(f"{closed}/predict", json={}, headers=headers).status_code == 401


def test_roles_for_one_detector_stay_and_are_changed_beside_the_others(page, closed):
    sign_in(page, closed, "root")
    account(page).wait_for()

    def changed(limited):
        page.goto(f"{closed}/console/operations?tab=access")
        page.get_by_role("button", name="Change an.analyst.elsewhere").click()
        expect(page.get_by_label("Roles for one detector")).not_to_have_value("")
        if limited is not None:
            page.get_by_label("Roles for one detector").fill(limited)
        page.get_by_role("button", name="Change", exact=True).click()
        page.get_by_text("an.analyst.elsewhere is changed").wait_for()
        users = page.request.get(f"{closed}/users").json()["users"]
        return next(user["roles"] for user in users if user["name"] == "an.analyst.elsewhere")

    assert changed(None) == ["analyst:card", "viewer"]
    assert changed("analyst:card, labeler:payments") == ["analyst:card", "labeler:payments", "viewer"]
    assert changed("analyst:card") == ["analyst:card", "viewer"]


def test_the_last_administrator_cannot_be_kept_out(page, closed):
    with Client(base_url=closed) as root:
        root.post("/session", json={"name": "root", "password": PASSWORD}).raise_for_status()
        root.patch("/users/a.administrator", json={"disabled": True}).raise_for_status()
    page.expected.append("409")
    sign_in(page, closed, "root")
    account(page).wait_for()
    page.goto(f"{closed}/console/operations?tab=access")
    page.get_by_role("button", name="Change root").click()
    page.get_by_label("Disable root").check()
    page.get_by_role("button", name="Change", exact=True).click()
    page.get_by_role("dialog").get_by_text("nobody would be left").wait_for()


def test_users_change_their_password_and_stay_signed_in(page, closed, axe, shots):
    with Client(base_url=closed) as root:
        root.post("/session", json={"name": "root", "password": PASSWORD}).raise_for_status()
        person = {"name": "a.newcomer", "password": PASSWORD, "roles": ["viewer"]}
        root.post("/users", json=person).raise_for_status()
    page.expected.append("403")  # of the wrong password
    sign_in(page, closed, "a.newcomer")
    account(page).click()
    page.get_by_role("menuitem", name="Change password…").click()
    axe(page)
    shots(page, "change-password")
    changed = PASSWORD + " again"
    for present, again, told in (
        ("not my password", changed, "The present password is wrong."),
        (PASSWORD, changed + "!", "The two new passwords differ."),
    ):
        page.get_by_label("Present password").fill(present)
        page.get_by_label("New password", exact=True).fill(changed)
        page.get_by_label("New password again").fill(again)
        page.get_by_role("button", name="Change", exact=True).click()
        expect(page.get_by_role("alert")).to_have_text(told)
    page.get_by_label("New password again").fill(changed)
    page.get_by_role("button", name="Change", exact=True).click()
    page.get_by_text("Your password is changed.").wait_for()
    page.reload()
    expect(account(page)).to_have_text("a.newcomer")
    sign_out(page)
    page.get_by_role("heading", name="Sign in to Penstock").wait_for()
    sign_in(page, closed, "a.newcomer", changed)
    expect(account(page)).to_have_text("a.newcomer")
