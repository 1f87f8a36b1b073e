"""A process that decides, announces by webhook, and is killed while it does: see `test_webhooks_and_kills`.

Arguments: the data folder, the URL of the receiver, the number of events. Prints `done N` when the first N events are
durable, and `end` when everything has been delivered.
"""

import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from penstock.config import Settings
from penstock.testing import example_detector
from penstock.webhooks.delivery import DeliveryTiming
from penstock.webhooks.endpoints import EndpointChanges
from penstock.wiring.service_parts import served_parts

START = datetime(2026, 1, 5, tzinfo=UTC)


def event(number: int) -> dict:
    """The last of the four events of a customer is reviewed."""
    at = (START + timedelta(seconds=number)).isoformat()
    return {"transaction_id": f"t{number}", "timestamp": at, "customer_id": f"c{number // 4}", "amount": 5.0}


def main(folder: Path, url: str, count: int) -> None:
    """Continue where the ledger ends."""
    settings = Settings(data=folder, webhook_private=True)
    with served_parts({"example": example_detector()}, settings) as parts:
        webhooks = parts.webhooks
        webhooks.timing = DeliveryTiming(first_wait_s=0.01, longest_wait_s=0.1, poll_s=0.01)
        if not webhooks.endpoints.all():
            types = ["penstock.decision.made", "penstock.case.opened"]
            webhooks.endpoints.add(url, EndpointChanges(types=types), who="test")
        with parts.openers["example"]() as engine:
            for number in range(engine.stats()["total"], count):
                engine.decide(event(number))
                print("done", number + 1, flush=True)
            while True:
                feeding = parts.operating.work.feeding  # type: ignore[union-attr]
                [endpoint] = webhooks.endpoints.all()
                if feeding is not None and not feeding.behind and endpoint.reached == webhooks.outbox.head():
                    break
                time.sleep(0.02)
            print("end", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
