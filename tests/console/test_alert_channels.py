"""Channels of alerts: one is added, tested, gets alerts, is edited, paused and removed, from the page."""

import pytest
from tests.console.waiting import expect, post
from tests.receiver import receiving
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.browser]


@pytest.fixture(scope="module")
def private(demo, tmp_path_factory):
    """A demo that may post to addresses of this machine, and raises an alert for each payment of 77."""
    rules = tmp_path_factory.mktemp("rules") / "alerts.toml"
    rules.write_text(
        "[[alerts]]\nname = 'lucky'\nwhen = 'amount = 77'\ncooldown = '0s'\nseverity = 'critical'\n"
        "[channels.archive]\nkind = 'slack'\nurl = 'http://127.0.0.1:9/services/T0secret'\nseverity = 'critical'\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PENSTOCK_WEBHOOK_PRIVATE", "true")
        patch.setenv("PENSTOCK_ALERTS", str(rules))
        with demo("--tps", "0") as server:
            yield server.url


def raised(receiver):
    return [alert["rule"] for alert in receiver.taken]


def pay(url, name):
    event = {"transaction_id": name, "timestamp": "2026-01-05T10:00:00Z", "customer_id": "C1", "merchant_id": "Shop"}
    assert post(f"{url}/predict", json={**event, "amount": 77.0, "lat": 1.0, "long": 1.0}).status_code == 200


def test_a_channel_lives_its_life_on_the_page(page, private, shots, axe):
    with receiving() as receiver:
        page.goto(f"{private}/console/operations?tab=alerts")
        table = page.get_by_role("table", name="Channels")
        table.get_by_text("from the file").wait_for()
        assert "T0secret" not in page.content()
        expect(table.get_by_role("button", name="Edit…")).to_have_count(0)
        page.get_by_role("button", name="Add a channel…").click()
        page.get_by_label("Name").fill("soc")
        page.get_by_label("Kind").select_option("webhook")
        page.get_by_label("Address").fill(receiver.url)
        page.get_by_label("Signing secret").fill("a-hidden-secret")
        axe(page)
        page.get_by_role("button", name="Add", exact=True).click()
        row = table.get_by_role("row").filter(has_text=receiver.url)
        row.get_by_text("active", exact=True).wait_for()
        receiver.secret = "a-hidden-secret"
        row.get_by_role("button", name="Test").click()
        page.get_by_text("The sample was delivered").wait_for()
        assert raised(receiver) == ["test"]
        wait_until(lambda: "soc" in str(page.request.get(f"{private}/alerts/deliveries").json()["channels"]))
        pay(private, "first")
        wait_until(lambda: raised(receiver) == ["test", "lucky"])
        assert receiver.forged == []
        axe(page)
        shots(page, "operations-alert-channels")

        row.get_by_role("button", name="Pause").click()
        row.get_by_text("paused", exact=True).wait_for()
        row.get_by_role("button", name="Resume").click()
        row.get_by_text("active", exact=True).wait_for()
        row.get_by_role("button", name="Edit…").click()
        page.get_by_label("From severity").select_option("critical")
        assert "a-hidden-secret" not in page.content()
        axe(page)
        page.get_by_role("button", name="Save").click()
        row.get_by_text("critical", exact=True).wait_for()
        row.get_by_role("button", name="Test").click()
        wait_until(lambda: raised(receiver) == ["test", "lucky", "test"])
        assert receiver.forged == []  # signed with the secret that was left as it is
        row.get_by_role("button", name="Remove…").click()
        page.get_by_role("button", name="Remove", exact=True).click()
        expect(row).to_have_count(0)


def test_a_mailbox_without_a_server_is_not_sent_and_a_wrong_address_is_refused_beside_the_button(page, private):
    page.expected.append("422")
    page.goto(f"{private}/console/operations?tab=alerts")
    page.get_by_role("button", name="Add a channel…").click()
    page.get_by_label("Name").fill("mail")
    page.get_by_label("Kind").select_option("email")
    expect(page.get_by_label("Server")).to_have_attribute("required", "")
    page.get_by_label("Kind").select_option("slack")
    page.get_by_label("Address").fill("ftp://hooks.example/x")
    page.get_by_role("button", name="Add", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("https://")
