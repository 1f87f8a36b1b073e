"""Lookups: ranges and keyed tables from files."""

import re
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock import derive
from penstock.codes import text_code, text_codes
from penstock.detectors import ecommerce
from penstock.errors import DeclarationError, ExpressionError
from penstock.features.lookups import ipv4_number, lookup
from penstock.messages import Batch, Layout, Type


def layout_of(**types):
    layout = Layout()
    for name, kind in types.items():
        layout.add(name, kind)
    return layout


def batch_of(layout, **columns):
    n = len(next(iter(columns.values())))
    batch = Batch([""] * n, np.zeros(n, np.uint8), np.zeros(n, np.int64), np.zeros(n, np.int64),
                  np.full((n, layout.width), np.nan), np.zeros((n, layout.text_width), np.int64), {})  # fmt: skip
    for name, values in columns.items():
        column = layout[name]
        if column.type is Type.TEXT:
            batch.texts[name] = list(values)
            batch.codes[:, column.index] = text_codes(values)
        else:
            batch.x[:, column.index] = np.array(values, np.float64)
    return batch


def looked_up(declared, folder, types, columns):
    layout = layout_of(**types)
    loaded = declared.load(folder, layout)
    batch = batch_of(layout, **columns)
    loaded.run(batch)
    if loaded.column.type is Type.TEXT:
        assert batch.codes[:, loaded.column.index].tolist() == text_codes(batch.texts[declared.name]).tolist()
        return batch.texts[declared.name]
    return [None if np.isnan(v) else v for v in batch.x[:, loaded.column.index]]


@pytest.fixture
def ranges(tmp_path):
    (tmp_path / "ranges.csv").write_text("country,ip_to,ip_from\nNorway,19,10\nPeru,39,30\nChad,29,20\nMali,59,50\n")
    return tmp_path


def test_a_number_finds_its_range_both_ends_included(ranges):
    found = looked_up(
        lookup("country", "ip", ranges="ranges.csv"), ranges, {"ip": Type.NUMBER}, {"ip": [9, 10, 19, 20, 45, 59, 60, np.nan]}
    )
    assert found == [None, "Norway", "Norway", "Chad", None, "Mali", None, None]


def test_the_fraction_of_an_address_is_cut_off_where_the_bounds_are_whole(ranges):
    assert looked_up(lookup("country", "ip", ranges="ranges.csv"), ranges, {"ip": Type.NUMBER}, {"ip": [19.8]}) == ["Norway"]


def test_ranges_of_fractions_are_compared_as_they_are(tmp_path):
    (tmp_path / "bands.csv").write_text("lower,upper,band\n0,0.5,1\n0.6,2,2\n")
    found = looked_up(lookup("band", "x", ranges="bands.csv"), tmp_path, {"x": Type.NUMBER}, {"x": [0.5, 0.55, 0.6, 2.1]})
    assert found == [1, None, 2, None]


def test_addresses_may_be_dotted_texts_on_either_side(tmp_path):
    (tmp_path / "nets.csv").write_text("start_ip,end_ip,zone\n10.0.0.0,10.0.0.255,office\n10.0.1.0,10.0.1.255,guests\n")
    declared = lookup("zone", "ip", ranges="nets.csv")
    addresses = ["10.0.0.255", "10.0.1.7", "10.0.2.0", "nonsense", "10.0.0.256", None, str(10 * 2**24)]
    assert looked_up(declared, tmp_path, {"ip": Type.TEXT}, {"ip": addresses}) == [
        "office",
        "guests",
        None,
        None,
        None,
        None,
        "office",
    ]


def test_an_address_without_its_text_is_an_error_that_says_so(tmp_path):
    (tmp_path / "nets.csv").write_text("lower,upper,zone\n1,2,a\n")
    layout = layout_of(ip=Type.TEXT)
    loaded = lookup("zone", "ip", ranges="nets.csv").load(tmp_path, layout)
    batch = batch_of(layout, ip=["1"])
    batch.texts.clear()
    assert loaded.texts == {"ip"}
    with pytest.raises(ExpressionError, match="text of 'ip'"):
        loaded.run(batch)


def test_ipv4_reads_only_four_bytes():
    assert ipv4_number("255.255.255.255") == 2**32 - 1
    assert (
        np.isnan([ipv4_number(text) for text in ("1.2.3", "1.2.3.4.5", "a.b.c.d", "1.2.3.-4", "", None, "²5.1.1.1")]).tolist()
        == [True] * 7
    )


def test_a_range_without_an_end_is_refused(tmp_path):
    (tmp_path / "bad.csv").write_text("lower,upper,v\n1,3,a\n1,,a\n")
    with pytest.raises(DeclarationError, match="row 2 lacks an end"):
        lookup("v", "x", ranges="bad.csv").load(tmp_path, layout_of(x=Type.NUMBER))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=12),
    st.lists(st.integers(-1, 31), min_size=1),
)
def test_of_overlapping_ranges_the_one_that_begins_last_counts(tmp_path_factory, ends, keys):
    folder = tmp_path_factory.mktemp("ranges")
    (folder / "t.csv").write_text(
        "\n".join(["lower,upper,v", *(f"{low},{high},{row}" for row, (low, high) in enumerate(ends))])
    )
    found = looked_up(lookup("v", "x", ranges="t.csv"), folder, {"x": Type.NUMBER}, {"x": keys})
    holding = [[(low, row) for row, (low, high) in enumerate(ends) if low <= key <= high] for key in keys]
    assert found == [max(held)[1] if held else None for held in holding]


# ---------------------------------------------------------------- keyed tables


@pytest.fixture
def figures(tmp_path):
    (tmp_path / "gdp.csv").write_text("country,year,gdp\nPeru,2014,202.5\nPeru,2015,191\nMali,2015,\nChad,2015,10\n")
    return tmp_path


def test_several_keys_find_one_row_and_what_is_missing_is_null(figures):
    declared = lookup("gdp", "country", "year", table="gdp.csv")
    rows = {"country": ["Peru", "Peru", "Mali", "Peru", None, "Chad"], "year": [2015, 2014, 2015, 2016, 2015, np.nan]}
    found = looked_up(declared, figures, {"country": Type.TEXT, "year": Type.NUMBER}, rows)
    assert found == [191, 202.5, None, None, None, None]


def test_a_key_of_another_name_takes_the_only_column_left(figures):
    declared = lookup("gdp", ("country", "purchase_year"), table="gdp.csv")
    types = {"purchase_year": Type.NUMBER, "country": Type.TEXT}
    assert looked_up(declared, figures, types, {"purchase_year": [2015], "country": ["Chad"]}) == [10]


def test_key_columns_can_be_named(figures):
    declared = lookup("g", "land", "y", table="gdp.csv", key_columns=["country", "year"])
    assert looked_up(declared, figures, {"land": Type.TEXT, "y": Type.NUMBER}, {"land": ["Peru"], "y": [2014]}) == [202.5]


def test_a_text_value_comes_with_its_text(tmp_path):
    (tmp_path / "codes.csv").write_text("mcc,label\n007,Spies\n5411,Groceries\n")
    found = looked_up(lookup("label", "mcc", table="codes.csv"), tmp_path, {"mcc": Type.TEXT}, {"mcc": ["007", "7", "5411"]})
    assert found == ["Spies", None, "Groceries"]


def test_the_order_of_the_file_does_not_matter(tmp_path):
    names = [f"k{i}" for i in range(500)]
    shuffled = np.random.default_rng(1).permutation(500)
    pl.DataFrame({"k": [names[i] for i in shuffled], "v": shuffled.astype(float)}).write_csv(tmp_path / "t.csv")
    found = looked_up(lookup("v", "k", table="t.csv"), tmp_path, {"k": Type.TEXT}, {"k": [*names, "k500"]})
    assert found == [*range(500), None]


def test_parquet_holds_typed_columns(tmp_path):
    pl.DataFrame({"bin": [411111, 522222], "bank": ["North", "South"]}).write_parquet(tmp_path / "bins.parquet")
    declared = lookup("bank", "bin", table="bins.parquet")
    assert looked_up(declared, tmp_path, {"bin": Type.TEXT}, {"bin": ["522222", "411111"]}) == ["South", "North"]
    assert looked_up(declared, tmp_path, {"bin": Type.NUMBER}, {"bin": [411111]}) == ["North"]


def write_excel(path, rows):
    """The smallest workbook there is."""
    cell = lambda v: f"<c><v>{v}</v></c>" if isinstance(v, (int, float)) else f'<c t="inlineStr"><is><t>{v}</t></is></c>'  # noqa: E731
    sheet = "".join("<row>" + "".join(map(cell, row)) + "</row>" for row in rows)
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    relation = (
        '<Relationships xmlns="{p}/relationships"><Relationship Id="r1" Type="{o}/{kind}" Target="{to}"/></Relationships>'
    )
    with zipfile.ZipFile(path, "w") as book:
        book.writestr(
            "[Content_Types].xml",
            f'<Types xmlns="{package}/content-types"><Default Extension="xml" ContentType="application/xml"/>'
            '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/></Types>',
        )
        book.writestr("_rels/.rels", relation.format(p=package, o=office, kind="officeDocument", to="xl/workbook.xml"))
        book.writestr("xl/_rels/workbook.xml.rels", relation.format(p=package, o=office, kind="worksheet", to="sheet.xml"))
        book.writestr(
            "xl/workbook.xml",
            f'<workbook {main} xmlns:r="{office}"><sheets><sheet name="s" sheetId="1" r:id="r1"/></sheets></workbook>',
        )
        book.writestr("xl/sheet.xml", f"<worksheet {main}><sheetData>{sheet}</sheetData></worksheet>")


def test_excel_is_read_too(tmp_path):
    write_excel(tmp_path / "limits.xlsx", [["country", "limit"], ["Peru", 500], ["Mali", 12.5]])
    declared = lookup("limit", "country", table="limits.xlsx")
    assert looked_up(declared, tmp_path, {"country": Type.TEXT}, {"country": ["Mali", "Peru", "Chad"]}) == [12.5, 500, None]


def test_the_tables_of_the_ecommerce_detector_may_be_workbooks(tmp_path):
    write_excel(tmp_path / "gdp_usd.xlsx", [["country", "year", "gdp_usd_millions"], ["Peru", 2015, 500], ["Mali", 2015, 12.5]])
    country, gdp = ecommerce.looked_up(tmp_path)
    assert country == derive("country", "nullif('', '')")
    types = {"country": Type.TEXT, "purchase_year": Type.NUMBER}
    asked = {"country": ["Mali", "Peru", "Peru"], "purchase_year": [2015, 2015, 2016]}
    assert looked_up(gdp, tmp_path, types, asked) == [12.5, 500, None]
    (tmp_path / "gdp_usd.csv").write_text("country,year,gdp_usd_millions\nMali,2015,13\n")
    assert Path(ecommerce.looked_up(tmp_path)[1].path).name == "gdp_usd.csv"


# ---------------------------------------------------------------- declarations that cannot work


@pytest.mark.parametrize(
    ("declare", "said"),
    [
        (lambda: lookup("v", "k"), "either ranges=FILE or table=FILE"),
        (lambda: lookup("v", "k", ranges="a.csv", table="b.csv"), "either ranges=FILE or table=FILE"),
        (lambda: lookup("v", "k", "l", ranges="a.csv"), "ranges takes one key"),
        (lambda: lookup("v", table="a.csv"), "one key or more"),
        (lambda: lookup("v", "k", table="a.csv", key_columns=["x", "y"]), "1 keys, but 2 key_columns"),
    ],
)
def test_contradictory_declarations_are_refused(declare, said):
    with pytest.raises(DeclarationError, match=re.escape("feature 'v'") + ".*" + re.escape(said)):
        declare()


@pytest.mark.parametrize(
    ("content", "declared", "said"),
    [
        ("a,b,c,d\n1,2,3,4\n", lookup("v", "k", table="t.csv"), "t.csv has the columns a, b, c, d"),
        ("k,b,c\n1,2,3\n", lookup("v", "k", table="t.csv"), "which column is the value"),
        ("k,b,c\n1,2,3\n", lookup("v", "k", table="t.csv", value="e"), "no column 'e'"),
        ("from,to,end,v\n1,2,3,4\n", lookup("v", "k", ranges="t.csv"), "say upper=..."),
        ("k,v\n1,2\n1,3\n", lookup("v", "k", table="t.csv"), "two rows have the key k=1"),
        ("k,v\nx,2\n", lookup("v", "k", table="t.csv"), "column 'k' has to hold numbers, not 'x'"),
        ("k,v\n", lookup("v", "k", table="t.csv"), "no key in it"),
        ("k,v\n1,2\n", lookup("v", "kk", table="t.csv"), "no column 'kk'. Did you mean k?"),
        ("k,v\n1,2\n", lookup("v", "t", table="t.csv", key_columns="k"), "t is a time"),
    ],
)
def test_a_file_that_leaves_a_doubt_is_refused_with_its_columns(tmp_path, content, declared, said):
    (tmp_path / "t.csv").write_text(content)
    with pytest.raises(DeclarationError, match=re.escape(said)) as caught:
        declared.load(tmp_path, layout_of(k=Type.NUMBER, t=Type.TIME))
    assert "feature 'v'" in str(caught.value)


def test_a_missing_file_is_named_with_every_place_that_was_tried(tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    with pytest.raises(DeclarationError) as caught:
        lookup("v", "k", table="t.csv").load(tmp_path, layout_of(k=Type.NUMBER))
    assert str(tmp_path / "t.csv") in str(caught.value)
    assert str(elsewhere / "t.csv") in str(caught.value)


def test_the_declaring_folder_comes_before_the_working_directory(tmp_path, monkeypatch):
    (tmp_path / "t.csv").write_text("k,v\n1,10\n")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "t.csv").write_text("k,v\n1,20\n")
    monkeypatch.chdir(elsewhere)
    declared = lookup("v", "k", table="t.csv")
    assert looked_up(declared, tmp_path, {"k": Type.NUMBER}, {"k": [1]}) == [10]
    assert looked_up(declared, tmp_path / "nowhere", {"k": Type.NUMBER}, {"k": [1]}) == [20]


def test_an_unknown_kind_of_file_is_refused(tmp_path):
    (tmp_path / "t.json").write_text("{}")
    with pytest.raises(DeclarationError, match=r"t\.json is not a file that can be read"):
        lookup("v", "k", table="t.json").load(tmp_path, layout_of(k=Type.NUMBER))


def test_a_damaged_file_is_an_error_that_names_it(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(DeclarationError, match=r"t\.parquet cannot be read"):
        lookup("v", "k", table="t.parquet").load(tmp_path, layout_of(k=Type.NUMBER))


def test_the_fingerprint_follows_the_content_and_the_declaration_not_the_folder(tmp_path):
    prints = []
    for name, content in [("a", "k,v\n1,2\n"), ("b", "k,v\n1,2\n"), ("c", "k,v\n1,3\n")]:
        (tmp_path / name).mkdir()
        (tmp_path / name / "t.csv").write_text(content)
        declared = lookup("v", "k", table=str(tmp_path / name / "t.csv"))
        prints.append((repr(declared), declared.load(tmp_path, layout_of(k=Type.NUMBER)).fingerprint))
    assert prints[0] == prints[1] != prints[2]


# ---------------------------------------------------------------- real files


@pytest.mark.data
def test_recorded_addresses_find_the_country_that_a_search_through_all_ranges_finds(recorded):
    events = pl.read_csv(recorded / "Fraud_Data.csv", columns=["ip_address"]).drop_nulls()["ip_address"].to_numpy()
    table = pl.read_csv(recorded / "IpAddress_to_Country.csv")
    lower, upper = table["lower_bound_ip_address"].to_numpy(), table["upper_bound_ip_address"].to_numpy()
    in_overlap = events[(events >= 3_100_000_000) & (events <= 3_104_001_023)]
    addresses = np.concatenate([events[:400], in_overlap])
    wanted = []
    for address in np.floor(addresses):
        holding = np.flatnonzero((lower <= address) & (address <= upper))
        wanted.append(table["country"][int(holding[np.argmax(lower[holding])])] if len(holding) else None)
    found = looked_up(
        lookup("country", "ip", ranges="IpAddress_to_Country.csv"), recorded, {"ip": Type.NUMBER}, {"ip": addresses}
    )
    assert found == wanted
    assert len(set(found)) > 30
    assert None in found


@pytest.mark.data
def test_recorded_figures_are_found_by_country_and_year(recorded):
    declared = lookup("gdp_usd_millions", ("country", "purchase_year"), table=str(recorded / "gdp_usd.csv"))
    rows = {"country": ["Albania", "Atlantis", "Advanced Economies"], "purchase_year": [1996, 1996, 1996]}
    found = looked_up(declared, recorded, {"country": Type.TEXT, "purchase_year": Type.NUMBER}, rows)
    assert found == [3289.029, None, 25529717.0]


def test_codes_of_texts_are_those_that_expressions_compare(tmp_path):
    (tmp_path / "t.csv").write_text("k,v\n1,Norway\n")
    layout = layout_of(k=Type.NUMBER)
    loaded = lookup("v", "k", table="t.csv").load(tmp_path, layout)
    batch = batch_of(layout, k=[1])
    loaded.run(batch)
    assert batch.codes[0, loaded.column.index] == text_code("Norway")
