"""`penstock init` on files of many shapes: it writes a detector that trains and decides without an edit."""

import json
import re
from pathlib import Path

import polars as pl
import pytest

from penstock import Engine, replay
from penstock.cli import run
from penstock.clock import from_us
from penstock.offline import options
from penstock.offline.datasets import read
from penstock.offline.guess import guess, source
from penstock.wiring.detectors import load_detector
from tests import recorded_shapes
from tests.recorded_shapes import SHAPES, write

RECORDED = ["Fraud_Data.csv", "paysim_excerpt.csv", "paysim_simulated.parquet", "handbook_transactions.parquet"]
TIMES = {
    "sparkov": ("trans_date_trans_time", None),
    "paysim": ("timestamp", "1h"),
    "ieee": ("timestamp", "1s"),
    "banksim": ("timestamp", "1d"),
    "components": ("timestamp", "1s"),
    "american": ("transaction_date", "%m/%d/%Y %I:%M %p"),
    "german": ("Buchungsdatum", "%d.%m.%Y %H:%M"),
    "parts_of_a_time": ("timestamp", "%Y %m %d %H:%M"),
    "days_and_status": ("order_date", "%d/%m/%Y"),
    "milliseconds": ("created_at", None),
    "nested": ("occurred_at", None),
}
LATE = {
    "paysim": {"newbalanceOrig", "isFlaggedFraud"},
    "handbook": {"TX_FRAUD_SCENARIO"},
    "milliseconds": {"chargeback_at"},
    "sparkov": {"unix_time"},
}
KEYS = {
    "sparkov": ["cc_num", "merchant"],
    "paysim": ["nameOrig", "nameDest"],
    "ieee": ["card1"],
    "fraud_data": ["user_id", "device_id", "ip_address"],
    "handbook": ["CUSTOMER_ID", "TERMINAL_ID"],
    "banksim": ["customer", "merchant"],
    "german": ["Konto", "Shop"],
    "american": ["customer_email", "merchant_name"],
    "parts_of_a_time": ["User", "merchant_name"],
    "milliseconds": ["customer_id", "device_id"],
    "nested": ["customer_id", "merchant_id"],
    "days_and_status": ["client", "store_id"],
    "components": [],
}
AMOUNTS = {
    "sparkov": "amt",
    "ieee": "TransactionAmt",
    "fraud_data": "purchase_value",
    "handbook": "TX_AMOUNT",
    "german": "betrag_eur",
    "days_and_status": "total",
    "nested": "payment_amount",
}
LABELS = {"sparkov": "is_fraud", "fraud_data": "class_", "german": "Betrug", "days_and_status": "status", "nested": "label"}


def init(file: Path, folder: Path, capsys: pytest.CaptureFixture[str]) -> dict:
    """The JSON of `penstock init`, which has succeeded."""
    given = ["init", str(file), "--out", str(folder / "mine.py"), "--models", str(folder / "models"), "--json"]
    code = run([*given, "--minutes", "0.01"])  # of the search: the first trial or two
    output = capsys.readouterr()
    assert code == 0, output.err
    return json.loads(output.out)


def decides(file: Path, folder: Path) -> None:
    """An engine with the trained models scores a row of the file, sent as a live event is: as JSON, today's forms of times."""
    detector = load_detector(str(folder / "mine.py"))
    frame = read(pl.read_parquet(file).head(200) if file.suffix == ".parquet" else file, detector).frame
    row = frame.drop("row", detector.label.field).row(0, named=True)
    event = {
        name: value.isoformat() if hasattr(value, "isoformat") else value for name, value in row.items() if value is not None
    }
    decision = Engine(detector, models=folder / "models").decide(json.loads(json.dumps(event)))
    assert decision.degraded is None
    assert 0 <= decision.fraud_probability <= 1
    assert decision.model_version


@pytest.mark.parametrize("shape", SHAPES)
def test_a_file_trains_and_serves_without_an_edit(shape, tmp_path, capsys):
    file = write(shape, tmp_path)
    done = init(file, tmp_path, capsys)
    assert done["training"]["test"]["roc_auc"] > 0.6
    assert Path(done["report"]).is_file()
    decides(file, tmp_path)


@pytest.mark.slow
@pytest.mark.data
@pytest.mark.parametrize("name", RECORDED)
def test_a_recorded_file_trains_and_serves_without_an_edit(name, recorded, tmp_path, capsys):
    file = recorded / name
    if name.startswith("handbook"):  # the first ten weeks, so that a test takes seconds
        file = tmp_path / "handbook.csv"
        pl.read_parquet(recorded / name).head(600_000).write_csv(file)
    init(file, tmp_path, capsys)
    decides(file, tmp_path)


@pytest.mark.parametrize("shape", SHAPES)
def test_keys_amount_and_label_are_those_of_the_file(shape, tmp_path):
    guessed = guess(write(shape, tmp_path))
    assert [key.column.field for key in guessed.keys] == KEYS[shape]
    assert guessed.amount.column.field == AMOUNTS.get(shape, guessed.amount.column.field)
    assert guessed.label.column.field == LABELS.get(shape, guessed.label.column.field)
    assert int(guessed.label.fraud.sum()) == int(recorded_shapes.payments()["fraud"].sum())


@pytest.mark.parametrize("shape", TIMES)
def test_the_form_of_the_time_is_found(shape, tmp_path):
    time = guess(write(shape, tmp_path)).time
    assert (time.field, time.pattern or time.every) == TIMES[shape]
    if time.every is None:
        first = recorded_shapes.payments()["at"][0]
        assert abs((from_us(int(time.instants_us.min())) - first).total_seconds()) < 86_400


@pytest.mark.parametrize("shape", SHAPES)
def test_what_is_known_only_afterwards_is_left_out_with_its_reason(shape, tmp_path):
    guessed = guess(write(shape, tmp_path))
    late = {each.column for each in guessed.left_out if each.late}
    assert late == LATE.get(shape, set())
    text = source(guessed, "mine", file="mine.py", path="x.csv")
    declared = set(re.findall(r"^    (\w+):", text, re.MULTILINE))
    assert not late & declared
    assert all(f"#   {name}: " in text for name in late)


def test_a_column_that_nearly_states_the_label_is_left_out(tmp_path):
    frame = recorded_shapes.handbook().drop("TX_FRAUD_SCENARIO")
    answer = (
        pl.when((pl.col("TX_FRAUD") == 1) & (pl.col("TRANSACTION_ID") % 150 > 0)).then(pl.lit("05")).otherwise(pl.lit("00"))
    )
    frame.with_columns(answer.alias("gateway_code")).write_csv(tmp_path / "file.csv")
    [left_out] = [each for each in guess(tmp_path / "file.csv").left_out if each.late]
    assert left_out.column == "gateway_code"
    assert "alone nearly states the label (ROC AUC 0.99" in left_out.why


def test_a_balance_that_already_holds_the_payment_is_left_out(tmp_path):
    frame = recorded_shapes.paysim().rename({"oldbalanceOrg": "balance_a", "newbalanceOrig": "balance_b"})
    frame.write_csv(tmp_path / "file.csv")
    left_out = {each.column: each.why for each in guess(tmp_path / "file.csv").left_out}
    assert left_out["balance_b"] == "the balance after the payment: balance_a less the amount in 100% of the rows"
    assert "balance_a" not in left_out


def test_each_guess_is_explained_above_its_line(tmp_path):
    guessed = guess(write("german", tmp_path))
    lines = source(guessed, "mine", file="mine.py", path="german.csv").splitlines()
    for each in guessed.guesses:
        [at] = [at for at, line in enumerate(lines) if line.startswith(f"    {each.fields[0]}: ")]
        above = []
        while lines[at - 1].startswith("    #"):
            at -= 1
            above.insert(0, lines[at].strip("# "))
        assert " ".join(above).startswith(f"{each.what} ({each.sure}): {each.seen}")
    assert all(len(line) <= 128 for line in lines)


@pytest.mark.parametrize(("shape", "currency"), [("german", "EUR"), ("american", "USD"), ("nested", "payment_currency")])
def test_lists_show_who_pays_whom_how_much_in_which_currency(shape, currency, tmp_path):
    guessed = guess(write(shape, tmp_path))
    text = source(guessed, "mine", file="mine.py", path="x.csv")
    assert f'    amount="{guessed.amount.column.field}",\n' in text
    assert f'    headline=("{KEYS[shape][0]}", "{KEYS[shape][1]}"),' in text
    assert f'    currency="{currency}",\n' in text


@pytest.mark.parametrize("header", ["E-mail", "contact"])
def test_addresses_of_people_are_a_personal_key_and_no_category(header, tmp_path):
    recorded_shapes.american().rename({"Customer Email": header}).write_csv(tmp_path / "file.csv")
    guessed = guess(tmp_path / "file.csv")
    [key] = [key for key in guessed.keys if key.column.name == header]
    assert (key.pays, key.personal) == (True, True)
    assert f'    personal=["{key.column.field}"],' in source(guessed, "mine", file="mine.py", path="file.csv")


def test_addresses_of_the_internet_are_no_numbers(tmp_path):
    frame = recorded_shapes.handbook().with_columns(pl.format("10.1.{}.103", pl.col("CUSTOMER_ID")).alias("ip"))
    frame.write_csv(tmp_path / "file.csv")
    assert "ip" in {key.column.field for key in guess(tmp_path / "file.csv").keys}


def test_marks_of_missing_values_are_read_as_missing(tmp_path, capsys):
    frame = recorded_shapes.handbook().cast({"TX_AMOUNT": pl.String})
    amounts = pl.when(pl.col("TRANSACTION_ID") % 100 == 7).then(pl.lit("NULL")).otherwise("TX_AMOUNT")
    frame.with_columns(amounts.alias("TX_AMOUNT")).write_csv(tmp_path / "file.csv")
    done = init(tmp_path / "file.csv", tmp_path, capsys)
    assert done["training"]["refused"] == 0


PAGE = Path(__file__).parents[2] / "docs" / "guide" / "init.md"


def test_the_commands_of_the_page_work_in_their_order(tmp_path, monkeypatch, capsys):
    """As printed, but for a shorter search."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(options, "DEFAULT_TRIALS", 2)
    commands = re.findall(r"^    penstock (\w+ [^#\n]*)", PAGE.read_text(), re.MULTILINE)
    assert [each.split()[0] for each in commands] == ["simulate", "init", "train", "replay"]
    for each in commands:
        assert run(each.split()) == 0, capsys.readouterr().err


def test_ids_that_repeat_are_said(tmp_path):
    frame = recorded_shapes.milliseconds()
    pl.concat([frame, frame.head(50)]).write_parquet(tmp_path / "file.parquet")
    guessed = guess(tmp_path / "file.parquet")
    assert guessed.id.field == "payment_id"
    assert "50 rows repeat an id, of which the first counts" in guessed.id_guess.seen


def test_an_existing_file_is_not_overwritten_without_force(tmp_path, capsys):
    file, out = write("nested", tmp_path), tmp_path / "mine.py"
    out.write_text("# mine\n")
    assert run(["init", str(file), "--out", str(out), "--no-train"]) == 2
    assert out.read_text() == "# mine\n"
    assert "overwrite it with --force" in capsys.readouterr().err
    assert run(["init", str(file), "--out", str(out), "--no-train", "--force"]) == 0
    assert "class Payment" in out.read_text()


def test_a_missing_file_is_named_before_an_existing_detector(tmp_path, capsys):
    out = tmp_path / "mine.py"
    out.write_text("# mine\n")
    assert run(["init", str(tmp_path / "missing.csv"), "--out", str(out), "--no-train"]) != 0
    told = capsys.readouterr().err
    assert "missing.csv" in told
    assert "--force" not in told


def test_a_file_without_a_label_gives_a_detector_of_rules_that_says_so(tmp_path, capsys):
    file = tmp_path / "file.csv"
    recorded_shapes.unlabelled().write_csv(file)
    assert run(["init", str(file), "--out", str(tmp_path / "mine.py")]) == 0
    assert "no column says which payments were fraud" in capsys.readouterr().err
    detector = load_detector(str(tmp_path / "mine.py"))
    frame = read(file, detector).frame
    row = frame.drop("row").row(0, named=True)
    decision = Engine(detector).decide(row | {"timestamp": row["timestamp"].isoformat()})
    assert decision.decision == "APPROVE"
    assert {rule.name for rule in detector.rules} == {
        "many_by_customer",
        "unusual_amount_of_customer",
        "many_merchants_of_customer",
    }
    decisions = replay(detector, file)["decision"]
    assert 0 < (decisions == "REVIEW").mean() <= 0.003  # each rule stands for one row in a thousand


def test_a_file_without_a_time_is_an_error_that_names_its_columns(tmp_path, capsys):
    file = tmp_path / "file.csv"
    pl.DataFrame({"amount": [float(at) for at in range(100)], "customer": ["a", "b"] * 50}).write_csv(file)
    assert run(["init", str(file), "--out", str(tmp_path / "mine.py")]) == 2
    assert "no column says when a payment happened" in (said := capsys.readouterr().err)
    assert "columns: amount, customer" in said
    assert not (tmp_path / "mine.py").exists()
