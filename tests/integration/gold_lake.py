"""A lake on files with rows of gold as the stream and batch runs would leave them, for what reads them: notebooks. Made without Spark."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa
from batch_lake import row
from deltalake import write_deltalake

from lakehouse import tables as t
from lakehouse.countries import COUNTRIES
from lakehouse.settings import Settings
from lakehouse.storage import delta_uri

DAY = date(2026, 3, 14)
KNOWN = datetime.combine(DAY, time(12), UTC)
REVENUE = Decimal("1234.56")
"""Of the last day, in all countries and categories, wherever it is kept."""


def write(settings: Settings, table: t.Table, *rows: dict[str, Any]) -> None:
    """One commit of rows, each filled up with values of its columns' types."""
    made = pa.Table.from_pylist([row(table, KNOWN, **one) for one in rows], schema=table.schema)
    write_deltalake(delta_uri(settings, table), made, mode="append", partition_by=list(table.partition_by) or None)


def fill_gold(settings: Settings) -> None:
    """Every table that a notebook names, but for the ledger: some rows each, of 60 days up to DAY."""
    _live(settings)
    _customers(settings)
    _products(settings)
    _trends(settings)
    _anomalies(settings)


def _live(settings: Settings) -> None:
    for number in range(3):
        minute = KNOWN - timedelta(days=2 - number)
        sums = {"minute": minute, "payment_method": "paypal", "order_count": 2, "batch_id": number}
        countries = [{**sums, "country": code, "revenue": Decimal("10.01")} for code in COUNTRIES]
        write(settings, t.ORDERS_BY_MINUTE, *countries)
    half = REVENUE / 2
    sale = {"minute": KNOWN, "country": "US", "category": "books", "revenue": half}
    write(settings, t.SALES_BY_MINUTE, {**sale, "batch_id": 1}, {**sale, "batch_id": 2})
    order = {"transaction_id": "t1", "country": "US", "total_amount": REVENUE, "topic": "transactions"}
    write(settings, t.TRANSACTIONS, order)
    write(settings, t.QUARANTINE, {"reason_codes": ["missing.user_id", "type.price"]}, {"reason_codes": ["type.price"]})


def _customers(settings: Settings) -> None:
    scores = [
        {"as_of_date": DAY, "user_id": f"u{n}", "r_score": n % 5 + 1, "f_score": n % 3 + 1, "m_score": 3, "frequency": n + 1,
         "monetary": Decimal(n * 10), "segment": "champions" if n % 5 == 4 else "lost"}
        for n in range(20)
    ]  # fmt: skip
    write(settings, t.CUSTOMER_RFM, *scores)
    value = {"as_of_date": DAY, "p_alive": 0.5, "predicted_value": Decimal("12.50")}
    write(settings, t.CUSTOMER_LIFETIME_VALUE, *[{**value, "user_id": one["user_id"]} for one in scores])
    move = {"as_of_date": DAY, "days_back": 30, "from_segment": "lost", "to_segment": "champions", "customer_count": 3}
    write(settings, t.RFM_MOVEMENTS, move)
    cohort = {"as_of_date": DAY, "cohort_month": date(2026, 2, 1), "country": "all", "customer_count": 20}
    months = [{**cohort, "month_number": n, "retention_rate": 1 / (n + 1), "is_complete": not n} for n in range(2)]
    write(settings, t.COHORT_RETENTION, *months)


def _products(settings: Settings) -> None:
    performance = {"as_of_date": DAY, "category": "books", "unit_count": 3, "revenue_rank": 1, "rank_movement": 2}
    lost = {"stock_out_days": 2, "lost_units_estimate": 1.5, "lost_revenue_estimate": Decimal("15.00")}
    sold = [{**performance, "product_id": f"p{n}", "revenue": Decimal(30 - n), **(lost if n else {})} for n in range(3)]
    write(settings, t.PRODUCT_PERFORMANCE, *sold, {**performance, "product_id": "p9", "revenue": Decimal(0)})
    named = [{"product_id": f"p{n}", "name": f"Book {n}", "category": "books", "is_current": True} for n in range(3)]
    write(settings, t.DIM_PRODUCT, *named)
    steps = {"session_count": 100, "view_session_count": 90, "cart_session_count": 30, "order_session_count": 9}
    rates = {"view_to_cart_rate": 0.3, "cart_to_order_rate": 0.25, "conversion_rate": 0.09}
    write(settings, t.FUNNEL_DAILY, {"date": DAY, "country": "all", "category": "all", **steps, **rates})
    pair = {
        "as_of_date": DAY,
        "product_a_id": "p0",
        "product_b_id": "p1",
        "order_count": 7,
        "lift": 2.5,
        "support": 0.1,
    }
    write(settings, t.BASKET_PAIRS, pair)


def _trends(settings: Settings) -> None:
    day = {"as_of_date": DAY, "period_type": "day", "category": "all", "country": "all"}
    known = {"is_complete": True, "is_forecast": False, "unit_count": 9, "seasonal_index": 1.1}
    past = [DAY - timedelta(days=n) for n in range(60)]
    days = [
        {
            **day,
            **known,
            "period_start": one,
            "period_end": one,
            "revenue": REVENUE + n,
            "revenue_average_7_days": REVENUE,
        }
        for n, one in enumerate(past)
    ]
    expected = {
        "revenue_forecast": REVENUE,
        "revenue_forecast_low": Decimal(900),
        "revenue_forecast_high": Decimal(1500),
    }
    errors = {"is_forecast": True, "forecast_error": 0.1, "naive_error": 0.2, "interval_coverage": 0.8}
    future = [{**day, **expected, **errors, "period_start": DAY + timedelta(days=n + 1)} for n in range(14)]
    month = {
        "as_of_date": DAY,
        "period_type": "month",
        "period_start": DAY.replace(day=1),
        "unit_count": 9,
        "is_forecast": False,
    }
    months = [{**month, "category": "all", "country": code, "revenue": REVENUE} for code in COUNTRIES]
    months += [{**month, "category": name, "country": "all", "revenue": REVENUE} for name in ("books", "toys")]
    write(settings, t.SALES_TRENDS, *days, *future, *months)
    write(settings, t.FACT_SALES, {"sales_date": DAY, "line_amount": REVENUE})


def _anomalies(settings: Settings) -> None:
    scored = {"scored_at": KNOWN, "precision": 0.9, "recall": 0.8, "f1": 0.85, "anomaly_count": 10}
    write(settings, t.DETECTOR_SCORECARD, *[{**scored, "detector": name} for name in ("view_bot", "overall", "naive")])
    found = {"detector": "view_bot", "event_at": KNOWN, "score": 0.9, "country": "US"}
    write(
        settings,
        t.ANOMALIES,
        {**found, "anomaly_id": "a", "verdict": "raised", "explanation": "300 views in a minute"},
        {**found, "anomaly_id": "b", "verdict": "raised", "explanation": "taken back", "batch_id": 1},
        {**found, "anomaly_id": "b", "verdict": "retracted", "explanation": "taken back", "batch_id": 2},
    )
