"""Visits: sessions, carts and those left behind, and the funnel by day."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Literal

from fastapi import APIRouter

from api.resources import Filter, Resource, add
from api.resources.kinds import CATEGORY_OR_ALL, COUNTRY, COUNTRY_OR_ALL, USER, period
from lakehouse.tables import CARTS, FUNNEL_DAILY, SESSIONS

router = APIRouter()
add(
    router,
    Resource(
        "/v1/sessions",
        "sessions",
        SESSIONS,
        "visits",
        "Sessions",
        "Visits of the last 48 hours, open ones included, newest first: events of one customer without a long pause.",
        ("-started_at",),
        (
            *period("started_at", "Began"),
            COUNTRY,
            USER,
            Filter("is_open", "is_open", bool, "Only open sessions, or only closed ones.", False),
            Filter("is_converted", "is_converted", bool, "Only sessions with an order, or only those without.", True),
            Filter("min_revenue", "revenue", Decimal, "Revenue of at least this, USD.", "0.00", ">="),
        ),
        country="country",
        users=("user_id",),
    ),
)
add(
    router,
    Resource(
        "/v1/carts",
        "carts",
        CARTS,
        "visits",
        "Carts, also abandoned ones",
        "Carts that were touched in the last 48 hours, the latest activity first. `status=abandoned` are those left for too long "
        "without a purchase, `recovered` those bought after that.",
        ("-last_activity_at",),
        (
            Filter(
                "status",
                "status",
                Literal["open", "abandoned", "recovered", "purchased"],
                "Only carts in this state.",
                "abandoned",
            ),
            *period("last_activity_at", "Last touched"),
            COUNTRY,
            USER,
            Filter("min_amount", "amount", Decimal, "Value of what is in it at least this, USD.", "0.00", ">="),
        ),
        country="country",
        users=("user_id",),
    ),
)
add(
    router,
    Resource(
        "/v1/funnel",
        "funnel",
        FUNNEL_DAILY,
        "visits",
        "The funnel by day",
        "Closed sessions by the day that they began: with a view, with a change of a cart, with an order, and the rates from one "
        "to the next. Newest day first; over all countries and sessions, unless these are named.",
        ("-date",),
        (
            Filter("since", "date", date, "This day or later.", "2026-03-01", ">="),
            Filter("before", "date", date, "Before this day.", "2026-04-01", "<"),
            COUNTRY_OR_ALL,
            CATEGORY_OR_ALL,
        ),
        country="country",
    ),
)
