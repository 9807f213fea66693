"""Figures about customers: segments, cohorts, the members of a segment, one customer. Customers belong to the country of their profile."""

from __future__ import annotations

from datetime import date
from typing import Literal

from api.access import Access
from api.errors import NotFoundError
from api.explorer.figures.reading import Row, newest_day, rows, within
from api.serving import Generation
from lakehouse.tables import (
    COHORT_RETENTION,
    CUSTOMER_LIFETIME_VALUE,
    CUSTOMER_RFM,
    DIM_USER,
    FACT_SALES,
    SESSIONS,
    Table,
)

Order = Literal["monetary", "frequency", "recency_days"]
PAGE = 50
_ORDERS: dict[Order, str] = {"monetary": "DESC", "frequency": "DESC", "recency_days": "ASC"}
_OWN = "user_id IN (SELECT user_id FROM dim_user WHERE is_current AND country IN ({}))"


def own(access: Access) -> tuple[list[Table], str, list[str]]:
    """The condition that leaves the customers whom the caller may see: tables that it reads, SQL, parameters."""
    countries = access.countries_for()
    if not countries:
        return [], "TRUE", []
    return [DIM_USER], _OWN.format(", ".join("?" * len(countries))), countries


def segments(generation: Generation, access: Access) -> list[Row]:
    """Customers, what they spent, and how that is each, by segment on the newest day; most money first."""
    tables, condition, parameters = own(access)
    return rows(
        generation,
        [CUSTOMER_RFM, *tables],
        [
            "segment",
            "count(*) AS customer_count",
            "sum(monetary) AS monetary",
            "(sum(monetary) / count(*))::DECIMAL(18,2) AS mean_monetary",
            "avg(recency_days) AS mean_recency_days",
        ],
        f"""FROM customer_rfm WHERE as_of_date = (SELECT max(as_of_date) FROM customer_rfm) AND {condition}
            GROUP BY segment ORDER BY monetary DESC, segment""",  # noqa: S608 - conditions from here, values as parameters
        parameters,
    )


def cohorts(generation: Generation, access: Access, months: int = 12) -> list[Row]:
    """Retention of the cohorts of the last `months`, by month of life; rows of `gold/cohort_retention`.

    Those of several countries of a limited key are added up.
    """
    newest = newest_day(generation, COHORT_RETENTION)
    if newest is None:
        return []
    condition, countries = ("country = 'all'", []) if access.countries is None else within(access)
    first = date(newest.year - (months >= newest.month), (newest.month - months - 1) % 12 + 1, 1)
    return rows(
        generation,
        [COHORT_RETENTION],
        [
            "cohort_month",
            "month_number",
            "sum(active_count) / sum(customer_count) AS retention_rate",
            "bool_and(is_complete) AS is_complete",
            "sum(customer_count)::BIGINT AS customer_count",
            "sum(active_count)::BIGINT AS active_count",
        ],
        f"""FROM cohort_retention WHERE as_of_date = ? AND {condition} AND cohort_month >= ?
            GROUP BY cohort_month, month_number ORDER BY cohort_month, month_number""",
        [newest, *countries, first],
    )


def members(generation: Generation, access: Access, segment: str, order: Order, page: int) -> list[Row]:
    """One page of customers, of `segment` where it is not empty; one more than the page shows where there is another one."""
    tables, condition, parameters = own(access)
    return rows(
        generation,
        [CUSTOMER_RFM, *tables],
        ["user_id", "segment", "recency_days", "frequency", "monetary", "r_score", "f_score", "m_score"],
        f"""FROM customer_rfm WHERE as_of_date = (SELECT max(as_of_date) FROM customer_rfm) AND (? = '' OR segment = ?) AND {condition}
            ORDER BY {order} {_ORDERS[order]}, user_id LIMIT ? OFFSET ?""",  # noqa: S608 - names of columns from here
        [segment, segment, *parameters, PAGE + 1, (page - 1) * PAGE],
    )


def customer(generation: Generation, access: Access, user_id: str) -> Row:
    """Who the customer is, by the newest profile. Raises NotFoundError for one that is not there, or not for this key to see."""
    found = rows(
        generation,
        [DIM_USER],
        ["user_id", "email", "age", "country", "registration_date", "preferences"],
        "FROM dim_user WHERE user_id = ? AND is_current",
        [user_id],
    )
    if not found or not (access.countries is None or access.sees_country(found[0]["country"] or "")):
        raise NotFoundError("There is no such customer, or none that this key may see.")
    return found[0]


def scores(generation: Generation, user_id: str) -> Row | None:
    """RFM of the newest day; None for who has not bought in a year."""
    found = rows(
        generation,
        [CUSTOMER_RFM],
        ["as_of_date", "segment", "recency_days", "frequency", "monetary", "r_score", "f_score", "m_score"],
        "FROM customer_rfm WHERE user_id = ? ORDER BY as_of_date DESC LIMIT 1",
        [user_id],
    )
    return found[0] if found else None


def value(generation: Generation, user_id: str) -> Row | None:
    """What the customer is expected to bring in the next 90 days; None for who never bought."""
    found = rows(
        generation,
        [CUSTOMER_LIFETIME_VALUE],
        ["p_alive", "predicted_purchases", "predicted_order_value", "predicted_value"],
        "FROM customer_lifetime_value WHERE user_id = ? ORDER BY as_of_date DESC LIMIT 1",
        [user_id],
    )
    return found[0] if found else None


def orders(generation: Generation, access: Access, user_id: str, limit: int = 20) -> list[Row]:
    """The newest orders of the facts' last days, newest first."""
    condition, countries = within(access)
    return rows(
        generation,
        [FACT_SALES],
        [
            "transaction_id",
            "max(timestamp) AS timestamp",
            "max(country) AS country",
            "max(payment_method) AS payment_method",
            "sum(quantity)::BIGINT AS unit_count",
            "sum(line_amount) AS amount",
        ],
        f"""FROM fact_sales WHERE user_id = ? AND {condition}
            GROUP BY transaction_id ORDER BY timestamp DESC, transaction_id LIMIT ?""",
        [user_id, *countries, limit],
    )


def visits(generation: Generation, access: Access, user_id: str, limit: int = 10) -> list[Row]:
    """The newest visits of the last two days, newest first."""
    condition, countries = within(access)
    columns = [
        "started_at",
        "duration_seconds",
        "country",
        "view_count",
        "cart_count",
        "order_count",
        "revenue",
        "is_open",
    ]
    rest = f"FROM sessions WHERE user_id = ? AND {condition} ORDER BY started_at DESC LIMIT ?"
    return rows(generation, [SESSIONS], columns, rest, [user_id, *countries, limit])
