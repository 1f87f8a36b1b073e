"""The detector that the flood benchmark serves: one rule that looks for words in a text."""

from datetime import datetime

import msgspec

from penstock import Detector, Entity, Policy, Rule


class Payment(msgspec.Struct):
    """A payment with a text."""

    transaction_id: str
    timestamp: datetime
    customer_id: str
    text: str | None = None


customer = Entity("customer_id")

detector = Detector(
    name="flooded",
    event=Payment,
    id="transaction_id",
    time="timestamp",
    features=[customer.count("1h")],
    models=[],
    rules=[Rule("crypto", "text LIKE '%crypto%exchange%'", then="review", reason="the text names an exchange")],
    policy=Policy(on_failure="review"),
)
