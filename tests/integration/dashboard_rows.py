"""Gold as the dashboards need it: two days of a small shop, with late events, names with quotes, and every state that a panel tells apart."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

from mirror_rows import append, row

from lakehouse import tables as t
from lakehouse.settings import Settings

DAY = date(2026, 3, 14)
START = datetime(2026, 3, 14, tzinfo=UTC)
END = START + timedelta(days=1)
COUNTRIES = ("US", "DE", "BR")
CATEGORIES = ("Coffee", "Men's Shoes", "unknown")
PRODUCTS = {"P1": "Coffee", "P2": "Coffee", "P3": "Men's Shoes", "P4": "Men's Shoes"}
FINAL_UNTIL = START + timedelta(hours=20)
Row = dict[str, Any]


def money(cents: int) -> Decimal:
    return Decimal(cents) / 100


def sales() -> Iterator[Row]:
    """Both days; at noon late rows of a later batch, one of them of a whole hour that nobody had sold in before."""
    for hour in range(48):
        at = START - timedelta(days=1) + timedelta(hours=hour, minutes=hour)
        for number, country in enumerate(COUNTRIES):
            for place, category in enumerate(CATEGORIES):
                cents = 1_000 * hour + 100 * number + place + 1
                yield _sale(at, country, category, hour % 5 + 1, cents, 1)
    yield _sale(START + timedelta(hours=12, minutes=12), "US", "Coffee", 3, 777, 9)
    yield _sale(END, "US", "Coffee", 1_000, 99_999_999, 1)  # of the period after: its end is not in a period


def _sale(at: datetime, country: str, category: str, units: int, cents: int, batch: int) -> Row:
    counts = {"unit_count": units, "line_count": 1, "revenue": money(cents)}
    return {"minute": at, "country": country, "category": category, **counts, **_known(batch)}


def _known(batch: int) -> Row:
    return {"batch_id": batch, "known_at": START + timedelta(hours=22 + batch / 10)}


def orders() -> Iterator[Row]:
    for hour in range(48):
        at = START - timedelta(days=1) + timedelta(hours=hour, minutes=hour)
        for number, country in enumerate(COUNTRIES):
            method = ("paypal", "credit_card", "gift_card")[(hour + number) % 3]
            counts = {"order_count": number + 1, "revenue": money(3_000 * hour + 300 * number + 5)}
            yield {"minute": at, "country": country, "payment_method": method, **counts, **_known(1)}
    late = {"order_count": 1, "revenue": money(777), **_known(9)}
    yield {"minute": START + timedelta(hours=12, minutes=36), "country": "US", "payment_method": "paypal", **late}
    ahead = {"order_count": 7, "revenue": money(1), **_known(1)}
    yield {"minute": END, "country": "US", "payment_method": "paypal", **ahead}


def rates(start: datetime = START, seconds: int = 3600, step: int = 60) -> Iterator[Row]:
    """Per minute and topic ten records: eight accepted, one of them late, one quarantined for two reasons, one duplicate."""
    for second in range(0, seconds, step):
        for topic in ("transactions", "product_views"):
            at = {"second": start + timedelta(seconds=second), "topic": topic, **_known(1)}
            yield at | _counts("", 9, 8, 0, 1, 1)
            yield at | _counts("transaction.total_amount user.email", 1, 0, 1, 0, 0)


def _counts(reasons: str, *counts: int) -> Row:
    names = ("record_count", "accepted_count", "quarantined_count", "duplicate_count", "late_count")
    return {"reasons": reasons, **dict(zip(names, counts, strict=True))}


def sessions() -> Iterator[Row]:
    """Every hour of both days one session per country; every third has an order, and the last one is open."""
    for hour in range(48):
        at = START - timedelta(days=1) + timedelta(hours=hour, minutes=30)
        for number, country in enumerate(COUNTRIES):
            converted = (hour + number) % 3 == 0
            values = {"user_id": f"u{number}", "started_at": at, "started_date": at.date(), "country": country}
            counts = {
                "view_count": 3,
                "cart_count": 1,
                "order_count": int(converted),
                "revenue": money(500 * converted),
            }
            yield (
                row(t.SESSIONS, hour, at.date()) | values | counts | {"is_converted": converted, "is_open": hour == 47}
            )


def carts() -> Iterator[Row]:
    for number in range(-40, 40):
        at = START + timedelta(minutes=30 * number)
        status = ("open", "abandoned", "recovered", "purchased")[number % 4]
        values = {"cart_id": f"c{number}", "opened_at": at, "opened_date": at.date(), "last_activity_at": at}
        filled = 0 if number == 5 else 2  # an abandoned cart with nothing in it
        held = {"amount": money(1_250 * (filled > 0)), "unit_count": filled, "country": COUNTRIES[number % 3]}
        yield row(t.CARTS, number, at.date()) | values | held | {"status": status}


def findings() -> Iterator[Row]:
    for number in range(6):
        at = START + timedelta(hours=2 * number)
        name = {"anomaly_id": f"a{number}", "detector": "odd_amount", "event_at": at, "verdict": "raised", "score": 0.9}
        yield row(t.ANOMALIES, number, DAY) | name | {"country": None if number == 3 else "US"}
    retracted = {"anomaly_id": "a1", "event_at": START + timedelta(hours=2), "verdict": "retracted"}
    yield row(t.ANOMALIES, 1, DAY) | retracted | {"detector": "odd_amount", "country": "US", "score": 0.1}


def alerts() -> Iterator[Row]:
    for number in range(4):
        at = {"alert_id": f"al{number}", "event_at": START + timedelta(hours=number), "title": f"Alert {number}"}
        yield row(t.ALERTS, number, DAY) | at | {"verdict": "raised", "severity": "critical"}
    yield row(t.ALERTS, 2, DAY) | {"alert_id": "al2", "event_at": START + timedelta(hours=2), "verdict": "retracted"}


def marts() -> Iterator[tuple[t.Table, list[Row]]]:
    yield (
        t.CUSTOMER_RFM,
        [
            row(t.CUSTOMER_RFM, n, DAY)
            | {
                "monetary": money(10_001 * (n + 1)),
                "frequency": n + 1,
                "recency_days": n,
                "segment": ("champions", "lost")[n % 2],
            }
            for n in range(7)
        ],
    )
    yield (
        t.CUSTOMER_LIFETIME_VALUE,
        [
            row(t.CUSTOMER_LIFETIME_VALUE, n, DAY) | {"predicted_value": money(333 * n), "predicted_purchases": 0.5}
            for n in range(9)
        ],
    )
    yield (
        t.RFM_MOVEMENTS,
        [
            {"as_of_date": DAY, "days_back": 30, "from_segment": a, "to_segment": b, "customer_count": n}
            for n, (a, b) in enumerate((("none", "champions"), ("champions", "lost"), ("lost", "lost")), start=2)
        ],
    )
    yield (
        t.COHORT_RETENTION,
        [
            _cohort(month, country, number)
            for month in (date(2026, 1, 1), date(2026, 2, 1))
            for country in (*COUNTRIES, "all")
            for number in range(3)
        ],
    )
    yield (
        t.FUNNEL_DAILY,
        [
            _funnel(day, country, category)
            for day in (DAY - timedelta(days=1), DAY)
            for country in (*COUNTRIES, "all")
            for category in ("all", "Coffee")
        ],
    )
    yield t.SALES_TRENDS, list(_trends())
    yield (
        t.PRODUCT_PERFORMANCE,
        [_performance(n, product, category) for n, (product, category) in enumerate(PRODUCTS.items())],
    )
    yield (
        t.BASKET_PAIRS,
        [row(t.BASKET_PAIRS, 1, DAY) | {"product_a_id": "P1", "product_b_id": "P3", "order_count": 6, "lift": 2.5}],
    )
    yield (
        t.DIM_PRODUCT,
        [
            row(t.DIM_PRODUCT, n, DAY)
            | {"product_id": product, "name": f"{name} {product}", "is_current": name == "New"}
            for n, (product, name) in enumerate((p, name) for p in PRODUCTS for name in ("Old", "New"))
        ],
    )


def _cohort(month: date, country: str, number: int) -> Row:
    size = len(COUNTRIES) * 10 if country == "all" else 10
    key = {
        "as_of_date": DAY,
        "cohort_month": month,
        "country": country,
        "month_number": number,
        "is_complete": number < 2,
    }
    active = size // (number + 1)
    spent = {"revenue": money(size * 100), "cumulative_revenue": money(size * 100 * (number + 1))}
    return key | {"customer_count": size, "active_count": active, "retention_rate": active / size} | spent


def _funnel(day: date, country: str, category: str) -> Row:
    size = len(COUNTRIES) * 100 if country == "all" else 100
    counts = {"session_count": size, "view_session_count": size - 10, "cart_session_count": size // 2}
    rates_of = {"view_to_cart_rate": 0.5, "cart_to_order_rate": 0.5, "conversion_rate": 0.25}
    return {
        "date": day,
        "country": country,
        "category": category,
        **counts,
        "order_session_count": size // 4,
        **rates_of,
    }


def _trends() -> Iterator[Row]:
    for country in ("all", "US"):
        for category in ("all", "Coffee"):
            for days in range(-60, 15):
                day = DAY + timedelta(days=days)
                at = {
                    "period_type": "day",
                    "period_start": day,
                    "period_end": day,
                    "country": country,
                    "category": category,
                }
                known = {"revenue": money(100 * (60 + days)), "revenue_forecast": None} if days <= 0 else {}
                ahead = {} if days <= 0 else {"revenue": None, "revenue_forecast": money(5_000)}
                yield row(t.SALES_TRENDS, 1, DAY) | at | known | ahead | {"is_forecast": days > 0, "is_complete": True}


def _performance(number: int, product: str, category: str) -> Row:
    sold = {
        "unit_count": 10 * (number + 1),
        "order_count": 9,
        "revenue": money(1_000 * (number + 1)),
        "list_revenue": money(5_000),
    }
    ranks = {"revenue_rank": 2 - number % 2, "rank_movement": number - 1, "stock_out_days": number}
    lost = {"lost_units_estimate": 1.5, "lost_revenue_estimate": money(250) if number else None}
    return row(t.PRODUCT_PERFORMANCE, number, DAY) | {"product_id": product, "category": category} | sold | ranks | lost


def stock() -> list[Row]:
    states = (("P1", "ok", 90), ("P2", "low", 3), ("P3", "out", 0), ("P4", "ok", 40))
    return [
        row(t.INVENTORY_LEVELS, n, DAY)
        | {"product_id": product, "category": PRODUCTS[product], "status": status, "level": level, "oversold_count": 0}
        | {"sell_rate_per_day": 1.5, "days_of_cover": level / 1.5}
        for n, (product, status, level) in enumerate(states)
    ]


def finality() -> list[Row]:
    """The watermark passed each hour within the hour after, by batches 1 and 2; the last hours are provisional."""
    ends = [START - timedelta(hours=20), FINAL_UNTIL]
    return [
        {"final_until": end, "batch_id": n, "known_at": _known(n)["known_at"]} for n, end in enumerate(ends, start=1)
    ]


def fill(settings: Settings) -> None:
    """Write all of it into the lake."""
    live: list[tuple[t.Table, Any]] = [
        (t.SALES_BY_MINUTE, sales()),
        (t.ORDERS_BY_MINUTE, orders()),
        (t.INGESTION_RATES, rates()),
        (t.SESSIONS, sessions()),
        (t.CARTS, carts()),
        (t.ANOMALIES, findings()),
        (t.ALERTS, alerts()),
        (t.FINALITY, finality()),
        (t.INVENTORY_LEVELS, stock()),
    ]
    for table, rows in (*live, *marts()):
        append(settings, table, rows)
