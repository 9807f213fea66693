"""Customers: who they are by what they buy, who comes back, what they will be worth, and how visits become orders."""

from __future__ import annotations

from infra.dashboards import variables
from infra.dashboards.board import Board
from infra.dashboards.figures import COUNTRY, FROM, TO
from infra.dashboards.links import CUSTOMERS
from infra.dashboards.panels import COUNT, FACTOR, MONEY, SHARE, Panel, bars, figure, over_time, rows

_DAYS = (
    f"date BETWEEN ({FROM}::timestamptz AT TIME ZONE 'UTC')::date AND ({TO}::timestamptz AT TIME ZONE 'UTC')::date "
    f"AND country <> 'all' AND {COUNTRY}"
)
_MONTHS = range(7)
_OF_COUNTRY = f"country <> 'all' AND {COUNTRY}"


def _who() -> list[Panel]:
    return [
        figure(
            "Customers",
            "Customers with a purchase in the 365 days up to the last day made, what they spent, and per customer. USD.",
            COUNT,
            """
            SELECT count(*) AS "Customers", coalesce(sum(monetary), 0) AS "Spent",
                round(sum(monetary) / nullif(count(*), 0), 2) AS "Per customer", avg(frequency)::float8 AS "Orders per customer"
            FROM customer_rfm""",
            width=14,
            units={"Spent": MONEY, "Per customer": MONEY, "Orders per customer": FACTOR},
        ),
        figure(
            "Expected in 90 days",
            "What all who have ever bought are expected to spend in the 90 days after the last day made, USD, and on how many days.",
            MONEY,
            """
            SELECT coalesce(sum(predicted_value), 0) AS "Value", coalesce(sum(predicted_purchases), 0) AS "Days with a purchase"
            FROM customer_lifetime_value""",
            width=10,
            units={"Days with a purchase": COUNT},
        ),
        rows(
            "Segments",
            "RFM segments of the last day made: customers, what they spent in 365 days, and how long ago they bought. USD.",
            """
            SELECT segment AS "Segment", count(*) AS "Customers", (count(*) / sum(count(*)) OVER ())::float8 AS "Share",
                sum(monetary) AS "Spent", round(avg(monetary), 2) AS "Per customer", avg(frequency)::float8 AS "Orders",
                avg(recency_days)::float8 AS "Days since the last"
            FROM customer_rfm GROUP BY segment ORDER BY 4 DESC, 1""",
            units={
                "Share": SHARE,
                "Spent": MONEY,
                "Per customer": MONEY,
                "Orders": FACTOR,
                "Days since the last": FACTOR,
            },
            width=14,
        ),
        bars(
            "Moves between segments in 30 days",
            "Customers who are in another segment than 30 days before the last day made; `none` had or has no purchase in 365 days.",
            COUNT,
            """
            SELECT from_segment || ' → ' || to_segment AS "Move", customer_count AS "Customers"
            FROM rfm_movements WHERE days_back = 30 AND from_segment <> to_segment ORDER BY 2 DESC, 1 LIMIT 15""",
            width=10,
        ),
    ]


def _cohorts() -> list[Panel]:
    month = ", ".join(
        f"""(sum(active_count) FILTER (WHERE month_number = {n}) / nullif(sum(customer_count) FILTER (WHERE month_number = {n}), 0))::float8
                AS "Month {n}\""""
        for n in _MONTHS
    )
    return [
        rows(
            "Who comes back",
            "Of the customers who first bought in a month in one of the chosen countries: the share who bought in each later month. "
            "The last month of a row may not be over.",
            f"""
            SELECT to_char(cohort_month, 'YYYY-MM') AS "First bought", (sum(customer_count) FILTER (WHERE month_number = 0))::bigint
                AS "Customers", {month}
            FROM cohort_retention WHERE {_OF_COUNTRY} AND month_number <= {_MONTHS[-1]}
            GROUP BY cohort_month ORDER BY cohort_month DESC LIMIT 12""",  # noqa: S608
            units={f"Month {n}": SHARE for n in _MONTHS},
            width=14,
        ),
        rows(
            "What a cohort has spent",
            "What the customers who first bought in a month in one of the chosen countries have spent since, USD.",
            f"""
            SELECT to_char(cohort_month, 'YYYY-MM') AS "First bought",
                (sum(customer_count) FILTER (WHERE month_number = 0))::bigint AS "Customers", sum(revenue) AS "Spent",
                round(sum(revenue) / nullif(sum(customer_count) FILTER (WHERE month_number = 0), 0), 2) AS "Per customer"
            FROM cohort_retention WHERE {_OF_COUNTRY} GROUP BY cohort_month ORDER BY cohort_month DESC LIMIT 12""",  # noqa: S608
            units={"Spent": MONEY, "Per customer": MONEY},
            width=10,
        ),
    ]


def _visits() -> list[Panel]:
    return [
        over_time(
            "From looking to buying",
            "Closed sessions of each day of UTC that the period touches: all, with a view, with a change of a cart, with an order. "
            "A day counts as a whole.",
            COUNT,
            f"""
            SELECT (date::timestamp AT TIME ZONE 'UTC') AS time, step AS metric, sum(counted)::bigint AS value
            FROM funnel_daily CROSS JOIN LATERAL (VALUES
                ('1 all', session_count), ('2 viewed', view_session_count), ('3 cart', cart_session_count),
                ('4 ordered', order_session_count)
            ) AS steps (step, counted)
            WHERE category = 'all' AND {_DAYS} GROUP BY 1, 2 ORDER BY 1, 2""",  # noqa: S608
            stacked=False,
        ),
        over_time(
            "Conversion by day",
            "Sessions with an order / closed sessions of each day of UTC that the period touches, by country.",
            SHARE,
            f"""
            SELECT (date::timestamp AT TIME ZONE 'UTC') AS time, country AS metric,
                (sum(order_session_count) / nullif(sum(session_count), 0))::float8 AS value
            FROM funnel_daily WHERE category = 'all' AND {_DAYS} GROUP BY 1, 2 ORDER BY 1, 2""",  # noqa: S608
            bars=False,
        ),
    ]


def board() -> Board:
    return Board(
        CUSTOMERS,
        "Customers",
        "Who the customers are by what they buy, who comes back, what they will be worth, and how visits become orders.",
        "Business",
        "now-28d",
        "15m",
        (variables.country(),),
        (("Who they are", _who()), ("Cohorts of first purchase", _cohorts()), ("Visits", _visits())),
        (("Customers page", "customers"),),
    )
