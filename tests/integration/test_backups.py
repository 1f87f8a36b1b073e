"""The page of operations names every file of a data folder, and whether it belongs to a backup."""

import re
import shutil
from fnmatch import fnmatch
from pathlib import Path

from penstock import Engine
from penstock.config import Settings
from penstock.identity.keys import Keys
from penstock.ledger import FileLedger
from penstock.ledger.archive import Archive
from penstock.messages import Refusal
from penstock.wiring.database import office_of
from penstock.wiring.personal import vault_of
from tests.unit.engine.test_personal_key import detector, payment

PAGE = Path(__file__).parents[2] / "docs" / "guide" / "operations.md"


def table() -> dict[str, bool]:
    """The patterns of the page, and whether what they name belongs to a backup."""
    text = PAGE.read_text("utf-8").split("## Backups")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)` \| (yes|no)", text, re.MULTILINE)
    return {pattern: belongs == "yes" for pattern, belongs in rows}


def used_data_folder(data: Path) -> None:
    """Everything that a service leaves behind: decisions, personal values, quarantine, users, models, an archive, reports."""
    settings = Settings(data=data)
    with office_of(settings) as office:
        Keys(office).add("checkout", ["decider"], who="local")
        vault_of(settings, office).keep("shop", [("tok_ana", "tok_1", "4111")])
        (data / "models" / "shop" / "v1").mkdir(parents=True)
        (data / "models" / "shop" / "v1" / "bundle.json").write_text("{}")
        with (
            FileLedger(data / "ledger", segment_bytes=1 << 16, seal_rows=1000) as ledger,
            Engine(detector(), data=data, ledger=ledger) as engine,
        ):
            engine.decide(payment(1))
            engine.decide_many([{**payment(k), "card": f"{k}" * 400} for k in range(2, 6000)])
            engine.quarantine_refused(b"{}", Refusal(422, "nothing in it"))
            with Archive(engine.ledger, data / "archive") as archive:
                archive.roll(everything=True)
    for name in ("ledger/keys/shop/1/ids", "reports/shop.html", "queries/penstock-query-1/quarantine.parquet"):
        (data / name).parent.mkdir(parents=True, exist_ok=True)
        (data / name).touch()


def test_the_page_names_every_file_of_a_data_folder_and_what_it_says_belongs_to_a_backup_is_enough(tmp_path):
    data = tmp_path / "data"
    used_data_folder(data)
    patterns, matched = table(), set()
    copy = tmp_path / "copy"
    for path in sorted(each for each in data.rglob("*") if each.is_file()):
        name = path.relative_to(data).as_posix()
        found = [pattern for pattern in patterns if fnmatch(name, pattern)]
        assert len(found) == 1, f"{name} is named by {found}"
        matched.add(found[0])
        if patterns[found[0]]:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, copy / name)
    assert matched == set(patterns)
    with Engine(detector(), data=data) as before, Engine(detector(), data=copy) as after:
        assert after.pipeline.state.digest() == before.pipeline.state.digest()
        assert after.queries.transaction("t1") == before.queries.transaction("t1")
        again = payment(6000)
        assert after.decide(again, dry_run=True).features == before.decide(again, dry_run=True).features
    settings = Settings(data=copy)
    with office_of(settings) as office:
        assert [key.name for key, _ in Keys(office).valid()] == ["checkout"]
        assert vault_of(settings, office).values("shop", "tok_ana", ["tok_1"]) == {"tok_1": "4111"}
