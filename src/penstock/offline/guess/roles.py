"""Which columns are the id, the amount, the currency, the keys, and what else models may read."""

from collections.abc import Sequence
from typing import Literal

import polars as pl

from penstock.offline.guess.guessed import Guess, GuessedAmount, GuessedKey, Sure
from penstock.offline.guess.profile import SAMPLE, FileColumn

_ID = ("id", "uuid", "guid", "ref", "reference", "num", "number", "nr", "no", "key", "hash", "code")
_TRANSACTION = ("transaction", "trans", "txn", "tx", "trx", "payment", "order", "purchase", "event", "operation", "transfer")
_AMOUNT = ("amount", "amt", "betrag", "montant", "importe", "value", "price", "sum", "cost", "total", "paid", "volume")
_NO_AMOUNT = ("balance", "limit", "count", "score", "avg", "mean", "max", "min", "usual", "fee", "tax", "age", "number")

_PAYERS = (
    "customer", "client", "cardholder", "holder", "user", "member", "account", "acct", "acc", "card", "cc", "pan", "payer",
    "sender", "orig", "org", "wallet", "iban", "debtor", "originator", "buyer", "consumer", "email", "phone", "msisdn", "cust",
    "kunde", "konto", "uid",
)  # fmt: skip
_OTHERS = (
    "merchant", "merch", "terminal", "device", "ip", "payee", "receiver", "recipient", "beneficiary", "dest", "creditor",
    "seller", "vendor", "store", "shop", "pos", "agent", "fingerprint", "imei", "branch",
)  # fmt: skip
_NO_KEY = (
    "age", "category", "type", "lat", "latitude", "lon", "long", "longitude", "balance", "gender", "sex", "city",
    "state", "zip", "zipcode", "postcode", "country", "score", "risk", "amount", "amt", "limit", "count", "date",
    "time", "opened", "domain", "brand", "present", "network", "currency", "pop", "population", "job", "street",
    "browser", "os", "model", "tenure", "days", "mode", "method", "ccy",
)  # fmt: skip
PERSONAL = (
    "first", "last", "firstname", "lastname", "surname", "street", "address", "fullname", "ssn", "passport", "email", "phone",
    "birthplace", "vorname", "nachname",
)  # fmt: skip
MOST_KEYS = 5
_FEWEST_VALUES = 20
_REPEATS = 0.1
MOST_CATEGORIES = 300


def id_of(columns: Sequence[FileColumn], rows: int) -> tuple[FileColumn | None, Guess]:
    """The id of an event; without one it is made of the row."""
    rated = sorted(
        ((points, column) for column in columns if (points := _id_points(column, rows)) > 0), key=lambda each: -each[0]
    )
    if not rated:
        repeated = next((column for column in columns if column.like(_TRANSACTION) and column.like(_ID)), None)
        why = "no column has a different value in each row"
        if repeated is not None:
            why += f" ({repeated.name!r} has {repeated.distinct:,} values in {rows:,} rows)"
        return None, Guess("id", ("transaction_id",), "likely", f"{why}; made of the file's name and the row, live a new one")
    points, column = rated[0]
    again = rows - column.distinct
    seen = f"{column.name!r} has {column.distinct:,} different values in {rows:,} rows"
    if again:
        seen += f"; {again:,} rows repeat an id, of which the first counts"
    rivals = [each.name for _, each in rated[1:3]]
    sure: Sure = "sure" if points >= 4 and not again else "likely" if points >= 3 else "unsure"
    return column, Guess("id", (column.field,), sure, seen, " or ".join(rivals))


def _id_points(column: FileColumn, rows: int) -> int:
    if column.missing or column.values.dtype.is_temporal() or not (column.is_text or column.is_whole) or rows == 0:
        return 0
    share = column.distinct / rows
    named = column.like(_TRANSACTION) is not None and column.like(_ID) is not None and column.like((*_PAYERS, *_OTHERS)) is None
    if share < (0.9 if named else 1.0):
        return 0
    if named:
        return 4
    if column.like((*_PAYERS, *_OTHERS, *_AMOUNT)) or column.name.lower() in ("", "index", "row", "unnamed: 0"):
        return 0
    return 3 if column.like(_ID) else 0


def amount_of(columns: Sequence[FileColumn]) -> GuessedAmount | None:
    """The amount; None where no column looks like one."""
    found = [column for column in columns if _may_be_amount(column)]
    if not found:
        return None
    column = max(found, key=_amount_points)
    assert column.numbers is not None
    assert column.form is not None
    low, middle, high = (column.numbers.quantile(q) for q in (0.0, 0.5, 1.0))
    seen = f"{column.name!r} from {low:,.2f} to {high:,.2f}, half of them up to {middle:,.2f}"
    if not column.form.bare:
        seen += f"; written as {column.examples(1)}, so the decimal sign is {column.form.decimal!r}"
    rivals = [each.name for each in found if each is not column]
    sure: Sure = "likely" if rivals or not column.form.bare else "sure"
    return GuessedAmount(column, Guess("amount", (column.field,), sure, seen, " or ".join(rivals[:3])))


def _may_be_amount(column: FileColumn) -> bool:
    if column.like(_AMOUNT) is None or column.like(_NO_AMOUNT) or column.numbers is None or column.distinct < 3:
        return False
    return column.missing < 0.02


def _amount_points(column: FileColumn) -> float:
    found = column.like(_AMOUNT)
    assert found is not None
    return 10.0 * (len(_AMOUNT) - _AMOUNT.index(found)) + (2.0 if column.like(_TRANSACTION) else 0.0) - len(column.words)


def currency_of(columns: Sequence[FileColumn]) -> FileColumn | None:
    """The column with the currency of each event."""
    for column in columns:
        codes = column.is_text and column.distinct <= 200 and bool(len(column.present))
        if codes and column.like(("currency", "ccy", "curr", "waehrung")):
            return column
        if codes and set(column.present.unique().to_list()) <= _CURRENCIES:
            return column
    return None


_CURRENCIES = {
    *("EUR", "USD", "GBP", "CHF", "JPY", "INR", "CNY", "SEK", "NOK", "DKK", "PLN", "CZK", "HUF", "TRY", "BRL", "MXN", "CAD"),
    *("AUD", "NZD", "SGD", "HKD", "ZAR", "NGN", "KES", "RUB", "AED"),
}


def keys_of(columns: Sequence[FileColumn], rows: int) -> list[GuessedKey]:
    """What events have in common, those who pay first; at most MOST_KEYS, the one with most values of each kind."""
    best: dict[str, tuple[FileColumn, str]] = {}
    for column in columns:
        stem = _key_stem(column, rows)
        if stem is not None and (stem not in best or column.distinct > best[stem][0].distinct):
            best[stem] = column, stem
    order = [*_PAYERS, *_OTHERS]
    chosen = sorted(best.values(), key=lambda each: order.index(each[1]))
    payers = [each for each in chosen if each[1] in _PAYERS][:2]
    others = [each for each in chosen if each[1] in _OTHERS][: MOST_KEYS - len(payers)]
    names: set[str] = set()
    return [_key(column, stem, names) for column, stem in (*payers, *others)]


def _key_stem(column: FileColumn, rows: int) -> str | None:
    if column.like(_NO_KEY) or column.values.dtype.is_temporal() or not (column.is_text or column.is_whole or _is_ip(column)):
        return None
    stem = column.like(_PAYERS) or column.like(_OTHERS) or ("email" if _is_personal(column) and column.is_text else None)
    return stem if stem is not None and column.distinct >= min(_FEWEST_VALUES, max(rows // 10, 3)) else None


def _is_ip(column: FileColumn) -> bool:
    return column.like(("ip",)) is not None


def _key(column: FileColumn, stem: str, names: set[str]) -> GuessedKey:
    name = _NAMES.get(stem, stem)
    while name in names:
        name += "_2"
    names.add(name)
    mean = len(column.present) / max(column.distinct, 1)
    seen = f"{column.name!r} has {column.distinct:,} different values, each in {mean:.1f} rows on average"
    if column.missing:
        seen += f", none in {column.missing:.1%} of the rows"
    sure: Sure = "sure" if mean >= 2 else "likely" if mean >= 1 + _REPEATS else "unsure"
    otherwise = "no key: hardly any value comes twice, so it has no history" if sure == "unsure" else ""
    return GuessedKey(column, name, Guess("key", (column.field,), sure, seen, otherwise), stem in _PAYERS, _is_personal(column))


def _is_personal(column: FileColumn) -> bool:
    """Whether a key is a card number, an IBAN, an address or a number of a person, by its name or values."""
    if column.like(("email", "phone", "msisdn", "iban", "pan", "cc")):
        return True
    sample = column.present.head(SAMPLE).cast(pl.String)
    return bool(len(sample)) and bool(
        sample.str.contains(r"^([^@\s]+@[^@\s]+|[0-9]{13,19}|[A-Z]{2}[0-9]{2}[A-Z0-9]{11,30})$").all()
    )


_NAMES = {
    "cust": "customer", "client": "customer", "kunde": "customer", "acct": "account", "acc": "account", "konto": "account",
    "cc": "card", "pan": "card", "orig": "sender", "org": "sender", "dest": "receiver", "merch": "merchant", "uid": "user",
}  # fmt: skip


def reading_of(column: FileColumn) -> Literal["number", "category"] | str:
    """How a model may read another column, or why it may not."""
    if column.distinct < 2:
        return "the same in every row" if column.distinct else "empty"
    if column.missing > 0.98:
        return f"missing in {column.missing:.1%} of the rows"
    if column.like(PERSONAL):
        return "personal: nothing that a decision should rest on"
    if column.values.dtype.is_nested():
        return f"{column.values.dtype}: nested values are not read"
    if column.numbers is not None:
        if column.distinct == len(column.present) and column.is_whole and column.like(_ID):
            return "a different number in each row"
        return "number"
    if column.is_text and column.distinct <= MOST_CATEGORIES:
        return "category"
    return f"a text with {column.distinct:,} different values: no name of a key, and too many for a category"


def category_guess(column: FileColumn) -> Guess:
    """A text that models read by the rate of fraud of each value."""
    rare = column.distinct > 50
    seen = f"{column.name!r} has {column.distinct} values, as in {column.examples()}"
    return Guess("category", (column.field,), "likely" if rare else "sure", seen, "a key: Entity(...)" if rare else "")


def number_guess(column: FileColumn) -> Guess:
    """A number that models read as it is."""
    assert column.numbers is not None
    low, high = (column.numbers.quantile(q) for q in (0.0, 1.0))
    seen = f"{column.name!r} from {low:g} to {high:g}"
    codes = column.is_whole and 2 < column.distinct <= 30
    otherwise = f"a category: its {column.distinct} values may be codes; declare it str" if codes else ""
    return Guess("number", (column.field,), "likely" if codes else "sure", seen, otherwise)
