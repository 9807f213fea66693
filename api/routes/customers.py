"""Customers: members of segments, expected value, and how many moved from one segment to another."""

from __future__ import annotations

from decimal import Decimal

from fastapi import APIRouter

from api.resources import Filter, Resource, add
from api.resources.kinds import USER
from lakehouse.tables import CUSTOMER_LIFETIME_VALUE, CUSTOMER_RFM, RFM_MOVEMENTS

router = APIRouter()


def _score(letter: str, what: str) -> Filter:
    return Filter(f"min_{letter}_score", f"{letter}_score", int, f"{what} score of at least this, 1 to 5.", 1, ">=")


add(
    router,
    Resource(
        "/v1/customers",
        "customers",
        CUSTOMER_RFM,
        "customers",
        "Customers and their segments",
        "Recency, frequency, monetary value, scores and segment of each customer with a purchase in the 365 days up to "
        "`as_of_date`, those who spent most first. User ids are pseudonyms unless the key is granted personal data.",
        ("-monetary",),
        (
            USER,
            Filter("segment", "segment", str, "Only these segments.", "champions"),
            _score("r", "Recency"),
            _score("f", "Frequency"),
            _score("m", "Monetary"),
            Filter("min_monetary", "monetary", Decimal, "Spent at least this, USD.", "100.00", ">="),
            Filter("max_recency_days", "recency_days", int, "Last purchase at most so many days ago.", 30, "<="),
        ),
        day="as_of_date",
        all_countries=True,
        users=("user_id",),
    ),
)
add(
    router,
    Resource(
        "/v1/customer-values",
        "customer_values",
        CUSTOMER_LIFETIME_VALUE,
        "customers",
        "Expected value of customers",
        "What each customer is expected to buy in the 90 days after `as_of_date` (BG/NBD and Gamma-Gamma), most valuable first.",
        ("-predicted_value",),
        (
            USER,
            Filter("min_value", "predicted_value", Decimal, "Expected revenue of at least this, USD.", "0.00", ">="),
            Filter("min_p_alive", "p_alive", float, "Still buying with at least this probability.", 0.1, ">="),
        ),
        day="as_of_date",
        all_countries=True,
        users=("user_id",),
    ),
)
add(
    router,
    Resource(
        "/v1/rfm/movements",
        "rfm_movements",
        RFM_MOVEMENTS,
        "customers",
        "Movements between segments",
        "How many customers were in one segment some days ago and are in one on `as_of_date`; those who stayed included.",
        ("days_back", "from_segment", "to_segment"),
        (
            Filter("days_back", "days_back", int, "Days before `as_of_date`: 1 or 30.", 1),
            Filter("from_segment", "from_segment", str, "Segment then; `none` for not a customer yet.", "champions"),
            Filter("to_segment", "to_segment", str, "Segment now; `none` for no longer a customer.", "lost"),
        ),
        day="as_of_date",
        all_countries=True,
    ),
)
