"""Gold marts: one subject each, one partition a day; `lakehouse.marts` has a module for each that makes its rows."""

from __future__ import annotations

import pyarrow as pa

from lakehouse.tables.base import BATCH_PROPERTIES, MONEY, PRODUCT_ID, USER_ID, Column, Table, column

_AS_OF = column("as_of_date", pa.date32(), "last day that counts (UTC day)")
_CATEGORY_OR_ALL = column("category", pa.string(), "category name; `all` in a row over all categories")
_COUNTRY_OR_ALL = column("country", pa.string(), "country of the visit; `all` in a row over all countries")


def _rate(name: str, meaning: str) -> Column:
    return column(name, pa.float64(), meaning, True)


def _mart(name: str, grain: str, key: tuple[str, ...], *columns: Column) -> Table:
    """A mart; the first column of its key is the day that a run replaces."""
    return Table(name, "gold", "batch", grain, columns, key, key[:1], BATCH_PROPERTIES)


PRODUCT_PERFORMANCE = _mart(
    "product_performance",
    "one product over the 28 days up to `as_of_date`: each listed by then, or seen in those days, or sold in the 28 before",
    ("as_of_date", "product_id"),
    _AS_OF,
    PRODUCT_ID,
    column(
        "category", pa.string(), "the product's newest category by the end of `as_of_date`; `unknown` without a record"
    ),
    column("unit_count", pa.int64(), "units sold"),
    column("order_count", pa.int64(), "transactions with the product"),
    column("revenue", MONEY, "sum of line amounts, USD"),
    column("price_realised", MONEY, "revenue / units, USD; null where nothing sold", True),
    column("list_revenue", MONEY, "the same units at the list price of the moment of each sale, USD"),
    _rate("price_realisation", "revenue / `list_revenue`: 0.9 is ten percent below list; null where that is 0"),
    column("view_session_count", pa.int64(), "visits (customer and `session_id`) with a view of the product"),
    column("cart_session_count", pa.int64(), "visits that put it into a cart"),
    column("order_session_count", pa.int64(), "visits that bought it"),
    _rate("view_to_cart_rate", "of the visits with a view, the share that put it into a cart; null without a view"),
    _rate("cart_to_order_rate", "of the visits that put it into a cart, the share that bought it; null without one"),
    _rate("view_to_order_rate", "of the visits with a view, the share that bought it; null without a view"),
    column(
        "revenue_rank",
        pa.int32(),
        "1 is the most revenue in its category, equals share a rank; null where nothing sold",
        True,
    ),
    column("previous_revenue_rank", pa.int32(), "the same for the 28 days before", True),
    column(
        "rank_movement", pa.int32(), "`previous_revenue_rank` - `revenue_rank`: positive is up; null without both", True
    ),
    column("stock_out_days", pa.int32(), "days out of stock"),
    _rate(
        "lost_units_estimate",
        "units not sold for want of stock, see `lakehouse.marts.product_performance`; null where never in stock",
    ),
    column("lost_revenue_estimate", MONEY, "those units at the newest list price, USD; null where unknown", True),
)
SALES_TRENDS = _mart(
    "sales_trends",
    "one period of one category in one country, as seen at the end of `as_of_date`",
    ("as_of_date", "period_type", "period_start", "category", "country"),
    _AS_OF,
    column("period_type", pa.string(), "day, week (from Monday) or month"),
    column("period_start", pa.date32(), "first day (UTC)"),
    column("period_end", pa.date32(), "last day (UTC)"),
    _CATEGORY_OR_ALL,
    _COUNTRY_OR_ALL,
    column("is_complete", pa.bool_(), "false where the period ends after `as_of_date` or begins before the first sale"),
    column("is_forecast", pa.bool_(), "true for a day after `as_of_date`, which has a forecast and no figures"),
    column("unit_count", pa.int64(), "units sold; null in a forecast", True),
    column("revenue", MONEY, "sum of line amounts, USD; null in a forecast", True),
    _rate("units_average_7_days", "of a day: mean units a day over 7 days, this one the last; null before 7 days"),
    _rate("units_average_28_days", "the same over 28 days"),
    column("revenue_average_7_days", MONEY, "of a day: mean revenue a day over 7 days; null before 7 days", True),
    column("revenue_average_28_days", MONEY, "the same over 28 days", True),
    _rate("revenue_growth_week", "revenue against 7 days before, 0.1 is ten percent more; null where not comparable"),
    _rate("revenue_growth_month", "a day or week against 28 days before, a month against the month before"),
    _rate("revenue_growth_year", "a day or week against 364 days before, a month against that month last year"),
    _rate("seasonal_index", "of a day: its weekday's mean revenue / mean revenue of a day, in the last 56 days"),
    column("revenue_forecast", MONEY, "expected revenue of a future day, USD", True),
    column("revenue_forecast_low", MONEY, "lower end of the 80% interval, USD, at least 0", True),
    column("revenue_forecast_high", MONEY, "upper end of the 80% interval, USD", True),
    _rate("forecast_error", "of a future day: error of the back-test, sum of |actual - forecast| / sum of actual"),
    _rate("naive_error", "the same of the seasonal naive forecast, each day as one week before"),
    _rate("interval_coverage", "of a future day: share of the back-test's days inside their 80% interval"),
)
COHORT_RETENTION = _mart(
    "cohort_retention",
    "customers who first bought in one month in one country, in one month of their life",
    ("as_of_date", "cohort_month", "country", "month_number"),
    _AS_OF,
    column("cohort_month", pa.date32(), "first day of the month of the first purchase (UTC)"),
    column("country", pa.string(), "country of the first purchase, for good; `all` in a row over all countries"),
    column("month_number", pa.int32(), "months after `cohort_month`; 0 is that month itself"),
    column("is_complete", pa.bool_(), "false where the month ends after `as_of_date`"),
    column("customer_count", pa.int64(), "customers of the cohort"),
    column("active_count", pa.int64(), "of those, with a purchase in that month, wherever"),
    column("retention_rate", pa.float64(), "`active_count` / `customer_count`"),
    column("revenue", MONEY, "what the cohort bought in that month, USD"),
    column("cumulative_revenue", MONEY, "what it bought from `cohort_month` to that month, USD"),
)
CUSTOMER_LIFETIME_VALUE = _mart(
    "customer_lifetime_value",
    "one customer with a purchase by the end of `as_of_date`",
    ("as_of_date", "user_id"),
    _AS_OF,
    USER_ID,
    column("frequency", pa.int32(), "days with a purchase after the first such day"),
    column("recency_days", pa.int32(), "days from the first to the last day with a purchase"),
    column("age_days", pa.int32(), "days from the first day with a purchase to `as_of_date`: T in the literature"),
    column("monetary", MONEY, "mean revenue of a day with a purchase, USD"),
    column("p_alive", pa.float64(), "probability that the customer still buys (BG/NBD)"),
    column("predicted_purchases", pa.float64(), "days with a purchase expected in the 90 days after `as_of_date`"),
    column("predicted_order_value", MONEY, "expected revenue of such a day, USD (Gamma-Gamma)"),
    column("predicted_value", MONEY, "expected revenue of the 90 days, USD, not discounted"),
)
BASKET_PAIRS = _mart(
    "basket_pairs",
    "two products bought together in at least 5 orders of the 28 days up to `as_of_date`",
    ("as_of_date", "product_a_id", "product_b_id"),
    _AS_OF,
    column("product_a_id", pa.string(), "product, the smaller id of the two"),
    column("product_b_id", pa.string(), "product, the larger id"),
    column("order_count", pa.int64(), "orders with both"),
    column("a_order_count", pa.int64(), "orders with A"),
    column("b_order_count", pa.int64(), "orders with B"),
    column("all_order_count", pa.int64(), "orders of 100 products at most; larger ones count nowhere in this mart"),
    column("support", pa.float64(), "share of orders with both"),
    column("confidence_a_to_b", pa.float64(), "of the orders with A, the share with B"),
    column("confidence_b_to_a", pa.float64(), "of the orders with B, the share with A"),
    column("lift", pa.float64(), "how much more often together than by chance: 1 is chance"),
)
FUNNEL_DAILY = _mart(
    "funnel_daily",
    "the sessions that began on one day in one country, and touched one category",
    ("date", "country", "category"),
    column("date", pa.date32(), "day of the sessions' `started_at` (UTC)"),
    _COUNTRY_OR_ALL,
    column("category", pa.string(), "category seen, put into a cart or bought; `all` in a row over all sessions"),
    column("session_count", pa.int64(), "closed sessions; of a category, those with any event of it"),
    column("view_session_count", pa.int64(), "of those, with a product view"),
    column("cart_session_count", pa.int64(), "of those, with a change of a cart"),
    column("order_session_count", pa.int64(), "of those, with an order"),
    _rate("view_to_cart_rate", "of the sessions with a view, the share with a change of a cart; null without a view"),
    _rate("cart_to_order_rate", "of the sessions with a change of a cart, the share with an order; null without one"),
    column("conversion_rate", pa.float64(), "sessions with an order / sessions"),
)
RFM_MOVEMENTS = _mart(
    "rfm_movements",
    "customers who were in one segment some days ago and are in one on `as_of_date`",
    ("as_of_date", "days_back", "from_segment", "to_segment"),
    _AS_OF,
    column("days_back", pa.int32(), "how many days before `as_of_date`: 1 or 30"),
    column("from_segment", pa.string(), "segment then; `none` for who had not bought in the 365 days up to then"),
    column("to_segment", pa.string(), "segment on `as_of_date`; `none` for who has not bought in the 365 days"),
    column("customer_count", pa.int64(), "customers; those who stayed have a row with equal segments"),
)
