"""A time means the same on every road: single events, batches, frames, and files of every kind."""

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import Detector, Engine, Entity, Label, replay
from penstock.cli import run
from penstock.clock import to_us
from penstock.errors import MalformedEvent, RowsRefused
from penstock.offline.datasets import read


class Payment(msgspec.Struct):
    tx: str
    at: datetime
    card: str
    born: datetime | None = None
    fraud: bool | None = None


def declared(zone: str | None) -> Detector:
    features = [Entity("card").count("1d")]
    return Detector(
        "shop",
        event=Payment,
        id="tx",
        time="at",
        label=Label("fraud", delay="1d"),
        features=features,
        naive_times=zone,
    )


DETECTORS = {zone: declared(zone) for zone in (None, "UTC", "Europe/Berlin")}
GOOD = "2026-02-06T10:00:00Z"


def shown(time: datetime) -> st.SearchStrategy[str]:
    """A time in one of the forms that people and programs write."""
    seconds = (time - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1) / 1e6
    local = time.astimezone(UTC)
    day, short_day = f"{local:%Y-%m-%d}", f"{local.year}-{local.month}-{local.day}"
    clock, short_clock = f"{local:%H:%M:%S.%f}", f"{local.hour}:{local.minute:02d}"
    dates, clocks = st.sampled_from([day, short_day]), st.sampled_from([clock, clock[:8], clock[:5], clock[:11], short_clock])
    zones = st.sampled_from(["", "Z", "z", "+00:00", "+0200", "-05", " +01:00"])
    blanks = st.sampled_from(["", " ", "\t"])
    written = st.builds("{}{}{}{}".format, dates, st.sampled_from(["T", " ", "t"]), clocks, zones)
    numbers = st.sampled_from(
        [repr(seconds), str(int(seconds)), str(int(seconds * 1e3)), str(int(seconds * 1e6)), f"{seconds:e}"]
    )
    return st.builds("{}{}{}".format, blanks, st.one_of(written, numbers, dates), blanks)


TIMES = st.datetimes(datetime(1971, 1, 1), datetime(2100, 12, 30), timezones=st.just(UTC)).flatmap(shown)  # noqa: DTZ001
ODD = st.one_of(
    st.text("0123456789-:.,+TZ e", min_size=1, max_size=24), st.sampled_from(["2026-02-30", "soon", "1e400", "nan"])
)


def events(texts):
    return [{"tx": f"t{k}", "at": text, "card": "c"} for k, text in enumerate([GOOD, *texts])]


def by_single_events(engine, given):
    found = {}
    for event in given:
        try:
            found[event["tx"]] = engine.decide(event, dry_run=True).event_time
        except MalformedEvent:
            continue
    return found


def by_batch(engine, given):
    return {
        each.transaction_id: each.event_time for each in engine.decide_many(given, dry_run=True, on_refused=lambda *_: None)
    }


def by_file(detector, path):
    frame = read(path, detector).frame
    return dict(zip(frame["tx"].to_list(), frame["at"].to_physical().to_list(), strict=True))


def in_us(times):
    return {name: to_us(datetime.fromisoformat(time)) for name, time in times.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("roads")


@pytest.fixture(scope="module")
def engines():
    return {zone: Engine(detector) for zone, detector in DETECTORS.items()}


@settings(max_examples=60, deadline=None)
@given(texts=st.lists(st.one_of(TIMES, ODD), min_size=1, max_size=6), zone=st.sampled_from(list(DETECTORS)))
def test_every_road_reads_a_text_as_the_same_instant_or_refuses_it(texts, zone, engines, folder):
    engine, detector, given_events = engines[zone], DETECTORS[zone], events(texts)
    frame = pl.DataFrame(given_events)
    expected = in_us(by_single_events(engine, given_events))
    assert in_us(by_batch(engine, given_events)) == expected
    assert in_us(by_batch(engine, frame)) == expected
    bodies = [json.dumps(event).encode() for event in given_events]
    answers = [json.loads(each) if isinstance(each, bytes) else None for each in engine.decide_json(bodies, dry_run=True)]
    assert in_us({each["transaction_id"]: each["event_time"] for each in answers if each}) == expected
    for ending, write in (("csv", frame.write_csv), ("parquet", frame.write_parquet), ("ndjson", frame.write_ndjson)):
        write(folder / f"events.{ending}")
        assert by_file(detector, folder / f"events.{ending}") == expected, ending


@settings(max_examples=60, deadline=None)
@given(number=st.floats(0, 4.1e9).filter(lambda x: x == 0 or x > 1e-3))
def test_a_number_as_text_is_the_instant_of_the_number(number, engines, folder):
    [decision] = engines["UTC"].decide_many([{"tx": "t", "at": number, "card": "c"}], dry_run=True)
    path = folder / "numbers.csv"
    path.write_text(f"tx,at,card\nt,{number!r},c\n")
    assert by_file(DETECTORS["UTC"], path) == in_us({"t": decision.event_time})


@pytest.mark.parametrize(
    "text",
    [
        "2012-05-10 13:11",
        "2012-05-10",
        "2012-05-10T10:00Z",
        "2012-05-10T10:00:00+0200",
        "1336655460",
        "1336655460.5",
        "2026-2-6",
    ],
)
def test_the_usual_texts_are_read_by_a_replay_and_by_a_decision(text, engines, folder):
    decision = engines["UTC"].decide({"tx": "t", "at": text, "card": "c"}, dry_run=True)
    path = folder / "usual.csv"
    path.write_text(f"tx,at,card\nt,{text},c\n")
    assert replay(DETECTORS["UTC"], path)["at"].to_list() == [datetime.fromisoformat(decision.event_time)]


def test_labels_and_arrivals_are_read_like_event_times(folder):
    path = folder / "labelled.csv"
    path.write_text("tx,at,card,fraud,arrived_at,label_known_at\nt,2026-2-6 9:00,c,1,2026-02-06 09:01,1770400000\n")
    row = read(path, DETECTORS["UTC"]).frame.row(0, named=True)
    assert row["arrived_at"] == datetime(2026, 2, 6, 9, 1, tzinfo=UTC)
    assert row["label_known_at"] == datetime.fromtimestamp(1770400000, UTC)


@pytest.mark.parametrize("column", ["arrived_at", "label_known_at"])
def test_a_row_with_an_unreadable_arrival_or_label_time_is_refused(column):
    frame = pl.DataFrame(events([GOOD, GOOD])).with_columns(pl.Series(column, [GOOD, "soon", GOOD]))
    recorded = read(frame, DETECTORS["UTC"])
    assert recorded.refused.rows() == [(1, column, f"{column}: soon is not a time (ISO 8601, or seconds since 1970)")]


def test_a_label_names_its_time_as_an_event_does():
    engine = Engine(DETECTORS["UTC"])
    engine.decide({"tx": "t", "at": GOOD, "card": "c"})
    for known_at in ("2026-02-07 10:00", "2026-2-7 10:00", 1770458400, "1770458400", "2026-02-07T11:00+0100"):
        body = json.dumps({"transaction_id": "t", "fraud": True, "known_at": known_at}).encode()
        assert engine.label_json(body)[0]["known_at"] == "2026-02-07T10:00:00Z"
    [refused] = engine.label_json(b'{"transaction_id": "t", "fraud": true, "known_at": "soon"}')
    assert refused.errors[0][0] == "known_at"
    [refused] = Engine(DETECTORS[None]).label_json(b'{"transaction_id": "t", "fraud": true, "known_at": "2026-02-07"}')
    assert "no zone" in refused.detail


# ---------------------------------------------------------------- rows that are refused


def recorded_file(folder, bad: int, of: int):
    rows = [f"t{k},{'soon' if k < bad else GOOD},c,0" for k in range(of)]
    path = folder / f"{bad}-of-{of}.csv"
    path.write_text("tx,at,card,fraud\n" + "\n".join(rows) + "\n")
    return path


def test_a_replay_fails_where_more_rows_than_allowed_are_refused_and_says_which(folder):
    path = recorded_file(folder, 3, 100)
    with pytest.raises(
        RowsRefused, match=r"3 of 100 rows.*3 for column 'at', first row 0 \(at: soon is not a time.*--max-refused"
    ):
        replay(DETECTORS["UTC"], path)
    with pytest.warns(UserWarning, match="3 of 100 rows are no events"):
        assert len(replay(DETECTORS["UTC"], path, max_refused=0.05)) == 97
    with pytest.warns(UserWarning, match="1 of 100 rows are no events"):
        assert len(replay(DETECTORS["UTC"], recorded_file(folder, 1, 100))) == 99


def test_rows_that_only_the_reader_refuses_are_counted_too(folder):
    frame = pl.DataFrame(events([GOOD] * 2)).with_columns(pl.Series("tx", ["a", "x" * 201, "b\n"]))
    recorded = read(frame, DETECTORS["UTC"])
    assert recorded.frame["tx"].to_list() == ["a"]
    assert recorded.refused["field"].to_list() == ["tx", "tx"]


SHOP = """
from datetime import datetime
import msgspec
from penstock import Detector, Entity, Label, LogisticRegression

class Payment(msgspec.Struct):
    tx: str
    at: datetime
    card: str
    amount: float = 1.0
    fraud: bool | None = None

card = Entity("card")
detector = Detector("shop", event=Payment, id="tx", time="at", label=Label("fraud", delay="1d"), naive_times="UTC",
                    features=[card.count("1d")], models=[LogisticRegression()])
"""


@pytest.fixture
def shop(tmp_path):
    path = tmp_path / "shop.py"
    path.write_text(SHOP)
    return str(path)


@pytest.mark.parametrize("command", ["replay", "load", "train"])
def test_a_command_fails_where_more_rows_than_allowed_are_refused(command, shop, tmp_path, capsys):
    path = str(recorded_file(tmp_path, 3, 4))
    arguments = {
        "replay": ["replay", shop, path],
        "load": ["load", shop, path, "--data", str(tmp_path / "data")],
        "train": ["train", shop, "--data", path],
    }
    assert run(arguments[command]) == 1
    error = capsys.readouterr().err
    assert "3 of 4 rows are no events" in error
    assert "column 'at'" in error
    if command == "replay":
        assert run([*arguments[command], "--max-refused", "0.75"]) == 0
        assert "3 of 4 rows are no events" in capsys.readouterr().err


def test_score_answers_every_line_before_it_fails(shop, tmp_path):
    Path(shop).write_text(SHOP.replace(", models=[LogisticRegression()]", ""))
    path = tmp_path / "events.ndjson"
    path.write_text("".join(json.dumps(event) + "\n" for event in events([GOOD, "soon"])))
    command = [sys.executable, "-m", "penstock.cli", "score", shop, str(path)]
    scored = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (scored.returncode, len(scored.stdout.splitlines())) == (1, 3)
    assert "1 of 3 lines are no events" in scored.stderr
    assert subprocess.run([*command, "--max-refused", "0.5"], capture_output=True, check=False).returncode == 0
