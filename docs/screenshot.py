"""Takes the screenshot of README: a blocked payment of a simulated attack, explained in the console. `make screenshot`.

It starts a demo in an empty folder, begins an attack there and opens the payment in Chromium.
"""

import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright
from tests.console.conftest import FLAGS, Demo
from tests.console.waiting import get, post
from tests.waiting import wait_until

PICTURE = Path(__file__).parent / "images" / "blocked-payment.png"
VIEW = {"width": 1280, "height": 775}


def blocked_payment(url: str) -> str:
    """The id of the first payment of a card-testing attack that is blocked and fires a rule."""
    for identity in post(f"{url}/demo/attack/card_testing").json()["transactions"]:
        decided = wait_until(partial(decision, url, identity))
        assert decided is not None
        if decided["decision"] == "BLOCK" and decided["explanation"]["rules"]:
            return str(identity)
    raise SystemExit("no payment of the attack was blocked")


def decision(url: str, identity: str) -> dict[str, Any] | None:
    status = get(f"{url}/transaction/{identity}/status", params={"wait_seconds": 20}).json()
    return get(f"{url}/transactions/{identity}").json() if status["status"] == "processed" else None


def take(browser: Browser, url: str, picture: Path) -> None:
    page = browser.new_page(viewport=VIEW)
    page.goto(f"{url}/console/transactions/{blocked_payment(url)}")
    page.get_by_role("list", name="Reasons").wait_for()
    page.get_by_role("list", name="Timeline").wait_for()
    page.wait_for_load_state("networkidle")
    picture.parent.mkdir(exist_ok=True)
    page.screenshot(path=picture)


def main() -> int:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        print("no Chromium is installed; Debian's package is called chromium")
        return 1
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
        demo = Demo(Path(folder) / "data", "--tps", "20")
        try:
            demo.start()
            take(started.chromium.launch(executable_path=chromium, args=FLAGS), demo.url, PICTURE)
        finally:
            demo.stop()
    print(f"wrote {PICTURE.name}, {PICTURE.stat().st_size // 1024} KB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
