"""`penstock cases` and `penstock labels` do what they say, and end with the exit code that they promise."""

import json

import pytest

from penstock.cases.case import EntityKey, NewCase
from penstock.cases.store import Cases
from penstock.cli import run
from penstock.database import open_office


@pytest.fixture
def folder(tmp_path):
    """A data folder with two cases."""
    with open_office(tmp_path) as office:
        new = [
            NewCase(
                detector="shop",
                transaction_id=f"t{n}",
                origin="review",
                propensity=1.0,
                decision="REVIEW",
                score=0.5,
                amount=20.0 * n,
                expected_loss=10.0 * n,
                reason="unusual",
                event_us=0,
                keys=(EntityKey("customer", "c1"),),
            )
            for n in (1, 2)
        ]
        Cases(office).follow("log", 1, new)
    return str(tmp_path)


def listed(folder, capsys, *options):
    assert run(["cases", "list", "--data", folder, "--json", *options]) == 0
    return json.loads(capsys.readouterr().out)


def test_cases_are_listed_shown_and_decided(folder, capsys):
    first, second = listed(folder, capsys)
    assert (first["transaction_id"], second["transaction_id"]) == ("t2", "t1")
    decide = ["cases", "verdict", first["id"], "fraud", "--reason", "scam", "--as", "ana", "--data", folder]
    assert run(decide) == 0
    assert run(decide) == 1, "it is decided by now"
    assert "decided by ana" in capsys.readouterr().err
    assert [case["id"] for case in listed(folder, capsys, "--state", "decided")] == [first["id"]]
    assert [case["id"] for case in listed(folder, capsys, "--state", "undecided")] == [second["id"]]
    assert run(["cases", "show", first["id"], "--data", folder]) == 0
    shown = capsys.readouterr().out
    assert "about customer c1" in shown
    assert "verdict fraud, reason scam" in shown
    assert run(["cases", "list", "--data", folder]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_a_verdict_may_be_about_one_transaction_of_the_case(folder, capsys):
    first, second = listed(folder, capsys, "--order", "priority")
    decide = ["cases", "verdict", first["id"], "good", "--data", folder, "--transaction"]
    assert run([*decide, second["transaction_id"]]) == 1
    assert f"is not in case {first['id']}" in capsys.readouterr().err
    assert run([*decide, first["transaction_id"]]) == 0
    capsys.readouterr()
    assert [case["id"] for case in listed(folder, capsys, "--state", "decided")] == [first["id"]]


def test_what_cannot_be_done_ends_with_a_code_and_a_reason(folder, tmp_path, capsys):
    assert run(["cases", "show", "nothing", "--data", folder]) == 1
    assert run(["cases", "list", "--data", str(tmp_path / "elsewhere")]) == 2
    assert "holds no cases" in capsys.readouterr().err
    [case, _] = listed(folder, capsys)
    assert run(["cases", "verdict", case["id"], "good", "--reason", "scam", "--data", folder]) == 2
    table = tmp_path / "labels.csv"
    table.write_text("transaction_id,frau\nt1,1\n")
    assert run(["labels", "import", str(table)]) == 2
    assert "Did you mean fraud" in capsys.readouterr().err
