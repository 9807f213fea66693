"""GET /v1/trends and /v1/cohorts: sales by day, week and month with growth and forecast, and how cohorts come back."""

from __future__ import annotations

from datetime import date
from typing import Literal

from fastapi import APIRouter

from api.resources import Filter, Resource, add
from api.resources.kinds import CATEGORY_OR_ALL, COUNTRY_OR_ALL
from lakehouse.tables import COHORT_RETENTION, SALES_TRENDS

router = APIRouter()
add(
    router,
    Resource(
        "/v1/trends",
        "trends",
        SALES_TRENDS,
        "sales",
        "Sales trends with forecast",
        "Units and revenue by day, week or month: moving averages, growth, seasonal index, and for the days after "
        "`as_of_date` the forecast with its 80% interval and the error of its back-test. Over all categories and countries, "
        "unless these are named.",
        ("period_start",),
        (
            Filter(
                "period_type",
                "period_type",
                Literal["day", "week", "month"],
                "Length of a period.",
                "day",
                default=("day",),
            ),
            COUNTRY_OR_ALL,
            CATEGORY_OR_ALL,
            Filter("is_forecast", "is_forecast", bool, "Only the forecast, or only what was.", False),
            Filter("since", "period_start", date, "Periods that begin on this day or later.", "2026-03-01", ">="),
            Filter("before", "period_start", date, "Periods that begin before this day.", "2026-04-01", "<"),
        ),
        day="as_of_date",
        country="country",
    ),
)
add(
    router,
    Resource(
        "/v1/cohorts",
        "cohorts",
        COHORT_RETENTION,
        "customers",
        "Retention by cohort",
        "Customers by the month of their first purchase, and how many of them bought in each month of their life, with revenue.",
        ("cohort_month", "month_number"),
        (
            COUNTRY_OR_ALL,
            Filter(
                "since", "cohort_month", date, "Cohorts of this month (its first day) or later.", "2026-01-01", ">="
            ),
            Filter("before", "cohort_month", date, "Cohorts before this month.", "2026-04-01", "<"),
            Filter("max_month_number", "month_number", int, "Months of life up to this one.", 12, "<="),
        ),
        day="as_of_date",
        country="country",
    ),
)
