"""Tables that people lay out, views that they save, and the menu of a phone."""

import re

import pytest
from tests.console.waiting import expect, get
from tests.waiting import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.browser]


def headings(page):
    return page.get_by_role("table", name="Transactions").get_by_role("columnheader")


def amounts(page):
    return [float(re.sub(r"[^0-9.]", "", each)) for each in page.locator("tbody tr td:nth-child(2)").all_inner_texts()]


def test_columns_are_chosen_sorted_and_widened_and_the_address_keeps_that(page, still, axe, shots):
    page.goto(f"{still}/console/transactions")
    page.get_by_role("button", name="Columns").click()
    axe(page)
    page.get_by_role("menuitemcheckbox", name="Score").click()
    page.get_by_role("menuitemcheckbox", name="Detector").click()
    page.keyboard.press("Escape")
    expect(headings(page)).to_contain_text(["Time", "Amount", "From → to", "Decision", "Reason", "Transaction", "Detector"])
    headings(page).get_by_role("button", name="Amount").click()
    page.wait_for_url(re.compile("sort=-amount"))
    wait_until(lambda: (found := amounts(page)) and found == sorted(found, reverse=True))  # the address comes first
    edge = page.get_by_role("separator", name="Width of Reason")
    edge.focus()
    before = edge.evaluate("edge => edge.parentElement.getBoundingClientRect().width")
    page.keyboard.press("ArrowLeft")
    page.wait_for_url(re.compile("widths=why"))
    page.reload()
    expect(headings(page)).to_have_count(7)
    after = page.get_by_role("separator", name="Width of Reason").evaluate("e => e.parentElement.getBoundingClientRect().width")
    assert 0 < before - after < 32
    axe(page)
    shots(page, "transactions-columns")


def test_a_saved_view_opens_with_its_filters_columns_and_order_and_is_removed(page, still):
    page.goto(f"{still}/console/transactions?decision=review&columns=time,amount&sort=-amount")
    page.get_by_role("button", name="Views").click()
    page.get_by_role("menuitem", name="Save this view").click()
    page.get_by_label("Name").fill("Large reviews")
    page.get_by_label("Share with everybody").check()
    page.keyboard.press("Enter")
    page.get_by_text("The view Large reviews is saved.").wait_for()
    [view] = get(f"{still}/views").json()["views"]
    assert (view["shared"], view["search"]["columns"]) == (True, "time,amount")
    page.goto(f"{still}/console/transactions")
    page.get_by_role("button", name="Views").click()
    page.get_by_role("menuitem", name="Large reviews shared by local").click()
    page.wait_for_url(re.compile("decision=review"))
    expect(headings(page)).to_have_count(2)
    page.get_by_role("button", name="Views").click()
    page.get_by_role("menuitem", name="Remove the view Large reviews").click()
    page.get_by_text("No saved view of this page").wait_for()
    assert get(f"{still}/views").json()["views"] == []


def test_on_a_phone_a_menu_names_the_page_and_leads_to_the_others(page, still, axe):
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{still}/console/operations")
    menu = page.get_by_role("button", name="Menu, at Operations")
    menu.focus()
    page.keyboard.press("Enter")
    current = page.get_by_role("menuitem", name="Operations")
    expect(current).to_have_attribute("aria-current", "page")
    axe(page)
    page.get_by_role("menuitem", name="Transactions").click()
    page.get_by_role("button", name="Menu, at Transactions").wait_for()
    row = page.get_by_role("table", name="Transactions").get_by_role("row").nth(1)
    row.wait_for()
    assert row.bounding_box()["width"] <= 390
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_printed_page_has_neither_menu_nor_buttons(page, still):
    page.goto(f"{still}/console/transactions")
    page.get_by_role("table", name="Transactions").wait_for()
    page.emulate_media(media="print")
    expect(page.get_by_role("navigation", name="Pages")).to_be_hidden()
    expect(page.get_by_role("button", name="Columns")).to_be_hidden()
    expect(page.get_by_role("table", name="Transactions")).to_be_visible()
