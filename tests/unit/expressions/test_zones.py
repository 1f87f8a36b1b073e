"""Zones: the flat tables against the standard library's, for every zone there is."""

from datetime import UTC, datetime
from importlib import resources
from io import BytesIO
from zoneinfo import ZoneInfo

import numpy as np

from penstock.codes import text_code
from penstock.expressions.zones import zone_directory, zone_names, zone_table


def offsets_s(table, instants_s):
    k = int(table[0])
    at = np.searchsorted(table[1 : 1 + k], np.array(instants_s) * 1_000_000, "right")
    return (table[1 + k :][at] // 1_000_000).tolist()


def test_every_zone_has_the_offsets_of_the_standard_library_from_1970_to_2100():
    rng = np.random.default_rng(5)
    wrong = []
    for name in sorted(zone_names()):
        content = resources.files("tzdata.zoneinfo").joinpath(*name.split("/")).read_bytes()
        zone = ZoneInfo.from_file(BytesIO(content))
        instants = rng.integers(0, 4_133_980_799, 60).tolist()
        wanted = [int(datetime.fromtimestamp(s, UTC).astimezone(zone).utcoffset().total_seconds()) for s in instants]
        if offsets_s(zone_table(name), instants) != wanted:
            wrong.append(name)
    assert wrong == []


def test_a_change_happens_at_its_very_second():
    spring = int(datetime(2090, 3, 26, 1, tzinfo=UTC).timestamp())
    assert offsets_s(zone_table("Europe/Berlin"), [spring - 1, spring]) == [3600, 7200]


def test_the_directory_leads_from_the_code_of_a_name_to_its_table():
    codes, starts, tables = zone_directory()
    at = int(np.searchsorted(codes, text_code("Asia/Tokyo")))
    start = int(starts[at])
    table = zone_table("Asia/Tokyo")
    assert np.array_equal(tables[start : start + len(table)], table)
