"""Products: what sells and at what price, what is in stock, what is bought together. For whoever buys and prices."""

from __future__ import annotations

from infra.dashboards import variables
from infra.dashboards.board import Board
from infra.dashboards.figures import CATEGORY, COUNTRY, grouped, within
from infra.dashboards.links import PRODUCTS, to_category
from infra.dashboards.panels import COUNT, FACTOR, MONEY, SHARE, Panel, figure, over_time, rows

_NAME = "LEFT JOIN dim_product d ON d.product_id = p.product_id AND d.is_current"


def _stock() -> list[Panel]:
    return [
        figure(
            "Stock",
            "Products by how their stock is now: low is at or below either threshold, out has none left.",
            COUNT,
            f"""
            SELECT count(*) AS "Products", count(*) FILTER (WHERE status = 'low') AS "Low",
                count(*) FILTER (WHERE status = 'out') AS "Out", coalesce(sum(oversold_count), 0)::bigint AS "Oversold units"
            FROM inventory_levels WHERE {CATEGORY}""",  # noqa: S608
            width=12,
        ),
        figure(
            "Price realised",
            "Revenue / the same units at the list price of the moment of each sale, 28 days up to the last day made.",
            SHARE,
            f"""
            SELECT (sum(revenue) / nullif(sum(list_revenue), 0))::float8 AS "Price realised"
            FROM product_performance WHERE {CATEGORY}""",  # noqa: S608
            width=6,
        ),
        figure(
            "Lost for want of stock",
            "Units not sold in the 28 days for want of stock, as estimated, at the newest list price, USD.",
            MONEY,
            f"""
            SELECT coalesce(sum(lost_revenue_estimate), 0) AS "Lost" FROM product_performance WHERE {CATEGORY}""",  # noqa: S608
            width=6,
        ),
    ]


def _sold() -> list[Panel]:
    return [
        over_time(
            "Revenue by category",
            "Sum of the amounts of sold lines per step, of the eight chosen categories that sell for the most in the period. USD.",
            MONEY,
            f"""
            WITH most AS (
                SELECT category FROM sales_by_minute WHERE {within("minute")} AND {COUNTRY} AND {CATEGORY}
                GROUP BY category ORDER BY sum(revenue) DESC, category LIMIT 8
            )
            SELECT {grouped("minute")}, category AS metric, sum(revenue) AS value
            FROM sales_by_minute JOIN most USING (category) WHERE {within("minute")} AND {COUNTRY}
            GROUP BY 1, 2 ORDER BY 1, 2""",  # noqa: S608
        ),
        rows(
            "Categories in 28 days",
            "Sales of the 28 days up to the last day made, in all countries, price realised, and what was lost for want of stock. USD.",
            f"""
            SELECT category AS "Category", sum(revenue) AS "Revenue", sum(unit_count)::bigint AS "Units",
                (sum(revenue) / nullif(sum(list_revenue), 0))::float8 AS "Price realised",
                sum(lost_revenue_estimate) AS "Lost"
            FROM product_performance WHERE {CATEGORY} GROUP BY category ORDER BY 2 DESC, 1""",  # noqa: S608
            units={"Revenue": MONEY, "Price realised": SHARE, "Lost": MONEY},
            height=8,
            links={"Category": to_category()},
        ),
        rows(
            "Best sellers",
            "The products with the most revenue in the 28 days up to the last day made, in all countries; rank is in the category, "
            "a positive move is up. USD.",
            f"""
            SELECT coalesce(d.name, p.product_id) AS "Product", p.category AS "Category", p.revenue AS "Revenue",
                p.unit_count AS "Units", p.order_count AS "Orders", p.view_to_order_rate AS "View to order",
                p.price_realisation AS "Price realised", p.revenue_rank AS "Rank", p.rank_movement AS "Move"
            FROM (
                SELECT * FROM product_performance
                WHERE {CATEGORY} AND revenue_rank <= 25 ORDER BY revenue DESC, product_id LIMIT 25
            ) AS p {_NAME}
            ORDER BY p.revenue DESC, p.product_id""",  # noqa: S608
            units={"Revenue": MONEY, "View to order": SHARE, "Price realised": SHARE},
            width=24,
            links={"Category": to_category()},
        ),
    ]


def _attention() -> list[Panel]:
    return [
        rows(
            "Low or out of stock",
            "Products to order again, those that last the shortest first. Cover is stock / units sold a day, in days.",
            f"""
            SELECT coalesce(d.name, p.product_id) AS "Product", p.category AS "Category", p.status AS "Status", p.level AS "Units",
                p.sell_rate_per_day AS "Sold a day", p.days_of_cover AS "Days of cover", p.oversold_count AS "Oversold"
            FROM (
                SELECT * FROM inventory_levels WHERE status IN ('low', 'out') AND {CATEGORY}
                ORDER BY days_of_cover NULLS LAST, sell_rate_per_day DESC, product_id LIMIT 50
            ) AS p {_NAME}
            ORDER BY p.days_of_cover NULLS LAST, p.sell_rate_per_day DESC, p.product_id""",  # noqa: S608
            units={"Sold a day": FACTOR, "Days of cover": FACTOR},
        ),
        rows(
            "Lost the most for want of stock",
            "Products by what they would have sold in the 28 days had they been in stock, as estimated, USD.",
            f"""
            SELECT coalesce(d.name, p.product_id) AS "Product", p.category AS "Category", p.stock_out_days AS "Days out",
                p.lost_units_estimate AS "Units lost", p.lost_revenue_estimate AS "Lost"
            FROM (
                SELECT * FROM product_performance WHERE lost_revenue_estimate > 0 AND {CATEGORY}
                ORDER BY lost_revenue_estimate DESC, product_id LIMIT 25
            ) AS p {_NAME}
            ORDER BY p.lost_revenue_estimate DESC, p.product_id""",  # noqa: S608
            units={"Units lost": FACTOR, "Lost": MONEY},
        ),
        rows(
            "Bought together",
            "Pairs in at least 5 orders of the 28 days up to the last day made, those that are most above chance first, of all "
            "categories. Lift 1 is chance.",
            """
            SELECT coalesce(a.name, p.product_a_id) AS "Product", coalesce(b.name, p.product_b_id) AS "And",
                p.order_count AS "Orders", p.confidence_a_to_b AS "Of the first", p.confidence_b_to_a AS "Of the second",
                p.lift AS "Lift"
            FROM (SELECT * FROM basket_pairs ORDER BY lift DESC, order_count DESC, product_a_id, product_b_id LIMIT 25) AS p
            LEFT JOIN dim_product a ON a.product_id = p.product_a_id AND a.is_current
            LEFT JOIN dim_product b ON b.product_id = p.product_b_id AND b.is_current
            ORDER BY p.lift DESC, p.order_count DESC, p.product_a_id, p.product_b_id""",
            units={"Of the first": SHARE, "Of the second": SHARE, "Lift": FACTOR},
            width=24,
        ),
    ]


def board() -> Board:
    return Board(
        PRODUCTS,
        "Products",
        "What sells and at what price, what is in stock and what its lack costs, and what is bought together.",
        "Business",
        "now-24h",
        "1m",
        (variables.country(), variables.category(), variables.interval("1h")),
        (("Stock and price", _stock()), ("What sells", _sold()), ("What wants attention", _attention())),
        (("Products page", "products"), ("Inventory page", "inventory")),
    )
