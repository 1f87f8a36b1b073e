"""The review queue: taken, decided, the next, by keyboard alone; nothing is lost where somebody else was first."""

from pathlib import Path
from statistics import median

import pytest
from tests.console.waiting import expect, get, post
from tests.waiting import wait_until

from penstock.config import Settings
from penstock.wiring.cases import open_cases

pytestmark = [pytest.mark.slow, pytest.mark.browser]

INSTANT_MS = 100
"""What people take for at once; half of the verdicts have to be quicker, however busy the machine is."""

WATCH = """() => {
  const shown = () => document.querySelector("article")?.getAttribute("aria-label");
  window.waits = [];
  let pressed, before;
  window.addEventListener("keydown", () => { pressed = performance.now(); before = shown(); }, true);
  new MutationObserver(() => {
    if (pressed !== undefined && shown() !== before) { window.waits.push(performance.now() - pressed); pressed = undefined; }
  }).observe(document.body, { subtree: true, childList: true, attributes: true, attributeFilter: ["aria-label"] });
}"""


class Desk:
    """A demo whose cases are many: every fifth decision is looked at. Nothing joins them while they are worked on."""

    def __init__(self, server):
        self.server, self.url = server, server.url

    def cases(self, **chosen):
        return get(f"{self.url}/cases", params={"state": "undecided", "limit": 100, **chosen}).json()["cases"]

    def of(self, transaction, **chosen):
        """The case of a transaction, however many come before it in the list."""
        before = None
        while True:
            params = {"state": "undecided", "limit": 1000, **chosen, **({"before": before} if before else {})}
            page = get(f"{self.url}/cases", params=params).json()
            found = [case for case in page["cases"] if case["transaction_id"] == transaction]
            if found:
                return found[0]
            before = page["next"]
            assert before, f"there is no case of {transaction}"

    def case(self, number):
        return get(f"{self.url}/cases/{number}").json()["case"]

    def taken_by_ben(self, number):
        with open_cases(Settings(data=self.server.folder)) as cases:
            cases.take(number, "ben")

    def bursts(self):
        """Cases of several transactions that nobody holds: another analyst's case offers no verdicts."""
        return [case for case in self.cases(limit=1000) if case["transactions"] > 1 and case["state"] == "open"]


@pytest.fixture(scope="module")
def batcher(many_cases, demo):
    with demo("--tps", "20") as server:
        post(f"{server.url}/demo/attack/account_takeover")
        found = Desk(server)
        wait_until(lambda: len(found.cases()) >= 60 and found.bursts(), every_s=0.5)
        server.restart("--tps", "0")  # a transaction that joins a case refuses the verdict of whoever has not seen it
        yield found


@pytest.fixture
def queue(page, batcher):
    """The page, with its cases. A free one is chosen: else it is the first, and another one as new ones come."""
    free = next(case for case in batcher.cases() if case["state"] == "open")
    page.goto(f"{batcher.url}/console/queue?case={free['id']}")
    page.get_by_role("article", name=f"Case of {free['transaction_id']}").wait_for()
    page.get_by_role("list", name="Cases").get_by_role("button").first.wait_for()
    page.get_by_role("heading", name="Why").wait_for()
    return page


def shown(page):
    """The transaction of the case that is looked at."""
    return page.locator("article").get_attribute("aria-label").removeprefix("Case of ")


def next_after(page, transaction):
    """Wait until another case is looked at; its transaction."""
    expect(page.locator("article")).not_to_have_attribute("aria-label", f"Case of {transaction}")
    return shown(page)


NO_WIDER = "document.documentElement.scrollWidth <= innerWidth"


def test_a_burst_is_one_case_whose_transactions_get_verdicts_of_their_own(page, batcher, shots, axe):
    case = max(batcher.bursts(), key=lambda each: each["transactions"])
    page.goto(f"{batcher.url}/console/queue?case={case['id']}")
    members = page.get_by_role("region", name="Transactions of this case")
    members.get_by_role("button", name="Legitimate: ").first.click()
    members.get_by_text("legitimate", exact=True).wait_for()
    shots(page, "queue-burst")
    axe(page)
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.evaluate(NO_WIDER)
    found = get(f"{batcher.url}/cases/{case['id']}").json()
    first = found["transactions"][0]
    assert (first["verdict"], first["own"]) == ("good", True)
    assert found["case"]["verdict"] is None


def test_ten_reviews_are_cleared_by_keyboard_at_once_and_each_is_kept(queue, batcher, shots, axe):
    shots(queue, "queue")
    axe(queue)
    queue.evaluate(WATCH)
    said, transaction = {}, shown(queue)
    for n in range(10):
        assert transaction not in said
        key = "ab"[n % 2]
        queue.keyboard.press(key)
        said[transaction] = "good" if key == "a" else "fraud"
        transaction = next_after(queue, transaction)
    queue.get_by_text("10 saved").wait_for()
    waits = queue.evaluate("window.waits")
    assert len(waits) == 10
    print("keys to next case, ms:", [round(wait) for wait in waits])
    assert median(waits) < INSTANT_MS, waits
    for transaction, verdict in said.items():
        found = batcher.of(transaction, state="decided")
        assert (found["state"], found["verdict"], found["decided_by"]) == ("decided", verdict, "local")
    shots(queue, "queue-cleared")


def test_what_somebody_else_holds_comes_back_with_the_reason_and_the_others_are_kept(queue, batcher):
    queue.expected.append("409")  # a refusal is an error to the browser, too
    queue.keyboard.press("j")
    queue.keyboard.press("k")
    held = shown(queue)
    number = batcher.of(held)["id"]
    batcher.taken_by_ben(number)
    queue.keyboard.press("b")
    next_after(queue, held)
    queue.keyboard.press("a")
    queue.get_by_text("1 saved, 1 refused").wait_for()
    refused = queue.get_by_role("region", name="Said here").get_by_text("ben holds this case until")
    assert refused.count() == 1
    assert batcher.case(number)["verdict"] is None
    queue.get_by_role("button", name="Drop").click()
    queue.get_by_text("1 saved", exact=True).wait_for()


def test_a_case_is_taken_given_back_noted_and_escalated_by_keyboard(queue, batcher):
    queue.keyboard.press("g")
    queue.get_by_text("Assigned to you until").wait_for()
    transaction = shown(queue)
    number = batcher.of(transaction)["id"]
    assert batcher.case(number)["owner"] == "local"
    queue.get_by_role("navigation", name="Queues").get_by_text("local 1").first.wait_for()
    queue.keyboard.press("n")
    queue.get_by_role("textbox", name="Note").fill("called the customer")
    queue.keyboard.press("Control+Enter")
    queue.get_by_text("called the customer").wait_for()
    queue.keyboard.press("r")
    queue.get_by_text("Unassigned").wait_for()
    queue.keyboard.press("e")
    queue.get_by_label("Queue", exact=True).fill("experts")
    queue.keyboard.press("Enter")
    queue.get_by_role("navigation", name="Queues").get_by_role("link", name="experts").wait_for()
    found = batcher.case(number)
    assert (found["queue"], found["state"]) == ("experts", "escalated")
    assert next_after(queue, transaction) != transaction


def test_a_file_is_attached_saved_and_removed(queue, batcher, axe):
    number = batcher.of(shown(queue))["id"]
    files = queue.get_by_role("region", name="Files")
    content = b"%PDF-1.7 a receipt"
    chosen = {"name": "receipt 7.pdf", "mimeType": "application/pdf", "buffer": content}
    files.get_by_label("Attach a file").set_input_files(chosen)
    link = files.get_by_role("link", name="receipt 7.pdf")
    link.wait_for()
    axe(queue)
    with queue.expect_download() as saved:
        link.click()
    assert saved.value.suggested_filename == "receipt 7.pdf"
    assert Path(saved.value.path()).read_bytes() == content
    queue.get_by_role("region", name="History").get_by_text("attached receipt 7.pdf").wait_for()
    files.get_by_role("button", name="Remove receipt 7.pdf").click()
    queue.get_by_role("dialog").get_by_role("button", name="Remove").click()
    queue.get_by_role("region", name="History").get_by_text("removed the attachment receipt 7.pdf").wait_for()
    expect(link).to_have_count(0)
    assert get(f"{batcher.url}/cases/{number}").json()["attachments"] == []


def test_after_a_verdict_on_a_case_one_holds_the_next_is_held(queue, batcher):
    queue.keyboard.press("t")
    queue.get_by_text("Assigned to you until").wait_for()
    transaction = shown(queue)
    queue.keyboard.press("u")
    queue.get_by_text("1 saved").wait_for()
    following = next_after(queue, transaction)
    queue.get_by_text("Assigned to you until").wait_for()
    assert batcher.of(following)["owner"] == "local"
    queue.keyboard.press("r")
    expect(queue.get_by_text("Assigned to you until")).to_have_count(0)
    assert batcher.of(following)["owner"] is None


def test_a_verdict_with_its_reason_can_be_corrected(queue, batcher):
    transaction = shown(queue)
    number = batcher.of(transaction)["id"]
    queue.keyboard.press("d")
    queue.get_by_label("Verdict", exact=True).select_option("fraud")
    queue.get_by_label("Reason", exact=True).select_option("card_stolen")
    queue.get_by_label("Note", exact=True).fill("the owner says so")
    queue.keyboard.press("Control+Enter")
    queue.get_by_text("1 saved").wait_for()
    assert batcher.case(number)["reason_code"] == "card_stolen"
    queue.get_by_role("region", name="Said here").get_by_role("button", name="fraud: card stolen").click()
    queue.get_by_text("local said fraud, card stolen").first.wait_for()
    queue.keyboard.press("a")  # does nothing: to correct is a step of its own
    queue.keyboard.press("d")
    queue.get_by_label("Verdict", exact=True).select_option("good")
    queue.get_by_role("button", name="Submit verdict").click()
    queue.get_by_text("2 saved").wait_for()
    assert batcher.case(number)["verdict"] == "good"


def test_a_verdict_over_many_shows_what_it_will_touch_and_says_what_it_did(page, batcher, shots, axe):
    queue = page
    queue.goto(f"{batcher.url}/console/queue?order=oldest")  # new cases do not move these
    queue.get_by_role("list", name="Cases").get_by_role("checkbox").first.wait_for()
    numbers = {case["transaction_id"]: case["id"] for case in batcher.cases(order="oldest") if case["owner"] is None}
    names = list(numbers)[2:5]
    for name in names:
        queue.get_by_label(f"Mark {name}").check()
    batcher.taken_by_ben(numbers[names[0]])
    queue.get_by_role("button", name="Verdict on 3 marked…").click()
    queue.get_by_text("2 cases will be marked legitimate").wait_for()
    queue.get_by_text("1 left alone: held by ben").wait_for()
    touched = queue.get_by_role("region", name="What it will touch").get_by_role("listitem")
    expect(touched).to_have_count(2)
    shots(queue, "queue-many")
    axe(queue)
    assert batcher.case(numbers[names[1]])["verdict"] is None
    queue.get_by_role("button", name="Mark 2 as legitimate").click()
    queue.get_by_text("2 cases marked legitimate").wait_for()
    assert [batcher.case(numbers[name])["verdict"] for name in names] == [None, "good", "good"]


def test_filters_live_in_the_address_and_the_figures_of_analysts_are_there(page, batcher, shots, axe):
    number = next(case["id"] for case in batcher.cases(queue="sample", order="oldest") if case["owner"] is None)
    assert post(f"{batcher.url}/cases/{number}/verdict", json={"verdict": "good"}).status_code == 200
    page.goto(f"{batcher.url}/console/queue?queue=sample&state=decided&order=newest&case={number}")
    expect(page.get_by_label("State")).to_have_value("decided")
    page.locator("article").get_by_text("local said").first.wait_for()
    page.get_by_text("Analysts", exact=True).click()
    page.get_by_role("row").filter(has_text="local").wait_for()
    assert "view=analysts" in page.url
    shots(page, "queue-analysts")
    axe(page)


def test_every_key_is_told(queue):
    queue.keyboard.press("?")
    for told in ("legitimate: approve", "fraud: block", "escalate to another queue", "next case"):
        queue.get_by_text(told, exact=True).wait_for()
    queue.keyboard.press("Escape")
    queue.get_by_role("dialog").wait_for(state="detached")


def test_a_verdict_is_undone_by_its_key_and_the_case_is_to_be_decided_again(queue, batcher):
    transaction = shown(queue)
    number = batcher.of(transaction)["id"]
    queue.keyboard.press("b")
    queue.get_by_text("1 saved").wait_for()
    queue.keyboard.press("z")
    queue.get_by_text("Verdict undone.").wait_for()
    queue.get_by_role("article", name=f"Case of {transaction}").wait_for()
    assert batcher.case(number)["verdict"] is None
    queue.get_by_text("took the verdict back").wait_for()


def test_a_case_is_assigned_tagged_and_found_among_ones_own(queue, batcher, axe):
    number = batcher.of(shown(queue))["id"]
    queue.keyboard.press("s")
    queue.get_by_label("Assignee", exact=True).fill("local")
    queue.get_by_label("Priority", exact=True).select_option("urgent")
    queue.get_by_label("Tags", exact=True).fill("ring vip")
    axe(queue)
    queue.get_by_role("button", name="Save").click()
    queue.locator("article").get_by_text("for local").wait_for()
    found = batcher.case(number)
    assert (found["assignee"], found["priority"], found["tags"]) == ("local", "urgent", ["ring", "vip"])
    queue.get_by_label("Whose", exact=True).select_option("mine")
    rows = queue.get_by_role("list", name="Cases").get_by_role("listitem")
    expect(rows).to_have_count(1)
    rows.get_by_text("urgent priority").wait_for()
    assert "whose=mine" in queue.url


def test_a_second_opinion_is_asked_with_ones_own_beside_it_and_the_workload_counts_it(queue, batcher, shots, axe):
    number = batcher.of(shown(queue))["id"]
    queue.keyboard.press("o")
    queue.get_by_label("Ask", exact=True).fill("mia")
    queue.get_by_label("Your opinion", exact=True).select_option("fraud")
    queue.get_by_role("button", name="Ask", exact=True).click()
    queue.locator("article").get_by_text("local asks mia for a second opinion, and says fraud").wait_for()
    assert batcher.case(number)["opinion"]["of"] == "mia"
    queue.goto(f"{batcher.url}/console/queue?view=workload")
    queue.get_by_role("table", name="Workload").get_by_role("row").filter(has_text="mia").wait_for()
    queue.get_by_role("table", name="Queue ages").get_by_role("row").filter(has_text="review").wait_for()
    queue.get_by_role("table", name="Due times").get_by_role("row").filter(has_text="review").get_by_role("button").click()
    queue.get_by_label("Due within, in hours").fill("1.5")
    queue.get_by_role("dialog").get_by_role("button", name="Set due time").click()
    queue.get_by_role("table", name="Due times").get_by_role("row").filter(has_text="1.5 h").wait_for()
    shots(queue, "queue-workload")
    axe(queue)
    queue.set_viewport_size({"width": 390, "height": 844})
    assert queue.evaluate(NO_WIDER)
