"""Dimensions that do not come from events: days, countries, payment methods. Plain Arrow, the same in every rebuild."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import holidays
import pyarrow as pa

from lakehouse.countries import COUNTRIES
from lakehouse.tables import DIM_COUNTRY, DIM_DATE, DIM_PAYMENT_METHOD

# The years for which the library knows the moving holidays of India, the shortest span of the five countries
FIRST_DAY, LAST_DAY = date(2001, 1, 1), date(2035, 12, 31)

# Retail's convention (National Retail Federation, 4-5-4 calendar): the year begins with February, so that Christmas and its
# returns are one season, and is called by the calendar year in which it begins. Here in whole months.
FISCAL_START_MONTH = 2

# method -> name, kind
PAYMENT_METHODS: dict[str, tuple[str, str]] = {
    "credit_card": ("Credit card", "card"),
    "debit_card": ("Debit card", "card"),
    "paypal": ("PayPal", "wallet"),
    "bank_transfer": ("Bank transfer", "bank"),
    "gift_card": ("Gift card", "prepaid"),
}


def dates(first: date = FIRST_DAY, last: date = LAST_DAY) -> pa.Table:
    """One row per day from `first` to `last`, columns as in `gold/dim_date`.

    Holidays are those that the whole country has, days given in their place included, by the library `holidays`.
    """
    days = [first + timedelta(days=number) for number in range((last - first).days + 1)]
    years = range(first.year, last.year + 1)
    calendars = {code: holidays.country_holidays(code, years=years, language="en_US") for code in COUNTRIES}
    return pa.Table.from_pylist([_day(day, calendars) for day in days], schema=DIM_DATE.schema)


def countries() -> pa.Table:
    """One row per country of operation, columns as in `gold/dim_country`."""
    rows = [{"country": code, **vars(country)} for code, country in COUNTRIES.items()]
    return pa.Table.from_pylist(rows, schema=DIM_COUNTRY.schema)


def payment_methods() -> pa.Table:
    """One row per payment method, columns as in `gold/dim_payment_method`."""
    rows = [{"payment_method": code, "name": name, "kind": kind} for code, (name, kind) in PAYMENT_METHODS.items()]
    return pa.Table.from_pylist(rows, schema=DIM_PAYMENT_METHOD.schema)


def _day(day: date, calendars: dict[str, holidays.HolidayBase]) -> dict[str, Any]:
    iso = day.isocalendar()
    months_in = (day.month - FISCAL_START_MONTH) % 12
    row = {
        "date": day,
        "year": day.year,
        "quarter": (day.month + 2) // 3,
        "month": day.month,
        "month_name": f"{day:%B}",
        "day_of_month": day.day,
        "day_of_year": day.timetuple().tm_yday,
        "iso_year": iso.year,
        "iso_week": iso.week,
        "weekday": iso.weekday,
        "weekday_name": f"{day:%A}",
        "is_weekend": iso.weekday >= 6,
        "fiscal_year": day.year - (day.month < FISCAL_START_MONTH),
        "fiscal_quarter": months_in // 3 + 1,
    }
    for code, calendar in calendars.items():
        row[f"is_holiday_{code.lower()}"] = day in calendar
        row[f"holiday_{code.lower()}"] = calendar.get(day)
    return row
