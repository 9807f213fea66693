"""The chart of the explore page: each shape that may be chosen, and the sentence where it does not fit."""

from __future__ import annotations

from typing import Any

import pytest

from api.explorer.charts import ChartError, ChartType, explore

BY_COUNTRY = [{"country": country, "revenue": amount} for country, amount in (("US", 5.0), ("DE", 7.0))]
BY_DAY = [
    {"date": day, "country": country, "order_count": 3}
    for day in ("2026-03-01", "2026-03-02")
    for country in ("US", "DE")
]


def _marks(found: dict[str, Any]) -> list[str]:
    return [one["mark"]["type"] for one in found.get("layer", [found])]


@pytest.mark.parametrize(
    ("rows", "value", "dimensions", "chart_type", "marks"),
    [
        (BY_COUNTRY, "revenue", ["country"], ChartType.bar, ["bar", "text"]),
        (BY_COUNTRY, "revenue", ["country"], ChartType.map, ["geoshape", "geoshape", "circle", "text", "text", "text"]),
        (BY_DAY, "order_count", ["date", "country"], ChartType.line, ["line"]),
        (BY_DAY, "order_count", ["date", "country"], ChartType.area, ["area"]),
        (BY_DAY, "order_count", ["date", "country"], ChartType.bar, ["bar"]),
        (BY_DAY, "order_count", ["date", "country"], ChartType.heat_map, ["rect", "text"]),
        (BY_DAY[:2], "order_count", ["country", "date"], ChartType.bar, ["bar"]),
    ],
)
def test_the_shape_that_was_asked_for(
    rows: list[dict[str, Any]], value: str, dimensions: list[str], chart_type: ChartType, marks: list[str]
) -> None:
    assert _marks(explore(rows, value, dimensions, chart_type).to_dict()) == marks


def test_bars_over_time_stand_in_the_order_of_time_each_as_wide_as_its_day() -> None:
    x = explore(BY_DAY, "order_count", ["date", "country"], ChartType.bar).to_dict()["encoding"]["x"]

    assert (x["field"], x["type"], x["timeUnit"]) == ("date", "temporal", "utcyearmonthdate")


@pytest.mark.parametrize(
    ("dimensions", "chart_type", "sentence"),
    [
        ([], ChartType.bar, "one or two dimensions, not 0"),
        (["date", "country", "category"], ChartType.bar, "one or two dimensions, not 3"),
        (["country"], ChartType.line, "country is none: choose bars"),
        (["country"], ChartType.heat_map, "needs two dimensions"),
        (["date"], ChartType.map, "choose the dimension country alone"),
    ],
)
def test_a_shape_that_does_not_fit_is_refused_in_a_sentence(
    dimensions: list[str], chart_type: ChartType, sentence: str
) -> None:
    with pytest.raises(ChartError, match=sentence):
        explore(BY_DAY, "order_count", dimensions, chart_type)


def test_more_series_than_colours_are_refused() -> None:
    rows = [{"date": "2026-03-01", "category": f"c{n}", "revenue": 1.0} for n in range(7)]

    with pytest.raises(ChartError, match="7 values of category"):
        explore(rows, "revenue", ["date", "category"], ChartType.line)


def test_more_bars_than_can_be_read_are_refused() -> None:
    rows = [{"category": f"c{n}", "revenue": 1.0} for n in range(51)]

    with pytest.raises(ChartError, match="51 bars"):
        explore(rows, "revenue", ["category"], ChartType.bar)
