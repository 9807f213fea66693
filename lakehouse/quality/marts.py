"""What the marts must satisfy beyond their declarations. Views that the rules name: `lakehouse.quality.views`."""

# ruff: noqa: S608 - the queries are built from names in this package alone
from __future__ import annotations

from lakehouse.catalogue import UNKNOWN_CATEGORY
from lakehouse.contracts.base import MONEY_MAX
from lakehouse.marts.base import ALL
from lakehouse.marts.basket_pairs import LEAST_ORDERS, MOST_PRODUCTS
from lakehouse.marts.product_performance import PERIOD_DAYS
from lakehouse.marts.rfm_movements import DAYS_BACK, NO_SEGMENT
from lakehouse.quality.kinds import Allowed, Between, Holds, NoRows, Rule
from lakehouse.tables import (
    BASKET_PAIRS,
    COHORT_RETENTION,
    CUSTOMER_LIFETIME_VALUE,
    CUSTOMER_RFM,
    FUNNEL_DAILY,
    PRODUCT_PERFORMANCE,
    RFM_MOVEMENTS,
    SALES_TRENDS,
)
from lakehouse.transforms.rfm import SCORES, SEGMENTS, WINDOW_DAYS

_SEGMENTS = tuple(sorted({name for row in SEGMENTS.values() for name in row}))
_OVER_ALL = f"category = '{ALL}' AND country = '{ALL}'"
_EACH = f"category <> '{ALL}' AND country <> '{ALL}'"


def _share(column: str, *shown: str) -> Holds:
    return Holds(f"{column} is a share", f"coalesce({column}, 0) BETWEEN 0 AND 1", (*shown, column))


def _equal(
    name: str, ours: dict[str, str], rows: str, theirs: dict[str, str], source: str, money: str | None = None
) -> NoRows:
    """Sums over `rows` equal those of the same place over `source`: both aggregates by the name to report.

    `money` is the one of ours that is also the name of a column of `rows`. A mart's sum stops at MONEY_MAX, so with a row that is
    there it may be less than that of the source, never more.
    """
    pairs = list(zip(ours, theirs, strict=True))
    sums = [", ".join(f"coalesce({sql}, 0) AS {alias}" for alias, sql in side.items()) for side in (ours, theirs)]
    most = f", coalesce(max({money}), 0) AS _most" if money else ""
    wrong = [
        f"{mine} > {other} OR ({mine} < {other} AND _most < {MONEY_MAX})" if mine == money else f"{mine} <> {other}"
        for mine, other in pairs
    ]
    return NoRows(
        name,
        f"SELECT {', '.join((*ours, *theirs))} FROM (SELECT {sums[0]}{most} FROM {rows}) "
        f"CROSS JOIN (SELECT {sums[1]} FROM {source}) WHERE {' OR '.join(wrong)}",
    )


def _adds_up(name: str, by: str, value: str, parts: str, whole: str, rows: str = "{batch}") -> NoRows:
    """For each `by`, the sum of `value` over the rows that are `parts` equals that over the one that is the `whole`.

    A whole of MONEY_MAX stands for any sum above it, too.
    """
    return NoRows(
        name,
        f"SELECT {by}, parts, whole FROM (SELECT {by}, sum({value}) FILTER (WHERE {parts}) AS parts, "
        f"sum({value}) FILTER (WHERE {whole}) AS whole FROM {rows} GROUP BY {by}) WHERE parts IS DISTINCT FROM whole "
        f"AND NOT coalesce(whole = {MONEY_MAX} AND parts > whole, false)",
    )


def _countries_add_up(by: str, values: tuple[str, ...]) -> list[NoRows]:
    """For each `by` and each of `values`, those of the countries add up to that of all of them."""
    each, all_of_them = f"country <> '{ALL}'", f"country = '{ALL}'"
    return [
        _adds_up(f"{value} of the countries adds up to that of all", by, value, each, all_of_them) for value in values
    ]


_ITEMS = "silver_transaction_items"
# Counted by their 64-bit hashes, half as much to send around; that two of ten million customers share one, and the check fails for it, has a
# chance of 1 in 370,000.
_CUSTOMERS = "count(DISTINCT xxhash64(user_id))"
_ORDERS = (
    "line_number = 1"  # of silver/transaction_items: each order has exactly one first line, by that table's own rules
)
_REVENUE = {"silver_revenue": "sum(line_amount)"}
# A score is ceil(5 x share of customers that are not better), so no more than k fifths of the customers have k or less
_SPREAD = {f"{m}_{k}": (f"count_if({m}_score <= {k})", k) for m in "rfm" for k in range(1, SCORES)}

MART_RULES: dict[str, tuple[Rule, ...]] = {
    CUSTOMER_RFM.path: (
        Between("recency_days", 0, WINDOW_DAYS - 1),
        Between("frequency", 1),
        Between("monetary", 0),
        *[Between(f"{measure}_score", 1, SCORES) for measure in "rfm"],
        Allowed("segment", _SEGMENTS),
        *[
            NoRows(
                f"customers with equal {value} share their {score}",
                f"SELECT {value} FROM {{batch}} GROUP BY {value} HAVING min({score}) <> max({score})",
            )
            for value, score in (("recency_days", "r_score"), ("frequency", "f_score"), ("monetary", "m_score"))
        ],
        NoRows(
            "scores spread: no more than k fifths of the customers have a score of k or less",
            f"SELECT * FROM (SELECT count(*) AS customer_count, {', '.join(f'{sql} AS {n}' for n, (sql, _) in _SPREAD.items())} "
            f"FROM {{batch}}) WHERE {' OR '.join(f'{n} * {SCORES} > customer_count * {k}' for n, (_, k) in _SPREAD.items())}",
        ),
        _equal(
            "transactions, customers and money equal silver/transactions",
            {"frequency": "sum(frequency)", "monetary": "sum(monetary)", "customer_count": "count(*)"},
            "{batch}",
            {
                "silver_frequency": "count(*)",
                "silver_monetary": "sum(total_amount)",
                "silver_customer_count": _CUSTOMERS,
            },
            "silver_transactions",
            "monetary",
        ),
    ),
    RFM_MOVEMENTS.path: (
        Holds("days_back is one of those compared", f"days_back IN {DAYS_BACK}", ("days_back",)),
        *[Allowed(f"{side}_segment", (*_SEGMENTS, NO_SEGMENT)) for side in ("from", "to")],
        Between("customer_count", 1),
        Holds(
            "nobody moves from nowhere to nowhere",
            f"from_segment <> '{NO_SEGMENT}' OR to_segment <> '{NO_SEGMENT}'",
            ("days_back", "customer_count"),
        ),
        NoRows(
            "customers equal gold/customer_rfm on both days",
            "SELECT m.*, a.n AS rfm_count, b.n AS rfm_count_then FROM (SELECT as_of_date, days_back, "
            f"sum(customer_count) FILTER (WHERE to_segment <> '{NO_SEGMENT}') AS customer_count, "
            f"sum(customer_count) FILTER (WHERE from_segment <> '{NO_SEGMENT}') AS customer_count_then "
            "FROM {batch} GROUP BY as_of_date, days_back) m "
            "LEFT JOIN (SELECT as_of_date AS day, count(*) AS n FROM gold_customer_rfm GROUP BY day) a ON a.day = m.as_of_date "
            "LEFT JOIN (SELECT as_of_date AS day, count(*) AS n FROM gold_customer_rfm GROUP BY day) b "
            "ON b.day = date_sub(m.as_of_date, days_back) "
            "WHERE customer_count IS DISTINCT FROM a.n OR customer_count_then IS DISTINCT FROM b.n",
        ),
    ),
    PRODUCT_PERFORMANCE.path: (
        *[Between(f"{name}_count", 0) for name in ("unit", "order", "view_session", "cart_session", "order_session")],
        *[Between(name, 0) for name in ("revenue", "list_revenue", "lost_revenue_estimate")],
        Between("revenue_rank", 1),
        Between("previous_revenue_rank", 1),
        Between("stock_out_days", 0, PERIOD_DAYS),
        *[_share(f"{name}_rate", "product_id") for name in ("view_to_cart", "cart_to_order", "view_to_order")],
        Holds(
            "price_realised is revenue / units, to the cent",
            "coalesce(abs(price_realised * unit_count - revenue) <= 0.005 * unit_count, unit_count = 0)",
            ("product_id", "price_realised", "unit_count", "revenue"),
        ),
        Holds(
            "rank_movement is the difference of the ranks",
            "rank_movement <=> previous_revenue_rank - revenue_rank",
            ("product_id", "previous_revenue_rank", "revenue_rank", "rank_movement"),
        ),
        NoRows(
            "ranks follow revenue within the category",
            "SELECT product_id, revenue_rank, place FROM (SELECT product_id, revenue_rank, "
            "CASE WHEN unit_count > 0 THEN rank() OVER (PARTITION BY category, unit_count > 0 ORDER BY revenue DESC) END AS place "
            "FROM {batch}) WHERE revenue_rank IS DISTINCT FROM place",
        ),
        NoRows(
            "a product with a category is in silver/products",
            f"SELECT product_id, category FROM {{batch}} LEFT ANTI JOIN silver_products USING (product_id) "
            f"WHERE category <> '{UNKNOWN_CATEGORY}'",
        ),
        _equal(
            "units and revenue equal silver/transaction_items",
            {"unit_count": "sum(unit_count)", "revenue": "sum(revenue)"},
            "{batch}",
            {"silver_unit_count": "sum(quantity)", **_REVENUE},
            _ITEMS,
            "revenue",
        ),
    ),
    SALES_TRENDS.path: (
        Allowed("period_type", ("day", "week", "month")),
        Between("unit_count", 0),
        Between("revenue", 0),
        Between("revenue_forecast_low", 0),
        Between("seasonal_index", 0),
        _share("interval_coverage", "category", "country"),
        Holds("a period does not end before it begins", "period_start <= period_end", ("period_start", "period_end")),
        Holds("only a forecast is of the future", "is_forecast = (period_start > as_of_date)", ("period_start", "is_forecast")),
        Holds(
            "a forecast has no figures, and a period has no forecast",
            "is_forecast = (revenue IS NULL) AND is_forecast = (unit_count IS NULL) AND is_forecast = (revenue_forecast IS NOT NULL)",
            ("period_type", "period_start", "category", "country"),
        ),
        Holds(
            "the interval holds the forecast",
            "coalesce(revenue_forecast BETWEEN revenue_forecast_low AND revenue_forecast_high, true)",
            ("period_start", "category", "country", "revenue_forecast"),
        ),
        *[
            _adds_up(f"{value} of the parts adds up to that of all", "period_type, period_start", value, _EACH, _OVER_ALL)
            for value in ("unit_count", "revenue")
        ],
        NoRows(
            "the seasonal shares of a week add up to 1",
            "SELECT category, country, sum(seasonal_index) / 7 AS share FROM (SELECT DISTINCT category, country, "
            "dayofweek(period_start) AS weekday, seasonal_index FROM {batch} WHERE period_type = 'day' AND seasonal_index IS NOT NULL) "
            "GROUP BY category, country HAVING abs(sum(seasonal_index) / 7 - 1) > 1e-9",
        ),
        _equal(
            "units and revenue of all days equal silver/transaction_items",
            {"unit_count": "sum(unit_count)", "revenue": "sum(revenue)"},
            f"{{batch}} WHERE period_type = 'day' AND {_OVER_ALL}",
            {"silver_unit_count": "sum(quantity)", **_REVENUE},
            _ITEMS,
            "revenue",
        ),
    ),
    COHORT_RETENTION.path: (
        Between("month_number", 0),
        Between("customer_count", 1),
        Between("active_count", 0),
        Between("revenue", 0),
        Holds(
            "retention_rate is active / all customers",
            "retention_rate <=> try_divide(active_count, customer_count) AND active_count <= customer_count",
            ("cohort_month", "country", "month_number", "retention_rate"),
        ),
        Holds(
            "in its first month all of a cohort are active",
            "month_number > 0 OR active_count = customer_count",
            ("cohort_month", "country", "active_count", "customer_count"),
        ),
        Holds(
            "no month is in the future",
            "add_months(cohort_month, month_number) <= as_of_date",
            ("cohort_month", "month_number"),
        ),
        NoRows(
            "cumulative_revenue is the sum so far",
            "SELECT cohort_month, country, month_number, cumulative_revenue, so_far FROM (SELECT *, sum(revenue) OVER "
            "(PARTITION BY cohort_month, country ORDER BY month_number) AS so_far FROM {batch}) "
            f"WHERE cumulative_revenue <> least(so_far, {MONEY_MAX})",
        ),
        *_countries_add_up("cohort_month, month_number", ("customer_count", "active_count", "revenue")),
        _equal(
            "customers and revenue equal silver/transaction_items",
            {"customer_count": "sum(customer_count) FILTER (WHERE month_number = 0)", "revenue": "sum(revenue)"},
            f"{{batch}} WHERE country = '{ALL}'",
            {"silver_customer_count": f"{_CUSTOMERS} FILTER (WHERE {_ORDERS})", **_REVENUE},
            _ITEMS,
            "revenue",
        ),
    ),
    CUSTOMER_LIFETIME_VALUE.path: (
        *[Between(name, 0) for name in ("frequency", "recency_days", "age_days", "monetary")],
        *[Between(f"predicted_{name}", 0) for name in ("purchases", "order_value", "value")],
        _share("p_alive", "user_id"),
        Holds(
            "days with a purchase lie between the first and the last, and those before the day",
            "frequency <= recency_days AND recency_days <= age_days",
            ("user_id", "frequency", "recency_days", "age_days"),
        ),
        Holds("who bought on one day is alive", "frequency > 0 OR p_alive = 1", ("user_id", "p_alive")),
        Holds(
            "predicted_value is purchases x order value, to the cent",
            # of large amounts a double has no cents, and the largest stand for any above them
            f"predicted_order_value = {MONEY_MAX} OR abs(predicted_value - least(predicted_purchases * predicted_order_value, "
            f"{MONEY_MAX})) <= 0.01 + 0.005 * predicted_purchases + 1e-12 * predicted_value",
            ("user_id", "predicted_purchases", "predicted_order_value", "predicted_value"),
        ),
        _equal(
            "customers and their days equal silver/transaction_items",
            {"customer_count": "count(*)", "day_count": "sum(frequency + 1)"},
            "{batch}",
            {"silver_customer_count": "count(*)", "silver_day_count": "sum(days)"},
            # one exchange, by customer, serves both: days of each, and customers
            "(SELECT customer, count(DISTINCT day) AS days FROM (SELECT /*+ REPARTITION(customer) */ xxhash64(user_id) AS customer, "
            f"to_date(timestamp) AS day FROM {_ITEMS} WHERE {_ORDERS}) GROUP BY customer)",
        ),
    ),
    BASKET_PAIRS.path: (
        Between("order_count", LEAST_ORDERS),
        Holds("A is the smaller id", "product_a_id < product_b_id", ("product_a_id", "product_b_id")),
        Holds(
            "no pair is in more orders than its products, and none in more than all",
            "order_count <= least(a_order_count, b_order_count) AND greatest(a_order_count, b_order_count) <= all_order_count",
            ("product_a_id", "product_b_id", "order_count", "a_order_count", "b_order_count", "all_order_count"),
        ),
        Holds(
            "support, confidence and lift follow from the counts",
            "support <=> try_divide(order_count, all_order_count) AND confidence_a_to_b <=> try_divide(order_count, a_order_count) "
            "AND confidence_b_to_a <=> try_divide(order_count, b_order_count) "
            "AND lift <=> try_divide(order_count * all_order_count, a_order_count * b_order_count)",
            ("product_a_id", "product_b_id", "support", "confidence_a_to_b", "confidence_b_to_a", "lift"),
        ),
        NoRows(
            "all_order_count equals silver/transaction_items",
            "SELECT DISTINCT all_order_count, silver_order_count FROM {batch} CROSS JOIN (SELECT count(*) AS silver_order_count FROM "
            f"(SELECT transaction_id FROM {_ITEMS} GROUP BY transaction_id HAVING count(DISTINCT product_id) <= {MOST_PRODUCTS})) "
            "WHERE all_order_count <> silver_order_count",
        ),
    ),
    FUNNEL_DAILY.path: (
        Between("session_count", 1),
        *[Between(f"{step}_session_count", 0) for step in ("view", "cart", "order")],
        *[_share(f"{name}_rate", "country", "category") for name in ("view_to_cart", "cart_to_order", "conversion")],
        Holds(
            "no step has more sessions than there are",
            "greatest(view_session_count, cart_session_count, order_session_count) <= session_count",
            ("country", "category", "session_count"),
        ),
        Holds(
            "conversion_rate is sessions with an order / sessions",
            "conversion_rate <=> try_divide(order_session_count, session_count)",
            ("country", "category", "conversion_rate"),
        ),
        *_countries_add_up("date, category", ("session_count", "order_session_count")),
        NoRows(
            "sessions and those with an order equal gold/sessions",
            f"SELECT date, session_count, order_session_count, live_session_count, live_order_session_count "
            f"FROM (SELECT * FROM {{batch}} WHERE {_OVER_ALL}) FULL JOIN (SELECT started_date AS date, "
            f"count(*) AS live_session_count, count_if(order_count > 0) AS live_order_session_count FROM gold_sessions "
            f"GROUP BY started_date) USING (date) WHERE session_count IS DISTINCT FROM live_session_count "
            f"OR order_session_count IS DISTINCT FROM live_order_session_count",
        ),
    ),
}  # fmt: skip
