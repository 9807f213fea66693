"""Every chart: what it draws of which rows, in both themes, and what it does without rows."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
import vl_convert

from api.explorer import charts
from api.explorer.charts import DARK, LIGHT, ChartError, ChartType, Figure, Rows, Theme

DAY = date(2026, 3, 1)
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
TREND = [
    {"period_start": DAY, "revenue": Decimal("10.10"), "revenue_average_7_days": None, "revenue_forecast": None,
     "revenue_forecast_low": None, "revenue_forecast_high": None},
    {"period_start": DAY + timedelta(1), "revenue": Decimal("0.00"), "revenue_average_7_days": Decimal("5.05"), "revenue_forecast": None,
     "revenue_forecast_low": None, "revenue_forecast_high": None},
    {"period_start": DAY + timedelta(2), "revenue": None, "revenue_average_7_days": None, "revenue_forecast": Decimal("9.00"),
     "revenue_forecast_low": Decimal("7.00"), "revenue_forecast_high": Decimal("11.50")},
]  # fmt: skip
CATEGORIES = [{"category": "books", "revenue": Decimal("1.50")}, {"category": "toys", "revenue": Decimal("1200.00")}]
COUNTRIES = [{"country": "GB", "revenue": Decimal("3.00")}, {"country": "US", "revenue": Decimal("1234.50")}]
PRODUCTS = [{"product_id": "p1", "name": "Lamp", "category": "home", "revenue": Decimal("5.00"), "unit_count": 2}]
SEGMENTS = [{"segment": "champions", "customer_count": 12}, {"segment": "lost", "customer_count": 30}]
STOCK = [{"product_id": "p1", "level": -3, "status": "out"}, {"product_id": "p2", "level": 40, "status": "ok"}]
FUNNEL = [
    {"session_count": 100, "view_session_count": 90, "cart_session_count": 30, "order_session_count": 9,
     "view_to_cart_rate": 0.3, "cart_to_order_rate": None, "conversion_rate": 0.09}
]  # fmt: skip
COHORTS = [
    {"cohort_month": date(2026, 2, 1), "month_number": 0, "retention_rate": 1.0, "is_complete": True},
    {"cohort_month": date(2026, 2, 1), "month_number": 1, "retention_rate": 0.25, "is_complete": False},
]
RATES = [
    {"second": NOON, "topic": "users", "record_count": 7},
    {"second": NOON, "topic": "products", "record_count": 4},
]
ANOMALIES = [{"event_at": NOON, "detector": "view_bot", "score": 0.9, "explanation": "300 views in a minute"}]
COUNTS = [{"hour": NOON, "detector": "view_bot", "anomaly_count": 2}]
BY_TWO = [{"category": "books", "country": "US", "revenue": Decimal("2.00")}]

Draw = Callable[..., Figure]
KINDS: dict[str, tuple[Draw, list[dict[str, Any]], set[str]]] = {
    "trend": (charts.revenue_over_time, TREND, {"area", "line"}),
    "categories": (charts.sales_by_category, CATEGORIES, {"bar", "text"}),
    "map": (charts.sales_map, COUNTRIES, {"geoshape", "circle", "text"}),
    "products": (charts.top_products, PRODUCTS, {"bar", "text"}),
    "segments": (charts.segments, SEGMENTS, {"bar", "text"}),
    "stock": (charts.stock_levels, STOCK, {"bar", "text"}),
    "funnel": (charts.funnel, FUNNEL, {"bar", "text"}),
    "cohorts": (charts.cohorts, COHORTS, {"rect", "text"}),
    "rates": (charts.ingestion_rates, RATES, {"area"}),
    "anomalies": (charts.anomalies, ANOMALIES, {"circle"}),
    "anomaly counts": (charts.anomaly_counts, COUNTS, {"bar"}),
    "explore": (
        lambda rows, theme=LIGHT: charts.explore(rows, "revenue", ["category", "country"], ChartType.heat_map, theme),
        BY_TWO,
        {"rect", "text"},
    ),
}


def spec(figure: Figure) -> dict[str, Any]:
    """The specification, which Altair checks against Vega-Lite's schema."""
    found: dict[str, Any] = figure.to_dict()
    return found


def marks(found: dict[str, Any]) -> set[str]:
    return {one["mark"]["type"] for one in found.get("layer", [found])}


def rows(figure: Figure) -> list[dict[str, Any]]:
    """The rows of all its data sets."""
    return [row for one in spec(figure)["datasets"].values() for row in one]


@pytest.mark.parametrize("kind", KINDS)
def test_a_chart_has_its_marks_a_title_words_for_screen_readers_and_the_width_of_its_place(kind: str) -> None:
    draw, given, expected = KINDS[kind]

    found = spec(draw(given))

    assert marks(found) == expected
    assert found["width"] == "container"
    assert found["title"]["text"]
    assert found["description"].startswith(found["title"]["text"])
    assert len(found["description"]) > len(found["title"]["text"]) + 20


@pytest.mark.parametrize("kind", KINDS)
def test_themes_differ_in_nothing_but_the_config(kind: str) -> None:
    draw, given, _ = KINDS[kind]

    light, dark = spec(draw(given, theme=LIGHT)), spec(draw(given, theme=DARK))

    assert light.pop("config")["background"] == "#ffffff"
    assert dark.pop("config")["background"] == DARK.surface
    assert light == dark


@pytest.mark.parametrize("kind", KINDS)
def test_vega_draws_it(kind: str) -> None:
    draw, given, _ = KINDS[kind]
    whole = spec(draw(given)) | {"width": 600}

    picture = vl_convert.vegalite_to_svg(whole)

    assert picture.count("<path") > 1
    assert "NaN" not in picture
    assert "undefined" not in picture


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("empty", ["frame", "arrow", "list"])
def test_without_rows_it_says_so(kind: str, empty: str) -> None:
    draw, given, _ = KINDS[kind]
    columns = list(given[0])
    nothing: dict[str, Rows] = {
        "frame": pd.DataFrame(columns=columns),
        "arrow": pa.table({name: pa.array([], pa.string()) for name in columns}),
        "list": [],
    }

    found = spec(draw(nothing[empty]))

    assert marks(found) == {"text"}
    (words,) = next(iter(found["datasets"].values()))
    assert words["message"] in found["description"]


@pytest.mark.parametrize("kind", KINDS)
def test_pandas_arrow_and_rows_give_the_same_chart(kind: str) -> None:
    draw, given, _ = KINDS[kind]

    figures = [spec(draw(one)) for one in (given, pd.DataFrame(given), pa.Table.from_pylist(given))]

    assert figures[0] == figures[1] == figures[2]


@pytest.mark.parametrize("theme", [LIGHT, DARK], ids=lambda theme: theme.name)
def test_a_missing_column_is_named(theme: Theme) -> None:
    with pytest.raises(ChartError, match="needs the column revenue; the rows have category"):
        charts.sales_by_category([{"category": "books"}], theme)


def test_the_trend_keeps_what_was_and_what_is_to_come_apart() -> None:
    found = rows(charts.revenue_over_time(TREND))

    days = {"Revenue": ["2026-03-01", "2026-03-02"], "7-day average": ["2026-03-02"], "Forecast": ["2026-03-03"]}
    assert {name: sorted({row["period_start"] for row in found if row["series"] == name}) for name in days} == days
    (future,) = [row for row in found if row["series"] == "Forecast" and list(row)[2] == "revenue_forecast"]
    assert (future["revenue_forecast_low"], future["revenue_forecast"], future["revenue_forecast_high"]) == (
        7.0,
        9.0,
        11.5,
    )


def test_bars_stand_in_order_of_value_with_the_value_in_words() -> None:
    found = spec(charts.sales_by_category(CATEGORIES))

    drawn = [(row["category"], row["revenue"], row["label"]) for row in rows(charts.sales_by_category(CATEGORIES))]
    assert drawn == [("toys", 1200.0, "$1.2k"), ("books", 1.5, "$1.5")]
    assert "Largest: toys, $1,200.00. Smallest: books, $1.50." in found["description"]
    assert found["layer"][0]["encoding"]["x"]["axis"]["title"] == "Revenue (USD)"


def test_the_map_has_a_circle_of_the_value_on_each_country_and_an_outline_of_all_five() -> None:
    found = spec(charts.sales_map(COUNTRIES))

    circles = next(one for one in found["layer"] if one["mark"]["type"] == "circle")
    drawn = found["datasets"][circles["data"]["name"]]
    assert [(row["country"], row["revenue"], row["label"]) for row in drawn] == [
        ("US", 1234.5, "United States $1.2k"),
        ("GB", 3.0, "United Kingdom $3"),
    ]
    outlines = [row["id"] for one in found["datasets"].values() for row in one if row.get("type") == "Feature"]
    assert sorted(outlines) == ["BR", "DE", "GB", "IN", "US"]


def test_the_map_refuses_a_country_that_it_does_not_know() -> None:
    with pytest.raises(ChartError, match="no country all"):
        charts.sales_map([{"country": "all", "revenue": 1}])


def test_stock_tells_its_status_in_words_too() -> None:
    assert [row["label"] for row in rows(charts.stock_levels(STOCK))] == ["40 · ok", "-3 · out"]


def test_the_funnel_writes_the_rates_it_was_given_and_makes_none() -> None:
    labels = [row["label"] for row in rows(charts.funnel(FUNNEL))]

    assert labels == ["100", "90", "30 · 30.0%", "9"]


def test_a_funnel_of_several_rows_is_refused() -> None:
    with pytest.raises(ChartError, match="one row, not from 2"):
        charts.funnel(FUNNEL * 2)


def test_a_time_without_a_zone_is_utc() -> None:
    bare = [{**row, "event_at": NOON.replace(tzinfo=None)} for row in ANOMALIES]

    assert rows(charts.anomalies(bare))[0]["event_at"] == "2026-03-01T12:00:00.000Z"
    assert spec(charts.anomalies(bare)) == spec(charts.anomalies(ANOMALIES))


def test_bars_may_stand_in_the_order_that_they_were_given_in() -> None:
    assert [row["category"] for row in rows(charts.bars(CATEGORIES, "category", "revenue", as_given=True))] == [
        "books",
        "toys",
    ]
