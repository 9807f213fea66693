"""Each panel's query on the real mirror, by the role that Grafana has: it runs, has rows in the shape that its panel wants, and the right figures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Any

import dashboard_rows as shop
import orjson
import psycopg
import pytest
from dashboard_rows import DAY, END, START
from fastapi.testclient import TestClient
from grafana_sql import ALL, Period, expand
from mirror_rows import append, empty, row
from pydantic import SecretStr

from api.app import create_app
from api.mirror.follow import Mirror
from api.mirror.plan import mirrored
from api.refresher import Refresher
from infra.credentials import dashboards_file, read_pairs
from infra.dashboards.build import as_json, mirror_boards
from lakehouse.settings import Settings
from lakehouse.tables import BY_PATH, CUSTOMER_RFM

pytestmark = pytest.mark.integration

BOARDS = {board.uid: orjson.loads(as_json(board.build("http://shop"))) for board in mirror_boards()}
PANELS = [(uid, panel["title"]) for uid, board in BOARDS.items() for panel in board["panels"] if panel["type"] != "row"]
DAY_OF_DATA = Period(START, END)
CHOSEN = {"country": ["US", "DE"], "category": ["Men's Shoes", "Coffee"], "topic": ["transactions"], "interval": "1h"}
EVERYTHING: dict[str, Any] = {"country": ALL, "category": ALL, "topic": ALL, "interval": "1h"}


@pytest.fixture(scope="module")
def settings(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    """A lake on files with the two days of `dashboard_rows`, and the mirror of it in the stack's PostgreSQL."""
    stack("postgres")
    place = {"lake_uri": (tmp_path_factory.mktemp("dashboards") / "lake").as_uri()}
    made: Settings = stack.settings("serving").model_copy(update=place)
    empty(made)
    shop.fill(made)
    for table in BY_PATH.values():  # a table without rows is a table too
        if table.layer == "gold" and table.path not in {one.table.path for one in _filled()}:
            append(made, table, [row(table, 1, DAY)])
    mirror = Mirror(made, mirrored(made))
    mirror.refresh()
    assert mirror.problems == {}
    yield made
    empty(made)


def _filled() -> list[Any]:
    names = {"sales_by_minute", "orders_by_minute", "ingestion_rates", "sessions", "carts", "anomalies", "alerts"}
    names |= {"finality", "inventory_levels"} | {table.name for table, _ in shop.marts()}
    return [one for one in mirrored(Settings(_env_file=None)) if one.table.name in names]


@pytest.fixture(scope="module")
def grafana(settings: Settings) -> Iterator[psycopg.Connection[Any]]:
    """A connection as Grafana has it: its role, and none of its own settings."""
    url = read_pairs(dashboards_file(settings))["GLOBALMART_MIRROR_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def panel_of(uid: str, title: str) -> dict[str, Any]:
    (found,) = [panel for panel in BOARDS[uid]["panels"] if panel["title"] == title]
    return dict(found)


def ask(
    grafana: psycopg.Connection[Any],
    uid: str,
    title: str,
    period: Period = DAY_OF_DATA,
    chosen: Mapping[str, Any] = EVERYTHING,
) -> tuple[list[psycopg.Column], list[tuple[Any, ...]]]:
    (target,) = panel_of(uid, title)["targets"]
    sql = expand(target["rawSql"], period, BOARDS[uid]["templating"]["list"], chosen)
    cursor = grafana.execute(sql.encode())
    assert cursor.description
    return list(cursor.description), cursor.fetchall()


def one(grafana: psycopg.Connection[Any], uid: str, title: str, *arguments: Any) -> dict[str, Any]:
    columns, (found,) = ask(grafana, uid, title, *arguments)
    return {column.name: value for column, value in zip(columns, found, strict=True)}


def table(grafana: psycopg.Connection[Any], uid: str, title: str, *arguments: Any) -> list[tuple[Any, ...]]:
    return ask(grafana, uid, title, *arguments)[1]


_NUMBERS = {20, 21, 23, 700, 701, 1700}  # types that Grafana draws


@pytest.mark.parametrize(("uid", "title"), PANELS)
def test_each_panel_has_rows_in_the_shape_that_it_wants(grafana: psycopg.Connection[Any], uid: str, title: str) -> None:
    columns, rows = ask(grafana, uid, title)
    assert rows
    kind, types = panel_of(uid, title)["type"], [column.type_code for column in columns]
    if kind == "stat":
        assert len(rows) == 1
        assert set(types) <= _NUMBERS
        assert all(value is not None for value in rows[0])
    elif kind == "timeseries":
        assert [column.name for column in columns] == ["time", "metric", "value"]
        assert types[2] in _NUMBERS
        assert [found[:2] for found in rows] == sorted(found[:2] for found in rows)
        assert len({found[:2] for found in rows}) == len(rows)
    elif kind == "barchart":
        assert types[0] == psycopg.adapters.types["text"].oid
        assert set(types[1:]) <= _NUMBERS
    elif kind == "geomap":
        assert {found[0] for found in rows} == set(shop.COUNTRIES)
    else:
        assert kind == "table"


@pytest.mark.parametrize(("uid", "title"), PANELS)
def test_each_panel_takes_a_choice_and_a_period_without_anything(
    grafana: psycopg.Connection[Any], uid: str, title: str
) -> None:
    assert ask(grafana, uid, title, DAY_OF_DATA, CHOSEN)[1], "rows of the choice"
    long_ago = Period(START - timedelta(days=400), START - timedelta(days=399))
    rows = table(grafana, uid, title, long_ago, CHOSEN)
    assert len(rows) == 1 if panel_of(uid, title)["type"] == "stat" else True
    nobody = EVERYTHING | {"category": ["'; DROP TABLE sales_by_minute; --"], "country": ["'"], "topic": [""]}
    table(grafana, uid, title, DAY_OF_DATA, nobody)


def of_day(rows: Iterator[dict[str, Any]], column: str, start: datetime = START) -> list[dict[str, Any]]:
    return [found for found in rows if start <= found[column] < start + timedelta(days=1)]


@pytest.fixture(scope="module")
def client(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """The API on the same gold, with a key of the test's own and without PostgreSQL."""
    own = {
        "state_dir": tmp_path_factory.mktemp("serving"),
        "postgres_url": SecretStr(""),
        "api_key_sha256": hashlib.sha256(b"a-key-only-for-tests").hexdigest(),
    }
    serving = settings.model_copy(update=own)
    assert Refresher(serving).refresh()
    with TestClient(create_app(serving), headers={"X-API-Key": "a-key-only-for-tests"}) as made:
        yield made


WINDOW = {"from": "2026-03-14T00:00:00Z", "to": "2026-03-15T00:00:00Z"}


def said(client: TestClient, route: str, **parameters: Any) -> list[dict[str, Any]]:
    answer = client.get(route, params=WINDOW | {"limit": 5000} | parameters)
    assert answer.status_code == 200, answer.text
    body = orjson.loads(answer.content)
    assert body["next_cursor"] is None
    return list(body["data"])


def test_sales_and_orders_are_the_apis_to_the_cent(grafana: psycopg.Connection[Any], client: TestClient) -> None:
    executive, sales = "globalmart-executive", "globalmart-sales"
    (day,) = said(client, "/v1/orders", interval="day", group_by="none")
    shown = one(grafana, sales, "Revenue and orders")
    assert shown["Orders"] == day["order_count"] == one(grafana, executive, "Orders")["Orders"]
    assert float(shown["Revenue"]) == day["revenue"]
    assert float(shown["Average order value"]) == day["average_order_value"]
    (sold,) = said(client, "/v1/sales", interval="day", group_by="none")
    assert float(one(grafana, executive, "Revenue")["Revenue"]) == sold["revenue"]
    assert one(grafana, executive, "Units sold")["Units"] == sold["unit_count"]
    by_hour = said(client, "/v1/sales", interval="hour", group_by="country")
    expected = [(datetime.fromisoformat(x["period_start_at"]).timestamp(), x["country"], x["revenue"]) for x in by_hour]
    found = [(float(at), country, float(value)) for at, country, value in table(grafana, sales, "Revenue")]
    assert found == expected
    chosen = said(
        client, "/v1/sales", interval="day", group_by="none", country=["US", "DE"], category=CHOSEN["category"]
    )
    some = one(grafana, executive, "Revenue", DAY_OF_DATA, CHOSEN)
    assert float(some["Revenue"]) == chosen[0]["revenue"]
    categories = said(client, "/v1/sales", interval="day", group_by="category")
    shown_by = {
        name: (float(revenue), units) for name, revenue, units, _ in table(grafana, executive, "Category performance")
    }
    assert shown_by == {x["category"]: (x["revenue"], x["unit_count"]) for x in categories}


def test_customers_and_segments_are_the_apis(grafana: psycopg.Connection[Any], client: TestClient) -> None:
    answer = client.get("/v1/rfm/segments")
    assert answer.status_code == 200, answer.text
    api = orjson.loads(answer.content)["data"]
    rows = table(grafana, "globalmart-customers", "Segments")
    shown = {name: (count, float(spent), float(each)) for name, count, _, spent, each, *_ in rows}
    assert shown == {x["segment"]: (x["customer_count"], x["monetary"], x["mean_monetary"]) for x in api}
    means = {name: (round(orders, 2), round(days, 2)) for name, *_, orders, days in rows}
    assert means == {x["segment"]: (x["mean_frequency"], x["mean_recency_days"]) for x in api}
    assert {name: count for name, (count, _, _) in shown.items()} == {"champions": 4, "lost": 3}
    who = one(grafana, "globalmart-customers", "Customers")
    spent = sum((shop.money(10_001 * (n + 1)) for n in range(7)), Decimal())
    assert (who["Customers"], who["Spent"]) == (7, spent)
    assert who["Per customer"] == (spent / 7).quantize(Decimal("0.01"), ROUND_HALF_UP)


def test_change_is_against_the_period_before_and_missing_where_the_mirror_lacks_it(
    grafana: psycopg.Connection[Any],
) -> None:
    now = sum(found["revenue"] for found in of_day(shop.sales(), "minute"))
    before = sum(found["revenue"] for found in of_day(shop.sales(), "minute", START - timedelta(days=1)))
    shown = one(grafana, "globalmart-executive", "Revenue")
    assert shown["Revenue"] == now
    assert shown["Change"] == pytest.approx(float(now / before) - 1)
    long = Period(START - timedelta(days=5), END)  # the mirror has seven days, and the six before begin earlier
    for title in ("Revenue", "Orders", "Average order value", "Units sold", "Conversion"):
        assert one(grafana, "globalmart-executive", title, long)["Change"] is None, title


def test_late_events_restate_an_hour_and_later_hours_are_provisional(grafana: psycopg.Connection[Any]) -> None:
    found = table(grafana, "globalmart-sales", "Hours: provisional, final or restated")
    hours = {at.astimezone(UTC).hour: (count, revenue, status) for at, count, revenue, status, *_ in found}
    assert {hour: status for hour, (_, _, status) in hours.items()} == {
        hour: "provisional" if hour >= 20 else "restated" if hour == 12 else "final" for hour in range(24)
    }
    noon = [x for x in of_day(shop.orders(), "minute") if x["minute"].hour == 12]
    assert hours[12][:2] == (sum(x["order_count"] for x in noon), sum(x["revenue"] for x in noon))


def test_conversion_and_carts_are_as_defined(grafana: psycopg.Connection[Any]) -> None:
    visits = of_day(shop.sessions(), "started_at")
    expected = sum(x["is_converted"] for x in visits) / len(visits)
    assert one(grafana, "globalmart-sales", "Conversion")["Conversion"] == expected
    assert one(grafana, "globalmart-executive", "Conversion")["Conversion"] == expected
    carts = [x for x in of_day(shop.carts(), "opened_at") if x["unit_count"] > 0]
    left = [x for x in carts if x["status"] in {"abandoned", "recovered"}]
    won = sum(x["status"] == "recovered" for x in left) / len(left)
    assert one(grafana, "globalmart-sales", "Carts won back")["Won back"] == won
    at_risk = sum(x["amount"] for x in left if x["status"] == "abandoned")
    assert one(grafana, "globalmart-executive", "At risk in abandoned carts")["At risk"] == at_risk
    assert sum(found[-1] for found in table(grafana, "globalmart-sales", "Carts")) == at_risk


def test_ingestion_adds_up_and_rates_are_of_the_time_that_lies_in_the_period(grafana: psycopg.Connection[Any]) -> None:
    uid, half = "globalmart-ingestion", Period(START + timedelta(minutes=30), START + timedelta(hours=2))
    assert one(grafana, uid, "Records")["Records"] == 1_200
    assert one(grafana, uid, "Quarantined")["Share"] == one(grafana, uid, "Duplicates")["Share"] == 0.1
    assert one(grafana, uid, "Late")["Share"] == 0.125
    for _, records, accepted, quarantined, duplicates, late in table(grafana, uid, "Topics"):
        assert (records, accepted, quarantined, duplicates, late) == (600, 480, 60, 60, 60)
    reasons = dict(table(grafana, uid, "Why records are quarantined"))
    assert reasons == {"transaction.total_amount": 120, "user.email": 120}
    rates = table(grafana, uid, "Records by topic", half)
    first = [value for at, _, value in rates if at == START.timestamp()]
    assert first == [pytest.approx(300 / 1800)] * 2  # half an hour of the step, not the whole of it
    outcomes = table(grafana, uid, "What became of them", DAY_OF_DATA)
    shown = {name: value for _, name, value in outcomes}
    assert shown == pytest.approx({"accepted": 960 / 3600, "quarantined": 120 / 3600, "duplicate": 120 / 3600})


def test_what_was_retracted_is_not_shown(grafana: psycopg.Connection[Any]) -> None:
    titles = [found[3] for found in table(grafana, "globalmart-executive", "Alerts")]
    assert titles == ["Alert 3", "Alert 1", "Alert 0"]
    assert sum(value for _, _, value in table(grafana, "globalmart-sales", "Anomalies by detector")) == 5
    assert len(table(grafana, "globalmart-sales", "Newest anomalies")) == 5


def test_rows_over_all_are_not_added_to_what_they_are_made_of(grafana: psycopg.Connection[Any]) -> None:
    month = table(grafana, "globalmart-customers", "Who comes back")[0]
    assert month[:5] == ("2026-02", 30, 1.0, 0.5, pytest.approx(9 / 30))
    spent = table(grafana, "globalmart-customers", "What a cohort has spent")[0]
    assert spent == ("2026-02", 30, Decimal("90.00"), Decimal("3.00"))
    steps = {
        name: value
        for at, name, value in table(grafana, "globalmart-customers", "From looking to buying")
        if at == START
    }
    assert steps == {"1 all": 300, "2 viewed": 270, "3 cart": 150, "4 ordered": 75}
    chosen = table(grafana, "globalmart-customers", "Conversion by day", DAY_OF_DATA, CHOSEN)
    assert {(country, value) for _, country, value in chosen} == {("US", 0.25), ("DE", 0.25)}
    days = table(grafana, "globalmart-executive", "Revenue by day, with forecast")
    assert len(days) == 42 + 14
    assert [found[1] for found in days if found[1] is not None][-1] == shop.money(6_000)


def test_products_have_their_names_of_today_and_stock_its_states(grafana: psycopg.Connection[Any]) -> None:
    best = table(grafana, "globalmart-products", "Best sellers")
    assert [found[0] for found in best] == ["New P4", "New P3", "New P2", "New P1"]
    assert [found[0] for found in table(grafana, "globalmart-executive", "Top products")] == [
        found[0] for found in best
    ]
    stock = one(grafana, "globalmart-products", "Stock")
    assert stock == {"Products": 4, "Low": 1, "Out": 1, "Oversold units": 0}
    assert [found[0] for found in table(grafana, "globalmart-products", "Low or out of stock")] == ["New P3", "New P2"]
    assert one(grafana, "globalmart-products", "Lost for want of stock")["Lost"] == shop.money(750)
    assert one(grafana, "globalmart-products", "Price realised")["Price realised"] == pytest.approx(0.5)
    (pair,) = table(grafana, "globalmart-products", "Bought together")
    assert pair[:3] == ("New P1", "New P3", 6)


def test_the_category_variable_has_the_categories_of_the_catalogue(grafana: psycopg.Connection[Any]) -> None:
    (variable,) = [x for x in BOARDS["globalmart-products"]["templating"]["list"] if x["name"] == "category"]
    assert grafana.execute(variable["query"].encode()).fetchall() == [("Coffee",), ("Men's Shoes",)]


def test_nothing_can_be_written_through_the_data_source(grafana: psycopg.Connection[Any]) -> None:
    for statement in ("DELETE FROM sales_by_minute", "CREATE TABLE mine (n int)", "UPDATE versions SET row_count = 0"):
        with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.ReadOnlySqlTransaction)):
            grafana.execute(statement.encode())


def test_customers_in_the_mirror_are_of_one_day(
    grafana: psycopg.Connection[Any], settings: Settings, tmp_path: Path
) -> None:
    """The panels on `customer_rfm` name no day, because the mirror has the newest only."""
    (plan,) = [one for one in mirrored(settings) if one.table is CUSTOMER_RFM]
    assert plan.days == 1
    assert grafana.execute("SELECT count(DISTINCT as_of_date) FROM customer_rfm").fetchall() == [(1,)]
