"""Recorded files in the shapes in which fraud data is published and exported, with made-up payments of the same two months."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

ROWS, DAYS = 6_000, 60
START = datetime(2025, 10, 2, tzinfo=UTC)


def payments(seed: int = 7) -> pl.DataFrame:
    """Payments of customers at merchants; a part of them is fraud: larger, in bursts, and more often at night."""
    draw = np.random.default_rng(seed)
    day = draw.integers(0, DAYS, ROWS)
    second = np.clip(draw.normal(14, 4, ROWS), 0, 23.99) * 3600
    customer, merchant = draw.integers(0, 250, ROWS), draw.integers(0, 90, ROWS)
    amount = np.round(draw.lognormal(3.3, 0.8, ROWS), 2) + 1
    fraud = draw.random(ROWS) < 0.04
    second = np.where(fraud & (draw.random(ROWS) < 0.6), draw.uniform(0, 4 * 3600, ROWS), second)
    amount = np.where(fraud, np.round(amount * draw.uniform(0.8, 9, ROWS), 2), amount)
    merchant = np.where(fraud & (draw.random(ROWS) < 0.5), merchant % 8, merchant)
    frame = pl.DataFrame(
        {
            "at": pl.Series([START + timedelta(days=int(d), seconds=int(s)) for d, s in zip(day, second, strict=True)]),
            "customer": customer,
            "merchant": merchant,
            "amount": amount,
            "fraud": fraud,
            "kind": np.where(merchant % 3 == 0, "food", np.where(merchant % 3 == 1, "travel", "online")),
        }
    )
    return frame.sort("at").with_row_index("row")


def _customer() -> pl.Expr:
    return pl.format("C{}", pl.col("customer") + 100_000)


def sparkov() -> pl.DataFrame:
    frame = payments()
    shift = timedelta(days=2557)
    return frame.select(
        pl.col("row").alias(""),
        pl.col("at").dt.strftime("%Y-%m-%d %H:%M:%S").alias("trans_date_trans_time"),
        (pl.col("customer") + 4_000_000_000_000_000).alias("cc_num"),
        pl.format("fraud_Shop {}", pl.col("merchant")).alias("merchant"),
        pl.col("kind").alias("category"),
        pl.col("amount").alias("amt"),
        pl.format("First{}", pl.col("customer") % 60).alias("first"),
        pl.format("Last{}", pl.col("customer") % 90).alias("last"),
        pl.when(pl.col("customer") % 2 == 0).then(pl.lit("F")).otherwise(pl.lit("M")).alias("gender"),
        pl.format("{} Main Road", pl.col("customer")).alias("street"),
        (40 + pl.col("customer") / 100).alias("lat"),
        (-75 + pl.col("customer") / 100).alias("long"),
        (pl.col("customer") * 131).alias("city_pop"),
        pl.format("19{}-05-17", 50 + pl.col("customer") % 49).alias("dob"),
        pl.format("{}a{}", pl.col("row") + 10_000, pl.col("row") * 7919).alias("trans_num"),
        (pl.col("at") - shift).dt.epoch("s").alias("unix_time"),
        (40.5 + pl.col("merchant") / 100).alias("merch_lat"),
        (-74.5 + pl.col("merchant") / 100).alias("merch_long"),
        pl.col("fraud").cast(pl.Int8).alias("is_fraud"),
    )


def paysim() -> pl.DataFrame:
    frame = payments()
    hours = (pl.col("at") - pl.lit(START)).dt.total_hours().cast(pl.Int64)
    before = (pl.col("customer") * 37.5 + 5_000).round(2)
    return frame.select(
        hours.alias("step"),
        pl.when(pl.col("kind") == "food").then(pl.lit("PAYMENT")).otherwise(pl.lit("TRANSFER")).alias("type"),
        "amount",
        _customer().alias("nameOrig"),
        before.alias("oldbalanceOrg"),
        (before - pl.col("amount")).round(2).alias("newbalanceOrig"),
        pl.format("M{}", pl.col("merchant")).alias("nameDest"),
        pl.col("fraud").cast(pl.Int8).alias("isFraud"),
        (pl.col("fraud") & (pl.col("amount") > 150)).cast(pl.Int8).alias("isFlaggedFraud"),
    )


def ieee() -> pl.DataFrame:
    frame = payments()
    draw = np.random.default_rng(1)
    return frame.select(
        (pl.col("row") + 2_987_000).alias("TransactionID"),
        pl.col("fraud").cast(pl.Int8).alias("isFraud"),
        ((pl.col("at") - pl.lit(START)).dt.total_seconds() + 86_400).alias("TransactionDT"),
        pl.col("amount").alias("TransactionAmt"),
        pl.col("kind").str.slice(0, 1).str.to_uppercase().alias("ProductCD"),
        (pl.col("customer") + 1_000).alias("card1"),
        (pl.col("customer") % 40 + 100).alias("card2"),
        pl.lit("visa").alias("card4"),
        (pl.col("customer") % 70 + 200).alias("addr1"),
        pl.when(pl.col("customer") % 4 > 0).then(pl.lit("gmail.com")).alias("P_emaildomain"),
        *(pl.Series(f"V{at}", np.where(draw.random(ROWS) < 0.4, np.nan, draw.normal(0, 1, ROWS))) for at in range(1, 9)),
    )


def fraud_data() -> pl.DataFrame:
    frame = payments()
    return frame.select(
        (pl.col("row") * 7 + 11).alias("user_id"),
        (pl.col("at") - pl.duration(days=pl.col("customer") % 50 + 1)).dt.strftime("%Y-%m-%d %H:%M:%S").alias("signup_time"),
        pl.col("at").dt.strftime("%Y-%m-%d %H:%M:%S").alias("purchase_time"),
        pl.col("amount").round().cast(pl.Int64).alias("purchase_value"),
        pl.format("DEV{}", pl.col("customer")).alias("device_id"),
        pl.col("kind").alias("source"),
        (pl.col("customer") % 50 + 18).alias("age"),
        (pl.col("merchant") * 1_000_003.5 + 16_777_216).alias("ip_address"),
        pl.col("fraud").cast(pl.Int8).alias("class"),
    )


def handbook() -> pl.DataFrame:
    """As a pickle of the book becomes when it is written as CSV."""
    frame = payments()
    return frame.select(
        pl.col("row").alias("TRANSACTION_ID"),
        pl.col("at").dt.strftime("%Y-%m-%d %H:%M:%S").alias("TX_DATETIME"),
        pl.col("customer").alias("CUSTOMER_ID"),
        pl.col("merchant").alias("TERMINAL_ID"),
        pl.col("amount").alias("TX_AMOUNT"),
        (pl.col("at") - pl.lit(START)).dt.total_seconds().alias("TX_TIME_SECONDS"),
        (pl.col("at") - pl.lit(START)).dt.total_days().alias("TX_TIME_DAYS"),
        pl.col("fraud").cast(pl.Int8).alias("TX_FRAUD"),
        (pl.col("fraud").cast(pl.Int8) * (1 + pl.col("merchant") % 3)).alias("TX_FRAUD_SCENARIO"),
    )


def banksim() -> pl.DataFrame:
    frame = payments()
    return frame.select(
        (pl.col("at") - pl.lit(START)).dt.total_days().alias("step"),
        pl.format("'{}'", _customer()).alias("customer"),
        pl.format("'{}'", pl.col("customer") % 7).alias("age"),
        pl.lit("'F'").alias("gender"),
        pl.lit("'28007'").alias("zipcodeOri"),
        pl.format("'M{}'", pl.col("merchant") + 348_934_600).alias("merchant"),
        pl.lit("'28007'").alias("zipMerchant"),
        pl.format("'es_{}'", pl.col("kind")).alias("category"),
        "amount",
        pl.col("fraud").cast(pl.Int8).alias("fraud"),
    )


def german() -> pl.DataFrame:
    """Semicolons, decimal commas, points between thousands, days first."""
    frame = payments()
    return frame.select(
        pl.format("B-{}", pl.col("row") + 1_000).alias("Buchungs-ID"),
        pl.col("at").dt.strftime("%d.%m.%Y %H:%M").alias("Buchungsdatum"),
        pl.format("DE{}", pl.col("customer") + 10**15).alias("Konto"),
        pl.format("Laden {}", pl.col("merchant")).alias("Shop"),
        pl.col("amount").mul(20).map_elements(_german_number, return_dtype=pl.String).alias("Betrag (EUR)"),
        pl.when(pl.col("fraud")).then(pl.lit("ja")).otherwise(pl.lit("nein")).alias("Betrug"),
    )


def _german_number(value: float) -> str:
    return f"{value:,.2f}".translate(str.maketrans(",.", ".,"))


def american() -> pl.DataFrame:
    """Months first, a clock of twelve hours, dollars, no id."""
    frame = payments()
    return frame.select(
        pl.col("at").dt.strftime("%m/%d/%Y %I:%M %p").alias("Transaction Date"),
        pl.format("user{}@example.com", pl.col("customer")).alias("Customer Email"),
        pl.format("Store {}", pl.col("merchant")).alias("Merchant Name"),
        pl.col("amount").mul(30).map_elements(lambda value: f"${value:,.2f}", return_dtype=pl.String).alias("Amount"),
        pl.col("kind").alias("Category"),
        pl.when(pl.col("fraud")).then(pl.lit("Yes")).otherwise(pl.lit("No")).alias("Is Fraud?"),
    )


def parts_of_a_time() -> pl.DataFrame:
    """Year, month, day and time in columns of their own."""
    frame = payments()
    return frame.select(
        pl.col("customer").alias("User"),
        (pl.col("customer") % 3).alias("Card"),
        pl.col("at").dt.year().alias("Year"),
        pl.col("at").dt.month().alias("Month"),
        pl.col("at").dt.day().alias("Day"),
        pl.col("at").dt.strftime("%H:%M").alias("Time"),
        pl.format("${}", pl.col("amount")).alias("Amount"),
        pl.col("kind").alias("Use Chip"),
        (pl.col("merchant") * 7_919_000_000_001 - 5_000_000_000).alias("Merchant Name"),
        pl.when(pl.col("fraud")).then(pl.lit("Yes")).otherwise(pl.lit("No")).alias("Is Fraud?"),
    )


def milliseconds() -> pl.DataFrame:
    """Milliseconds since 1970, two currencies, a chargeback date, and a gateway's answer."""
    frame = payments()
    return frame.select(
        pl.format("pay_{}", pl.col("row")).alias("payment_id"),
        pl.col("at").dt.epoch("ms").alias("created_at"),
        _customer().alias("customer_id"),
        pl.format("device-{}", pl.col("customer") * 3).alias("device_id"),
        "amount",
        pl.when(pl.col("customer") % 3 == 0).then(pl.lit("GBP")).otherwise(pl.lit("EUR")).alias("currency"),
        pl.when(pl.col("fraud")).then((pl.col("at") + timedelta(days=20)).dt.epoch("ms")).alias("chargeback_at"),
        pl.col("fraud").alias("fraudulent"),
    )


def days_and_status() -> pl.DataFrame:
    """Dates without a time, and a status in place of a label."""
    frame = payments()
    return frame.select(
        pl.format("ord-{}", pl.col("row")).alias("order_id"),
        pl.col("at").dt.strftime("%d/%m/%Y").alias("order_date"),
        _customer().alias("client"),
        pl.format("s{}", pl.col("merchant")).alias("store_id"),
        pl.col("amount").alias("total"),
        pl.when(pl.col("fraud")).then(pl.lit("fraud_confirmed")).when(pl.col("row") % 9 == 0)
        .then(pl.lit("returned")).otherwise(pl.lit("ok")).alias("status"),
    )  # fmt: skip


def components() -> pl.DataFrame:
    """Seconds since the first row, components without a meaning, no key."""
    frame = payments()
    draw = np.random.default_rng(2)
    fraud = frame["fraud"].to_numpy()
    return pl.DataFrame(
        {
            "Time": (frame["at"] - START).dt.total_seconds().cast(pl.Float64),
            **{f"V{at}": draw.normal(0, 1, ROWS) + fraud * draw.uniform(-0.9, 0.9) for at in range(1, 12)},
            "Amount": frame["amount"],
            "Class": fraud.astype(int),
        }
    )


def unlabelled() -> pl.DataFrame:
    frame = payments()
    return frame.select(
        pl.format("t{}", pl.col("row")).alias("transaction_id"),
        pl.col("at").dt.strftime("%Y-%m-%dT%H:%M:%SZ").alias("timestamp"),
        _customer().alias("customer_id"),
        pl.format("m{}", pl.col("merchant")).alias("merchant_id"),
        "amount",
    )


def _csv(frame: pl.DataFrame, path: Path) -> None:
    frame.write_csv(path)


def _semicolons(frame: pl.DataFrame, path: Path) -> None:
    frame.write_csv(path, separator=";")


def _parquet(frame: pl.DataFrame, path: Path) -> None:
    frame.write_parquet(path)


def _nested(frame: pl.DataFrame, path: Path) -> None:
    """A line per payment, with customer and payment as objects."""
    lines = [
        {
            "event_id": f"e{row['row']}",
            "occurred_at": row["at"].isoformat(),
            "customer": {"id": f"C{row['customer']}", "country": "NL" if row["customer"] % 2 else "DE"},
            "merchant": {"id": f"M{row['merchant']}", "category": row["kind"]},
            "payment": {"amount": row["amount"], "currency": "EUR"},
            "tags": ["web"],
            "label": "fraud" if row["fraud"] else "legit",
        }
        for row in frame.rows(named=True)
    ]
    path.write_text("\n".join(map(json.dumps, lines)) + "\n")


SHAPES: dict[str, tuple[str, Callable[[], pl.DataFrame], Callable[[pl.DataFrame, Path], None]]] = {
    "sparkov": (".csv", sparkov, _csv),
    "paysim": (".csv", paysim, _csv),
    "ieee": (".csv", ieee, _csv),
    "fraud_data": (".csv", fraud_data, _csv),
    "handbook": (".csv", handbook, _csv),
    "banksim": (".csv", banksim, _csv),
    "german": (".csv", german, _semicolons),
    "american": (".csv", american, _csv),
    "parts_of_a_time": (".csv", parts_of_a_time, _csv),
    "milliseconds": (".parquet", milliseconds, _parquet),
    "nested": (".ndjson", payments, _nested),
    "days_and_status": (".csv", days_and_status, _csv),
    "components": (".csv", components, _csv),
}


def write(shape: str, folder: Path) -> Path:
    """The file of a shape."""
    suffix, made, written = SHAPES[shape]
    path = folder / f"{shape}{suffix}"
    written(made(), path)
    return path
