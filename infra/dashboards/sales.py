"""Real-time sales: what is sold now, how, where, and how far it is final. For whoever runs the shop today."""

from __future__ import annotations

from infra.dashboards import variables
from infra.dashboards.board import Board
from infra.dashboards.figures import (
    AT_RISK,
    AVERAGE_ORDER,
    CATEGORY,
    CONVERSION,
    COUNTRY,
    LEFT_CARTS,
    ORDERS,
    RECOVERY,
    REVENUE,
    grouped,
    grouped_open,
    status_of_period,
    within,
    within_days,
)
from infra.dashboards.links import SALES, to_category, to_country
from infra.dashboards.panels import COUNT, MONEY, SECONDS, SHARE, Panel, figure, over_time, rows

_BOTH = f"{COUNTRY} AND {CATEGORY}"


def _now() -> list[Panel]:
    return [
        figure(
            "Revenue and orders",
            "Sum of total amounts, USD, and accepted transactions of the period, of all categories.",
            MONEY,
            f"""
            SELECT {REVENUE} AS "Revenue", {ORDERS} AS "Orders", {AVERAGE_ORDER} AS "Average order value"
            FROM orders_by_minute WHERE {within("minute")} AND {COUNTRY}""",  # noqa: S608
            width=12,
            units={"Orders": COUNT},
        ),
        figure(
            "Conversion",
            "Sessions with an order / sessions that began in the period, open ones included, of all categories.",
            SHARE,
            f"""
            SELECT {CONVERSION} AS "Conversion" FROM sessions
            WHERE {within_days("started_date", "started_at")} AND {COUNTRY}""",  # noqa: S608
        ),
        figure(
            "Carts won back",
            "Recovered carts / carts that were left, of those opened in the period that are not empty.",
            SHARE,
            f"""
            SELECT {RECOVERY} AS "Won back" FROM carts
            WHERE {within_days("opened_date", "opened_at")} AND {COUNTRY} AND {LEFT_CARTS}""",  # noqa: S608
        ),
        figure(
            "Newest sale",
            "Time since the newest minute with an order began. It says how live the figures here are.",
            SECONDS,
            """
            SELECT greatest(extract(epoch FROM now() - max(minute)), 0)::float8 AS "Ago" FROM orders_by_minute""",
            limits=((300, "orange"), (900, "red")),
        ),
    ]


def _sold() -> list[Panel]:
    return [
        over_time(
            "Revenue",
            "Sum of the amounts of sold lines per step and country of the visit, USD.",
            MONEY,
            f"""
            SELECT {grouped("minute")}, country AS metric, sum(revenue) AS value
            FROM sales_by_minute WHERE {within("minute")} AND {_BOTH}
            GROUP BY 1, 2 ORDER BY 1, 2""",  # noqa: S608
        ),
        over_time(
            "Orders by payment method",
            "Accepted transactions per step, of all categories.",
            COUNT,
            f"""
            SELECT {grouped("minute")}, payment_method AS metric, sum(order_count)::bigint AS value
            FROM orders_by_minute WHERE {within("minute")} AND {COUNTRY}
            GROUP BY 1, 2 ORDER BY 1, 2""",  # noqa: S608
        ),
        over_time(
            "Units by category",
            "Units sold per step, of the eight chosen categories that sell the most in the period.",
            COUNT,
            f"""
            WITH most AS (
                SELECT category FROM sales_by_minute WHERE {within("minute")} AND {_BOTH}
                GROUP BY category ORDER BY sum(unit_count) DESC, category LIMIT 8
            )
            SELECT {grouped("minute")}, category AS metric, sum(unit_count)::bigint AS value
            FROM sales_by_minute JOIN most USING (category) WHERE {within("minute")} AND {COUNTRY}
            GROUP BY 1, 2 ORDER BY 1, 2""",  # noqa: S608
        ),
        over_time(
            "Average order value",
            "Revenue / orders per step and country, USD, to the nearest cent, of all categories; a step without an order has none.",
            MONEY,
            f"""
            SELECT {grouped_open("minute")}, country AS metric, {AVERAGE_ORDER} AS value
            FROM orders_by_minute WHERE {within("minute")} AND {COUNTRY}
            GROUP BY 1, 2 ORDER BY 1, 2""",  # noqa: S608
            bars=False,
        ),
    ]


def _final() -> list[Panel]:
    return [
        rows(
            "Hours: provisional, final or restated",
            "Orders and revenue of each hour of UTC as far as it lies in the period, of all categories. Provisional until the "
            "watermark has passed its end; restated once late events have changed it since. USD.",
            f"""{status_of_period("orders_by_minute", "hour")}
            SELECT start_at AS "Hour", order_count AS "Orders", revenue AS "Revenue", status AS "Status",
                final_at AS "Final at", known_at AS "Last change"
            FROM periods ORDER BY start_at DESC""",  # noqa: S608
            units={"Revenue": MONEY},
            width=14,
        ),
        rows(
            "Categories",
            "Units, order lines and revenue of the period, USD.",
            f"""
            SELECT category AS "Category", sum(unit_count)::bigint AS "Units", sum(line_count)::bigint AS "Lines",
                sum(revenue) AS "Revenue"
            FROM sales_by_minute WHERE {within("minute")} AND {_BOTH} GROUP BY category ORDER BY 4 DESC, 1""",  # noqa: S608
            units={"Revenue": MONEY},
            width=10,
            links={"Category": to_category()},
        ),
    ]


def _visits() -> list[Panel]:
    return [
        over_time(
            "Conversion by country",
            "Sessions with an order / sessions that began in the step, open ones included; a step without a session has none.",
            SHARE,
            f"""
            SELECT {grouped_open("started_at")}, country AS metric, {CONVERSION} AS value
            FROM sessions WHERE {within_days("started_date", "started_at")} AND {COUNTRY}
            GROUP BY 1, 2 ORDER BY 1, 2""",  # noqa: S608
            bars=False,
        ),
        rows(
            "Carts",
            "Carts opened in the period by what became of them, empty ones too, and the value of what is in them. "
            "At risk is what abandoned carts hold. USD.",
            f"""
            SELECT country AS "Country", count(*) AS "Carts", count(*) FILTER (WHERE status = 'purchased') AS "Purchased",
                count(*) FILTER (WHERE status = 'open') AS "Open", count(*) FILTER (WHERE status = 'abandoned') AS "Abandoned",
                count(*) FILTER (WHERE status = 'recovered') AS "Recovered", {AT_RISK} AS "At risk"
            FROM carts WHERE {within_days("opened_date", "opened_at")} AND {COUNTRY} GROUP BY country ORDER BY country""",  # noqa: S608
            units={"At risk": MONEY},
            height=8,
            links={"Country": to_country()},
        ),
        over_time(
            "Anomalies by detector",
            "Findings about the step's events that were not retracted, of all categories, and of no country too.",
            COUNT,
            f"""
            SELECT {grouped("event_at")}, detector AS metric, count(*) AS value
            FROM (
                SELECT max(event_at) AS event_at, max(detector) AS detector FROM anomalies
                WHERE {within("event_at")} AND (country IS NULL OR {COUNTRY})
                GROUP BY anomaly_id HAVING NOT bool_or(verdict = 'retracted')
            ) AS findings
            GROUP BY 1, 2 ORDER BY 1, 2""",  # noqa: S608
            height=9,
        ),
        rows(
            "Newest anomalies",
            "What was found, why, and how sure: score 1 is surest. Retracted ones are left out.",
            f"""
            SELECT max(event_at) AS "At", max(detector) AS "Detector", max(country) AS "Country", max(score) AS "Score",
                max(explanation) AS "Why"
            FROM anomalies WHERE {within("event_at")} AND (country IS NULL OR {COUNTRY})
            GROUP BY anomaly_id HAVING NOT bool_or(verdict = 'retracted')
            ORDER BY 1 DESC, 2 LIMIT 50""",  # noqa: S608
            units={"Score": SHARE},
        ),
    ]


def board() -> Board:
    return Board(
        SALES,
        "Real-time sales",
        "What is sold now, how and where, how visits turn into orders, what looks wrong, and which hours are final.",
        "Business",
        "now-6h",
        "10s",
        (variables.country(), variables.category(), variables.interval("5m")),
        (
            ("Now", _now()),
            ("What is sold", _sold()),
            ("How far it is final", _final()),
            ("Visits, carts and anomalies", _visits()),
        ),
        (("Live view", "live"), ("Alert desk", "alerts")),
    )
