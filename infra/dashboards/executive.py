"""Executive dashboard: how the shop does, against before, by country and category, and what is expected. For managers."""

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
    REVENUE,
    UNITS,
    against_before,
    grouped,
    within,
)
from infra.dashboards.links import EXECUTIVE, to_category
from infra.dashboards.panels import COUNT, MONEY, SHARE, Panel, bars, figure, over_time, rows, world

_BOTH = f"{COUNTRY} AND {CATEGORY}"
_SALES = "Change: against the equally long period before, where the mirror has all of it."


def _key_figures() -> list[Panel]:
    return [
        figure(
            "Revenue",
            f"Sum of the amounts of sold lines, USD. {_SALES}",
            MONEY,
            against_before("sales_by_minute", "minute", REVENUE, _BOTH, "Revenue"),
        ),
        figure(
            "Orders",
            f"Accepted transactions, of all categories: an order may span several. {_SALES}",
            COUNT,
            against_before("orders_by_minute", "minute", ORDERS, COUNTRY, "Orders"),
        ),
        figure(
            "Average order value",
            f"Revenue / orders, USD, to the nearest cent, of all categories. {_SALES}",
            MONEY,
            against_before("orders_by_minute", "minute", AVERAGE_ORDER, COUNTRY, "Average order value"),
        ),
        figure(
            "Units sold",
            f"Sum of quantities. {_SALES}",
            COUNT,
            against_before("sales_by_minute", "minute", UNITS, _BOTH, "Units"),
        ),
        figure(
            "Conversion",
            f"Sessions with an order / sessions that began in the period, open ones included, of all categories. {_SALES}",
            SHARE,
            against_before("sessions", "started_at", CONVERSION, COUNTRY, "Conversion", "started_date"),
        ),
        figure(
            "At risk in abandoned carts",
            f"Value of what lies in carts opened in the period and abandoned, USD, of all categories. {_SALES}",
            MONEY,
            against_before("carts", "opened_at", AT_RISK, f"{COUNTRY} AND {LEFT_CARTS}", "At risk", "opened_date"),
        ),
    ]


def _sales() -> list[Panel]:
    return [
        over_time(
            "Revenue by country",
            "Sum of the amounts of sold lines per step and country of the visit, USD.",
            MONEY,
            f"""
            SELECT {grouped("minute")}, country AS metric, sum(revenue) AS value
            FROM sales_by_minute WHERE {within("minute")} AND {_BOTH}
            GROUP BY 1, 2 ORDER BY 1, 2""",  # noqa: S608
            width=16,
            height=9,
        ),
        world(
            "Where it sells",
            "Sum of the amounts of sold lines by country of the visit, USD. A larger circle is more revenue.",
            MONEY,
            f"""
            SELECT country, sum(revenue) AS "Revenue"
            FROM sales_by_minute WHERE {within("minute")} AND {_BOTH} GROUP BY country ORDER BY 2 DESC""",  # noqa: S608
            "Revenue",
            width=8,
            height=9,
        ),
        bars(
            "Revenue by day, with forecast",
            "Of the whole shop, whatever is chosen above: six weeks up to the last day made, and the 14 days after it as the daily "
            "run expects them, with the ends of the 80% interval. USD.",
            MONEY,
            """
            SELECT to_char(period_start, 'YYYY-MM-DD') AS "Day", revenue AS "Revenue", revenue_forecast AS "Forecast",
                revenue_forecast_low AS "Low", revenue_forecast_high AS "High"
            FROM sales_trends
            WHERE as_of_date = (SELECT max(as_of_date) FROM sales_trends) AND period_type = 'day'
                AND period_start > (SELECT max(as_of_date) FROM sales_trends) - 42 AND category = 'all' AND country = 'all'
            ORDER BY period_start""",
            width=24,
            across=False,
            unseen=("Low", "High"),
        ),
    ]


def _what_sells() -> list[Panel]:
    return [
        rows(
            "Category performance",
            "Revenue and units of each category in the period, and its share of the revenue of the chosen ones. USD.",
            f"""
            SELECT category AS "Category", sum(revenue) AS "Revenue", sum(unit_count)::bigint AS "Units",
                (sum(revenue) / nullif(sum(sum(revenue)) OVER (), 0))::float8 AS "Share"
            FROM sales_by_minute WHERE {within("minute")} AND {_BOTH} GROUP BY category ORDER BY 2 DESC, 1""",  # noqa: S608
            units={"Revenue": MONEY, "Share": SHARE},
            links={"Category": to_category()},
        ),
        rows(
            "Top products",
            "The ten products with the most revenue in the 28 days up to the last day made, in all countries. USD.",
            f"""
            SELECT coalesce(d.name, p.product_id) AS "Product", p.category AS "Category", p.revenue AS "Revenue",
                p.unit_count AS "Units"
            FROM (
                SELECT product_id, category, revenue, unit_count FROM product_performance
                WHERE {CATEGORY} AND revenue_rank <= 10 ORDER BY revenue DESC, product_id LIMIT 10
            ) AS p LEFT JOIN dim_product d ON d.product_id = p.product_id AND d.is_current
            ORDER BY p.revenue DESC, p.product_id""",  # noqa: S608
            units={"Revenue": MONEY},
            links={"Category": to_category()},
        ),
        bars(
            "Customers by segment",
            "Customers with a purchase in the 365 days up to the last day made, by RFM segment, in all countries.",
            COUNT,
            """SELECT segment AS "Segment", count(*) AS "Customers" FROM customer_rfm GROUP BY segment ORDER BY 2 DESC, 1""",
        ),
        rows(
            "Alerts",
            "The newest alerts of the period that nothing has retracted since. Who takes care of one is at the alert desk.",
            f"""
            SELECT max(event_at) AS "At", max(severity) AS "Severity", max(kind) AS "Kind", max(title) AS "Title"
            FROM alerts WHERE {within("event_at")} GROUP BY alert_id HAVING NOT bool_or(verdict = 'retracted')
            ORDER BY 1 DESC, 4 LIMIT 50""",  # noqa: S608
            units={},
        ),
    ]


def board() -> Board:
    return Board(
        EXECUTIVE,
        "Executive",
        "How the shop does in a period, against the one before, by country and category; and what is expected.",
        "Business",
        "now-24h",
        "5m",
        (variables.country(), variables.category(), variables.interval("1h")),
        (
            ("Key figures", _key_figures()),
            ("Sales", _sales()),
            ("What sells, to whom, and what went wrong", _what_sells()),
        ),
        (("Executive page", ""), ("Explore sales", "explore")),
    )
