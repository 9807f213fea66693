"""`lakehouse.transforms.dimensions`: whole rows of days worth a look, the calendar against DuckDB's, and that nothing is left out."""

from __future__ import annotations

from datetime import date
from typing import Any

import duckdb
import pytest

from lakehouse.contracts import base
from lakehouse.tables import DIM_DATE
from lakehouse.transforms.dimensions import FIRST_DAY, LAST_DAY, countries, dates, payment_methods

CODES = ("us", "gb", "de", "in", "br")


def day(text: str) -> dict[str, Any]:
    (row,) = dates(date.fromisoformat(text), date.fromisoformat(text)).to_pylist()
    return row


def holidays(**names: str) -> dict[str, Any]:
    return {
        name: value
        for code in CODES
        for name, value in ((f"is_holiday_{code}", code in names), (f"holiday_{code}", names.get(code)))
    }


def test_a_leap_day_in_the_first_fiscal_quarter() -> None:
    assert day("2024-02-29") == {
        "date": date(2024, 2, 29),
        "year": 2024,
        "quarter": 1,
        "month": 2,
        "month_name": "February",
        "day_of_month": 29,
        "day_of_year": 60,
        "iso_year": 2024,
        "iso_week": 9,
        "weekday": 4,
        "weekday_name": "Thursday",
        "is_weekend": False,
        "fiscal_year": 2024,
        "fiscal_quarter": 1,
        **holidays(),
    }


def test_new_year_belongs_to_the_week_and_the_fiscal_year_before() -> None:
    assert day("2027-01-01") == {
        "date": date(2027, 1, 1),
        "year": 2027,
        "quarter": 1,
        "month": 1,
        "month_name": "January",
        "day_of_month": 1,
        "day_of_year": 1,
        "iso_year": 2026,
        "iso_week": 53,
        "weekday": 5,
        "weekday_name": "Friday",
        "is_weekend": False,
        "fiscal_year": 2026,
        "fiscal_quarter": 4,
        **holidays(us="New Year's Day", gb="New Year's Day", de="New Year's Day", br="Universal Fraternization Day"),
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2026-11-26", holidays(us="Thanksgiving Day")),
        ("2026-12-28", holidays(gb="Boxing Day (observed)")),  # the 26th is a Saturday
        ("2026-10-03", holidays(de="German Unity Day")),
        ("2026-11-08", holidays(**{"in": "Diwali"})),
        ("2026-09-07", holidays(us="Labor Day", br="Independence Day")),
        ("2026-03-17", holidays()),  # Saint Patrick's Day is a holiday in Northern Ireland alone
    ],
)
def test_holidays_of_a_whole_country_are_named(text: str, expected: dict[str, Any]) -> None:
    assert {name: value for name, value in day(text).items() if "holiday" in name} == expected


def test_every_day_of_the_calendar_is_there_once_and_is_what_duckdb_says() -> None:
    calendar = dates()
    assert calendar.schema.equals(DIM_DATE.schema)
    expected = duckdb.execute(
        """
        SELECT d, year(d), quarter(d), month(d), monthname(d), day(d), dayofyear(d), isoyear(d), week(d), isodow(d), dayname(d),
               isodow(d) > 5, year(d - INTERVAL 1 MONTH), quarter(d - INTERVAL 1 MONTH)
        FROM (SELECT unnest(generate_series($1, $2, INTERVAL 1 DAY))::DATE AS d)
        """,
        [FIRST_DAY, LAST_DAY],
    ).fetchall()
    found = [tuple(row.values())[:14] for row in calendar.to_pylist()]
    assert found == expected


def test_a_holiday_has_a_name_and_every_country_has_some_every_year() -> None:
    rows = dates().to_pylist()
    for code in CODES:
        assert all(row[f"is_holiday_{code}"] == (row[f"holiday_{code}"] is not None) for row in rows)
        years = {row["year"] for row in rows if row[f"is_holiday_{code}"]}
        assert years == set(range(2001, 2036))


def test_countries_are_those_of_the_contracts() -> None:
    rows = countries().to_pylist()
    assert tuple(row["country"] for row in rows) == base.COUNTRIES
    assert rows[3] == {
        "country": "IN",
        "name": "India",
        "currency": "INR",
        "time_zone": "Asia/Kolkata",
        "world_region": "Southern Asia",
    }


def test_payment_methods_are_those_of_the_contracts() -> None:
    rows = payment_methods().to_pylist()
    assert tuple(row["payment_method"] for row in rows) == base.PAYMENT_METHODS
    assert rows[2] == {"payment_method": "paypal", "name": "PayPal", "kind": "wallet"}
