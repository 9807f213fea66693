"""What people do on the pages, in a real browser: by mouse, by keyboard, on a phone."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from browser.shop import NOW, anomaly, usd
from playwright.sync_api import Page, expect
from unit.api.conftest import KEY, Lake
from unit.api.gold import row

from api.refresher import Refresher
from lakehouse.settings import Settings
from lakehouse.tables import ANOMALIES, ORDERS_BY_MINUTE

from .conftest import Opened, drawn


def test_signing_in_leads_on_and_signing_out_back(opened: Opened) -> None:
    page = opened("/explorer/books", signed_in=False, but="401 (Unauthorized)")
    page.get_by_label("API key", exact=True).fill("gm_wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_be_visible()
    page.get_by_label("API key", exact=True).fill(KEY)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("The books")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")
    page.goto(page.url.replace("/sign-in", "/explorer"))
    assert "/sign-in" in page.url


def test_the_period_changes_the_figures(opened: Opened) -> None:
    page = opened("/explorer")
    revenue = page.locator(".figure", has_text="Revenue").locator(".value").first
    week = revenue.inner_text()
    page.get_by_role("link", name="24 hours").click()
    expect(page.get_by_role("link", name="24 hours")).to_have_attribute("aria-current", "true")
    assert revenue.inner_text() != week


def test_light_and_dark_by_a_switch_that_is_remembered(opened: Opened) -> None:
    page = opened("/explorer")
    drawn(page)
    page.get_by_role("button", name="Switch to dark colours").click()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(14, 20, 27)"
    drawn(page)
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    expect(page.get_by_role("button", name="Switch to light colours")).to_be_visible()


def test_the_keyboard_reaches_everything_and_gets_out_again(opened: Opened) -> None:
    page = opened("/explorer")
    page.keyboard.press("Tab")
    expect(page.locator(".skip")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()
    seen = set()
    for _ in range(120):
        page.keyboard.press("Tab")
        place = page.evaluate("(e => e === document.body ? '' : e.outerHTML.slice(0, 90))(document.activeElement)")
        if not place:
            break
        outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", place
        seen.add(place)
    assert len(seen) > 20


def test_the_menu_of_a_phone(opened: Opened) -> None:
    page = opened("/explorer", "phone")
    expect(page.get_by_role("navigation", name="Pages")).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    expect(page.get_by_role("link", name="Dashboard")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.get_by_role("navigation", name="Pages")).to_be_hidden()
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Inventory").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Inventory")


def test_the_narrowest_phone_has_nothing_to_scroll_sideways(opened: Opened) -> None:
    page = opened("/explorer", "phone")
    for path in ("", "/live", "/explore", "/sql", "/customers", "/products", "/inventory", "/books"):
        page.set_viewport_size({"width": 360, "height": 740})
        page.goto(re.sub(r"/explorer.*", f"/explorer{path}", page.url))
        assert page.evaluate("document.documentElement.scrollWidth") <= 360, path


def test_what_happens_is_on_the_live_page_seconds_later(opened: Opened, shop_settings: Settings) -> None:
    page = opened("/explorer/live")
    drawn(page)
    expect(page.locator("#pulse")).to_have_text("Live", timeout=10_000)
    orders = page.locator("[data-figure=orders]")
    before = orders.inner_text()
    lake, refresher = Lake(shop_settings), Refresher(shop_settings)
    minute = NOW + timedelta(minutes=1)
    order = {"minute": minute, "country": "DE", "payment_method": "paypal", "order_count": 500, "revenue": usd(9000)}
    lake.write(ORDERS_BY_MINUTE, [row(ORDERS_BY_MINUTE, **order, batch_id=2, known_at=minute)])
    lake.write(ANOMALIES, [anomaly("a-new", "card_testing", "u0000042", "DE", minute)])
    assert refresher.refresh()
    expect(page.locator("#anomalies li").first).to_contain_text("u0000042", timeout=10_000)
    expect(orders).not_to_have_text(before)
    page.get_by_role("button", name="Pause").click()
    expect(page.locator("#pulse")).to_have_text("Paused")


def test_a_question_is_asked_shared_and_taken_along(opened: Opened) -> None:
    page = opened("/explorer/explore")
    page.get_by_label("Measure", exact=True).select_option("order_count")
    page.get_by_label("By", exact=True).select_option("country")
    page.get_by_label("And by", exact=True).select_option("payment_method")
    expect(page.get_by_label("Category", exact=True)).to_be_disabled()
    page.get_by_text("Germany").click()
    page.get_by_role("button", name="Show").click()
    drawn(page)
    assert "country=DE" in page.url
    rows = page.get_by_role("region", name="Rows").locator("tbody tr")
    assert 1 <= rows.count() <= 5
    assert all("Germany" in text for text in rows.all_inner_texts())
    with page.expect_download() as got:
        page.get_by_role("link", name="CSV").click()
    assert got.value.path().read_text().startswith('"country","payment_method","order_count"')
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("link", name="Link to this answer").click()
    expect(page.get_by_role("link", name="Copied")).to_be_visible()
    shown = rows.all_inner_texts()
    page.goto(page.evaluate("navigator.clipboard.readText()"))
    assert "pin=" in page.url
    assert rows.all_inner_texts() == shown


def test_sql_runs_by_keyboard_beside_the_tables_that_it_can_ask(opened: Opened) -> None:
    page = opened("/explorer/sql")
    statement = page.get_by_role("textbox", name="Statement")
    statement.fill("SELECT country, count(*) AS minutes FROM orders_by_minute GROUP BY country ORDER BY country")
    statement.press("Control+Enter")
    expect(page.get_by_role("region", name="Result").locator("tbody tr")).to_have_count(5, timeout=20_000)
    table = page.locator("details").filter(has=page.get_by_text("orders_by_minute", exact=True))
    table.locator("summary").click()
    expect(table.get_by_text("sum of total amounts, USD")).to_be_visible()


def test_from_a_segment_to_one_customer(opened: Opened) -> None:
    page = opened("/explorer/customers")
    page.get_by_role("link", name="Champions").click()
    members = page.locator("#members tbody tr")
    expect(members).to_have_count(24)
    members.first.get_by_role("link").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Customer u")
    expect(page.get_by_text("@example.com")).to_be_visible()


@pytest.mark.parametrize(("words", "count"), [("tents", 6), ("amber", 14)])
def test_products_are_found_by_name(opened: Opened, words: str, count: int) -> None:
    page = opened("/explorer/products")
    page.get_by_label("Name or id", exact=True).fill(words)
    page.keyboard.press("Enter")
    expect(page.get_by_role("table").locator("tbody tr")).to_have_count(count)


def test_lists_are_turned_by_pages(opened: Opened) -> None:
    page = opened("/explorer/inventory")
    page.get_by_role("link", name="Next").click()
    expect(page.get_by_text("51 to 84")).to_be_visible()
    page.get_by_label("Status", exact=True).select_option("out")
    page.get_by_role("button", name="Show").click()
    _all_say(page, "Out")


def _all_say(page: Page, word: str) -> None:
    tags = page.locator("section", has_text="Products").locator("tbody .tag")
    assert set(tags.all_inner_texts()) == {word}


def test_pages_can_be_used_without_scripts(chromium, server, cookies) -> None:  # type: ignore[no-untyped-def]
    context = chromium.new_context(java_script_enabled=False)
    context.add_cookies(cookies)
    page = context.new_page()
    page.goto(f"{server}/explorer")
    assert "$" in page.locator(".figure .value").first.inner_text()
    page.goto(f"{server}/explorer/explore?measure=revenue&by=country")
    assert page.get_by_role("region", name="Rows").locator("tbody tr").count() == 5
    context.close()
