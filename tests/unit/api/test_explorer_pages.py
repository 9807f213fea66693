"""The explorer's pages through the application: figures as the API has them, gaps said, rights obeyed, nothing a browser must not run."""

from __future__ import annotations

import io
import re
from html.parser import HTMLParser

import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from api.access import Access, Role
from api.deps import declared
from api.explorer.assets import address
from api.explorer.view import NAVIGATION
from api.refresher import Refresher
from lakehouse.tables import SALES_BY_MINUTE

from .conftest import Lake, at, sale

PAGES = [path for _, entries in NAVIGATION for path, _ in entries]
OF_ALL = {"/explorer/products", "/explorer/inventory", "/explorer/quality", "/explorer/books", "/explorer/health"}


class Seen(HTMLParser):
    """Ids, headings, scripts and what of it a strict policy would refuse."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.h1 = 0
        self.refused: list[str] = []
        self.fields: set[str] = set()
        self.labelled: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.h1 += tag == "h1"
        if given.get("id"):
            self.ids.append(given["id"] or "")
        if tag == "script" and "src" not in given and given.get("type") != "application/json":
            self.refused.append("inline script")
        if tag == "style" or "style" in given:
            self.refused.append(f"inline style on {tag}")
        self.refused += [name for name in given if name.startswith("on")]
        address = given.get("src") or (given.get("href") if tag == "link" else None) or "/"
        if not address.startswith("/"):
            self.refused.append(address)
        if tag in {"input", "select", "textarea"} and given.get("type") not in {"hidden", "checkbox"}:
            self.fields.add(given.get("id") or "")
            if given.get("aria-labelledby"):
                self.labelled.add(given.get("id") or "")
        if tag == "label" and given.get("for"):
            self.labelled.add(given["for"] or "")


def as_key(client: TestClient, access: Access) -> None:
    """Let the key of the tests have the rights of `access`."""
    client.app.state.keeper.find = _found(access)  # type: ignore[attr-defined]


def _found(access: Access):  # type: ignore[no-untyped-def]
    async def find(_key: str) -> Access:
        return access

    return find


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_whole_and_runs_nothing_inline(filled: TestClient, path: str) -> None:
    response = filled.get(path)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    policy = response.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "script-src 'self';" in policy
    assert "no-store" in response.headers["cache-control"]
    seen = Seen(response.text)
    assert seen.refused == []
    assert seen.h1 == 1
    assert len(seen.ids) == len(set(seen.ids))
    assert seen.fields <= seen.labelled
    assert response.text.count('aria-current="page"') == 1
    assert "None" not in re.sub(r"<script.*?</script>", "", response.text, flags=re.S)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_of_an_empty_lake_says_what_is_missing(client: TestClient, refresher: Refresher, path: str) -> None:
    refresher.refresh()
    client.app.state.serving.look()  # type: ignore[attr-defined]
    response = client.get(path)
    assert response.status_code == 200, response.text
    assert re.search(r"not been made yet|No table yet|desk is away|Nothing judged|has never run", response.text)


@pytest.mark.parametrize("path", [*PAGES[:2], *PAGES[4:7]])
def test_before_the_first_serving_file_a_page_says_so(client: TestClient, path: str) -> None:
    response = client.get(path)
    assert response.status_code == 503
    assert "no serving file yet" in response.text
    assert "<h1>" in response.text


def test_the_dashboard_has_the_api_s_figures(filled: TestClient) -> None:
    page = filled.get("/explorer?period=24h").text
    orders = filled.get("/v1/orders?group_by=none&interval=day").json()["data"]
    assert f"${sum(row['revenue'] for row in orders):,.2f}" in page
    by_country = filled.get("/v1/sales?group_by=country&interval=day").json()["data"]
    for row in by_country:
        assert f"${row['revenue']:,.2f}" in page


def test_an_explored_answer_is_the_api_s_and_can_be_taken_along(filled: TestClient) -> None:
    question = "measure=revenue&by=country&split=category&from=2026-03-14&to=2026-03-14"
    expected = {
        (row["country"], row["category"]): row["revenue"]
        for row in filled.get("/v1/sales?interval=day&from=2026-03-14T00:00:00Z").json()["data"]
    }
    page = filled.get(f"/explorer/explore?{question}")
    assert page.status_code == 200
    table = pacsv.read_csv(io.BytesIO(filled.get(f"/explorer/explore/download?{question}&format=csv").content))
    assert {(r["country"], r["category"]): r["revenue"] for r in table.to_pylist()} == expected
    response = filled.get(f"/explorer/explore/download?{question}&format=parquet")
    assert "attachment" in response.headers["content-disposition"]
    exact = pq.read_table(io.BytesIO(response.content))
    assert str(exact.schema.field("revenue").type).startswith("decimal128")
    assert {(r["country"], r["category"]): float(r["revenue"]) for r in exact.to_pylist()} == expected


def test_a_shared_link_shows_the_same_whatever_came_later(filled: TestClient, lake: Lake, refresher: Refresher) -> None:
    page = filled.get("/explorer/explore?measure=revenue&by=country").text
    link = re.search(r'href="(/explorer/explore\?[^"]*pin=[^"]*)"', page)
    assert link is not None
    pinned = link[1].replace("&amp;", "&")
    lake.write(SALES_BY_MINUTE, [sale(at(9, 30), "US", "Coffee", 9, 9, "900.00", 3)])
    assert refresher.refresh()
    filled.app.state.serving.look()  # type: ignore[attr-defined]
    assert "$1,117.09" in filled.get("/explorer/explore?measure=revenue&by=country").text
    again = filled.get(pinned)
    assert again.status_code == 200
    assert "$217.09" in again.text
    assert "$1,117.09" not in again.text
    assert "pinned" in again.text


@pytest.mark.parametrize(
    "query",
    [
        "measure=nothing", "by=user_id", "chart=pie", "from=yesterday", "from=0001-01-01", "to=9999-12-31", "start=2026-03-14T00:00:00",
        "country=XX", "interval=second", "category=" + "x" * 101,
    ],
)  # fmt: skip
def test_a_question_that_cannot_be_asked_is_named(filled: TestClient, query: str) -> None:
    response = filled.get(f"/explorer/explore?{query}")
    assert response.status_code == 422
    assert "This address cannot be used" in response.text


@pytest.mark.parametrize(
    "text", ["' OR 1=1--", "<script>alert(1)</script>", "../../etc/passwd", "%00", "İ💥", "a" * 99]
)
def test_what_is_asked_for_stays_literal(filled: TestClient, text: str) -> None:
    for path, name in (
        ("/explorer/explore", "category"),
        ("/explorer/products", "find"),
        ("/explorer/customers", "segment"),
    ):
        response = filled.get(path, params={name: text[:50]})
        assert response.status_code == 200, (path, text)
        assert "<script>alert" not in response.text
        assert Seen(response.text).refused == []


def test_days_in_the_wrong_order_are_said_to_be(filled: TestClient) -> None:
    page = filled.get("/explorer/explore?from=2026-03-15&to=2026-03-13")
    assert "The first day lies after the last one" in page.text
    assert filled.get("/explorer/explore/download?from=2026-03-15&to=2026-03-13").status_code == 422


def test_a_forged_pin_is_refused(filled: TestClient) -> None:
    response = filled.get("/explorer/explore?measure=revenue&by=time&pin=AAAA")
    assert response.status_code == 400
    assert "not made by this API" in response.text


@pytest.mark.parametrize("path", PAGES)
def test_a_key_of_one_country_sees_nothing_of_another(filled: TestClient, path: str) -> None:
    as_key(filled, Access("k", "de", Role.operator, countries=frozenset({"DE"})))
    response = filled.get(path)
    if path in OF_ALL:
        assert response.status_code == 403
        return
    assert response.status_code == 200
    shown = re.sub(r'<option value="US".*?</option>', "", response.text)
    for foreign in ("217.09", "$4.10", "United States", "Beans"):
        assert foreign not in shown


def test_the_dashboard_of_one_country_has_its_figures(filled: TestClient) -> None:
    as_key(filled, Access("k", "de", Role.viewer, countries=frozenset({"DE"})))
    page = filled.get("/explorer?period=24h").text
    assert "$8.00" in page
    assert "You see Germany only" in page


def test_a_viewer_may_not_ask_in_sql(filled: TestClient) -> None:
    as_key(filled, Access("k", "eve", Role.viewer))
    response = filled.get("/explorer/sql?sql=SELECT+1")
    assert response.status_code == 403
    assert "role analyst" in response.text


def test_customers_are_pseudonyms_without_the_grant(filled: TestClient) -> None:
    as_key(filled, Access("k", "ben", Role.viewer))
    page = filled.get("/explorer/customers").text
    names = re.findall(r'href="/explorer/customers/([^"?]+)"', page)
    assert names
    assert all(name.startswith("p_") for name in names)
    refused = filled.get("/explorer/customers/u1")
    assert refused.status_code == 403
    one = filled.get(f"/explorer/customers/{names[0]}")
    assert one.status_code in (200, 404)
    assert not re.search(r"\bu[123]\b|ada@example.com", one.text + page)


def test_a_profile_shows_neither_age_nor_preferences_without_the_grant(filled: TestClient) -> None:
    seen = filled.get("/explorer/customers/u1").text
    assert "<dd>36</dd>" in seen
    assert "<dt>Likes</dt><dd>Coffee</dd>" in seen
    pseudonym = filled.app.state.pseudonyms.of("u1")  # type: ignore[attr-defined]
    as_key(filled, Access("k", "ben", Role.viewer))
    hidden = filled.get(f"/explorer/customers/{pseudonym}")
    assert hidden.status_code == 200
    assert "<dt>Age</dt>" not in hidden.text
    assert "<dt>Likes</dt>" not in hidden.text


def test_sql_shows_rows_and_gives_files(filled: TestClient) -> None:
    question = {"sql": "SELECT country, sum(revenue) AS revenue FROM sales_by_minute GROUP BY 1 ORDER BY 1"}
    page = filled.get("/explorer/sql", params=question)
    assert page.status_code == 200
    assert "217.09" in page.text
    assert "at=sales_by_minute%3A0" in page.text
    exact = pq.read_table(
        io.BytesIO(filled.get("/explorer/sql/download", params={**question, "format": "parquet"}).content)
    )
    assert [str(value) for value in exact["revenue"].to_pylist()] == ["8.00", "217.09"]
    spread = filled.get("/explorer/sql/download", params={"sql": "SELECT '=1+1' AS formula", "format": "csv"})
    assert spread.text.splitlines()[1] == '"\'=1+1"'


def test_sql_that_is_refused_keeps_the_statement_on_the_page(filled: TestClient) -> None:
    response = filled.get("/explorer/sql", params={"sql": "DROP TABLE sales_by_minute"})
    assert response.status_code == 400
    assert "Only a SELECT can run here" in response.text
    assert "DROP TABLE sales_by_minute" in response.text


def test_files_are_kept_by_browsers_and_known_again(filled: TestClient) -> None:
    for name in ("style.css", "app.js", "vega.js"):
        response = filled.get(address(name), headers={"Accept-Encoding": "identity"})
        assert response.status_code == 200
        assert "immutable" in response.headers["cache-control"]
        again = filled.get(f"/explorer/static/{name}", headers={"If-None-Match": response.headers["etag"]})
        assert again.status_code == 304
    assert filled.get("/explorer/static/nothing.js").status_code == 404
    assert filled.get("/explorer/static/..%2Fview.py").status_code == 404


def test_every_page_says_whom_it_is_for(filled: TestClient) -> None:
    needs = {path: found for path, _, found in declared(filled.app) if path.startswith("/explorer")}  # type: ignore[arg-type]
    changing = [path for path in needs if path.endswith(("/acknowledge", "/snooze", "/resolve"))]
    assert len(changing) == 3
    assert all(max(need.role for need in needs[path]) == Role.operator for path in changing)
    assert all(needs[path] for path in needs if not path.startswith("/explorer/static"))


def test_a_theme_chosen_before_is_there_from_the_first_byte(filled: TestClient) -> None:
    assert '<html lang="en" data-theme="dark">' in filled.get("/explorer", headers={"Cookie": "theme=dark"}).text
    assert '<html lang="en">' in filled.get("/explorer", headers={"Cookie": "theme=x%22onload"}).text
