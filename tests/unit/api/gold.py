"""Small gold tables for the API's tests: a few rows each, named columns given, the others filled in."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from lakehouse import tables as t
from lakehouse.tables import Table

DAY = date(2026, 3, 14)
KNOWN = datetime(2026, 3, 14, 11, 0, 0, 123000, tzinfo=UTC)


def at(hour: int, minute: int = 0, second: int = 0) -> datetime:
    """A moment of the test day, 14 March 2026."""
    return datetime(2026, 3, 14, hour, minute, second, tzinfo=UTC)


def usd(text: str) -> Decimal:
    return Decimal(text)


def row(table: Table, **values: Any) -> tuple[Any, ...]:
    """A row of `table` with `values`; what is not given is null where it may be, else a plain value of its type."""
    unknown = values.keys() - {column.name for column in table.columns}
    assert not unknown, unknown
    return tuple(
        values[column.name] if column.name in values else None if column.nullable else _plain(column.name, column.type)
        for column in table.columns
    )


def _plain(name: str, kind: pa.DataType) -> Any:
    if name == "known_at":
        return KNOWN
    if pa.types.is_timestamp(kind):
        return at(9)
    if pa.types.is_date(kind):
        return DAY
    if pa.types.is_decimal(kind):
        return Decimal("0.00")
    if pa.types.is_boolean(kind):
        return False
    if pa.types.is_string(kind):
        return ""
    if pa.types.is_map(kind) or pa.types.is_list(kind):
        return []
    return 0


def _trend(day: date, country: str, revenue: str | None, **more: Any) -> tuple[Any, ...]:
    values = {
        "as_of_date": DAY, "period_type": "day", "period_start": day, "period_end": day, "category": "all",
        "country": country, "is_complete": True, "revenue": usd(revenue) if revenue else None,
    }  # fmt: skip
    return row(t.SALES_TRENDS, **{**values, **more})


def _performance(product: str, category: str, revenue: str, rank: int | None, **more: Any) -> tuple[Any, ...]:
    return row(
        t.PRODUCT_PERFORMANCE, as_of_date=DAY, product_id=product, category=category, revenue=usd(revenue),
        revenue_rank=rank, **more,
    )  # fmt: skip


def _product(product: str, name: str, category: str, price: str, is_current: bool = True) -> tuple[Any, ...]:
    return row(
        t.DIM_PRODUCT, product_key=hash(product) % 1000 + is_current, product_id=product, name=name, category=category,
        price=usd(price), valid_from=at(0), valid_to=None if is_current else at(1), is_current=is_current,
    )  # fmt: skip


def session(user: str, started: datetime, country: str, batch: int, **more: Any) -> tuple[Any, ...]:
    values = {
        "started_date": DAY, "user_id": user, "started_at": started, "ended_at": started + timedelta(minutes=5),
        "duration_seconds": 300.0, "country": country, "entry_kind": "product_view", "entry_product_id": "p1", "batch_id": batch,
    }  # fmt: skip
    return row(t.SESSIONS, **{**values, **more})


def cart(cart_id: str, country: str, status: str, amount: str, batch: int = 1, **more: Any) -> tuple[Any, ...]:
    values = {
        "opened_date": DAY, "cart_id": cart_id, "user_id": "u1", "country": country, "status": status,
        "opened_at": at(9), "last_activity_at": at(9, 30), "amount": usd(amount), "batch_id": batch,
    }  # fmt: skip
    return row(t.CARTS, **{**values, **more})


def level(product: str, units: int, status: str, batch: int = 1, **more: Any) -> tuple[Any, ...]:
    values = {"product_id": product, "category": "Coffee", "level": units, "status": status, "batch_id": batch}
    return row(t.INVENTORY_LEVELS, **{**values, **more})


def rate(
    second: datetime, topic: str, reasons: str, counts: tuple[int, int, int, int], batch: int = 1
) -> tuple[Any, ...]:
    """`counts`: accepted, quarantined, duplicate, late."""
    accepted, quarantined, duplicate, late = counts
    return row(
        t.INGESTION_RATES, second=second, topic=topic, reasons=reasons, record_count=accepted + quarantined + duplicate,
        accepted_count=accepted, quarantined_count=quarantined, duplicate_count=duplicate, late_count=late, batch_id=batch,
    )  # fmt: skip


def anomaly(name: str, user: str | None, country: str | None, score: float, **more: Any) -> tuple[Any, ...]:
    values = {
        "anomaly_id": name, "detector": "amount_outlier", "user_id": user, "country": country, "score": score,
        "verdict": "raised", "explanation": f"{user} spent a lot", "evidence": "{}", "event_at": at(10), "detected_at": at(10, 1),
    }  # fmt: skip
    return row(t.ANOMALIES, **{**values, **more})


def ledger(batch: int, next_offset: int, records: int, quarantined: int, duplicates: int) -> tuple[Any, ...]:
    return row(
        t.LEDGER_STREAMING, generation=1, batch_id=batch, started_at=at(11), committed_at=at(11, 0, batch),
        next_offsets=[("transactions/0", next_offset)], watermarks=[("transactions", at(10))],
        table_versions=[("gold/orders_by_minute", 0), ("gold/sales_by_minute", 0)], lag_records=[("transactions", 3)],
        lag_seconds=[("transactions", 0.5)], record_count=records, accepted_count=records - quarantined - duplicates,
        quarantined_count=quarantined, duplicate_count=duplicates,
    )  # fmt: skip


def bad(offset: int, topic: str, reasons: list[str]) -> tuple[Any, ...]:
    return row(
        t.QUARANTINE, topic=topic, offset=offset, kafka_at=at(10, offset), reason_codes=reasons, detail="see reasons"
    )


GOLD: dict[Table, list[tuple[Any, ...]]] = {
    t.SALES_TRENDS: [
        _trend(date(2026, 3, 13), "all", "100.00", unit_count=10),
        _trend(date(2026, 3, 13), "US", "60.00", unit_count=6),
        _trend(date(2026, 3, 13), "DE", "40.00", unit_count=4),
        _trend(DAY, "all", "110.50", unit_count=11, revenue_growth_week=0.1),
        _trend(
            date(2026, 3, 15), "all", None, is_forecast=True, is_complete=False, revenue_forecast=usd("120.25"),
            revenue_forecast_low=usd("90.00"), revenue_forecast_high=usd("150.00"), forecast_error=0.2, naive_error=0.3,
        ),
    ],
    t.COHORT_RETENTION: [
        row(
            t.COHORT_RETENTION, as_of_date=DAY, cohort_month=date(2026, 2, 1), country=country, month_number=number,
            is_complete=True, customer_count=10, active_count=active, retention_rate=active / 10, revenue=usd("50.00"),
        )
        for country, number, active in (("all", 0, 10), ("all", 1, 4), ("US", 0, 6))
    ],
    t.DIM_PRODUCT: [
        _product("p1", "House Beans", "Coffee", "12.30"),
        _product("p2", "Ridge Tent", "Tents", "199.99"),
        _product("p3", "Decaf Beans", "Coffee", "4.10"),
        _product("p1", "Beans", "Coffee", "11.00", is_current=False),
    ],
    t.PRODUCT_PERFORMANCE: [
        _performance("p1", "Coffee", "20.30", 1, unit_count=6, order_count=5, view_to_cart_rate=0.5, stock_out_days=1),
        _performance("p2", "Tents", "199.99", 1, unit_count=1, order_count=1),
        _performance("p3", "Coffee", "4.10", 2, unit_count=1, order_count=1),
        _performance("p4", "Coffee", "0.00", None),
    ],
    t.BASKET_PAIRS: [
        row(
            t.BASKET_PAIRS, as_of_date=DAY, product_a_id="p1", product_b_id="p2", order_count=6, a_order_count=8,
            b_order_count=7, all_order_count=20, support=0.3, confidence_a_to_b=0.75, confidence_b_to_a=0.857, lift=2.14,
        )
    ],
    t.CUSTOMER_LIFETIME_VALUE: [
        row(
            t.CUSTOMER_LIFETIME_VALUE, as_of_date=DAY, user_id=user, frequency=3, recency_days=40, age_days=60,
            monetary=usd("20.00"), p_alive=alive, predicted_purchases=1.5, predicted_order_value=usd("21.00"),
            predicted_value=usd(value),
        )
        for user, alive, value in (("u1", 0.9, "31.50"), ("u2", 0.5, "44.00"), ("u3", 0.01, "0.10"))
    ],
    t.RFM_MOVEMENTS: [
        row(t.RFM_MOVEMENTS, as_of_date=DAY, days_back=1, from_segment="champions", to_segment=to, customer_count=count)
        for to, count in (("champions", 1), ("lost", 2))
    ],
    t.SESSIONS: [
        session("u1", at(9), "US", 1, is_open=True, view_count=1),
        session("u1", at(9), "US", 2, view_count=3, order_count=1, revenue=usd("12.30"), is_converted=True),
        session("u2", at(9, 10), "DE", 1, view_count=2),
        session("u3", at(9, 20), "IN", 1, view_count=9),
        session("u3", at(9, 20), "IN", 2, is_retracted=True),
    ],
    t.CARTS: [
        cart("c1", "US", "open", "12.30"),
        cart("c1", "US", "abandoned", "12.30", 2),
        cart("c2", "DE", "purchased", "8.00", user_id="u2"),
    ],
    t.FUNNEL_DAILY: [
        row(
            t.FUNNEL_DAILY, date=DAY, country=country, category=category, session_count=count, view_session_count=count,
            cart_session_count=count // 2, order_session_count=1, view_to_cart_rate=0.5, conversion_rate=1 / count,
        )
        for country, category, count in (("all", "all", 10), ("US", "all", 6), ("all", "Coffee", 4))
    ],
    t.INVENTORY_LEVELS: [
        level("p1", 40, "ok"),
        level("p1", 3, "low", 2, days_of_cover=0.5, sell_rate_per_day=6.0),
        level("p2", 0, "out"),
        level("p3", 90, "ok", days_of_cover=20.0),
    ],
    t.INGESTION_RATES: [
        rate(at(10, 0, 1), "transactions", "", (5, 0, 1, 1)),
        rate(at(10, 0, 1), "transactions", "", (2, 0, 0, 0), 2),
        rate(at(10, 0, 1), "transactions", "price_scale", (0, 2, 0, 0)),
        rate(at(10, 0, 2), "product_views", "", (9, 0, 0, 0)),
    ],
    t.ANOMALIES: [
        anomaly("a1", "u1", "US", 0.9, product_id="p1"),
        anomaly("a2", "u2", "DE", 0.7, detector="purchase_burst", detected_at=at(10, 2)),
        anomaly("a3", None, None, 0.5, detector="regional_drop", explanation="few orders", detected_at=at(10, 3)),
    ],
    t.QUARANTINE: [
        bad(1, "transactions", ["price_scale"]),
        bad(2, "transactions", ["price_scale", "unknown_country"]),
        bad(3, "users", ["email_missing"]),
    ],
    t.LEDGER_STREAMING: [ledger(1, 10, 10, 1, 1), ledger(2, 30, 20, 2, 0)],
    t.DIM_USER: [
        row(
            t.DIM_USER, user_key=1, user_id="u1", email="ada@example.com", age=36, country="US", registration_date=at(0),
            preferences=["Coffee"], valid_from=at(0), is_current=True,
        )
    ],
    t.FACT_SALES: [
        row(
            t.FACT_SALES, sales_date=DAY, timestamp=at(9, 5), transaction_id="t1", line_number=line, user_id="u1", product_id="p1",
            category="Coffee", country="US", payment_method="paypal", quantity=1, line_amount=usd(amount),
        )
        for line, amount in ((1, "4.10"), (2, "8.20"))
    ],
    t.FACT_SESSIONS: [row(t.FACT_SESSIONS, started_date=DAY, user_id="u1")],
    t.FACT_INVENTORY_DAILY: [row(t.FACT_INVENTORY_DAILY, date=DAY, product_id="p1")],
    t.DIM_DATE: [row(t.DIM_DATE, date=DAY)],
    t.DIM_COUNTRY: [row(t.DIM_COUNTRY, country="US", name="United States")],
    t.DIM_PAYMENT_METHOD: [row(t.DIM_PAYMENT_METHOD, payment_method="paypal")],
    t.ALERTS: [row(t.ALERTS, alert_id="a1", raised_at=at(10))],
}  # fmt: skip

# One line of `results.jsonl`, as a batch run writes it.
QUALITY = {
    "table": "gold/fact_sales", "day": "2026-03-14", "passed": True, "expectations": 12, "failed": 0, "rows": 1000,
    "seconds": 1.5, "at": "2026-03-15T01:10:00+00:00", "page": "gold.fact_sales.html",
}  # fmt: skip
