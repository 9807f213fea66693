"""A small shop in gold for the pages: two months of it, every table that they read, the same figures at each run."""

from __future__ import annotations

import math
import random
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from unit.api.gold import row

from lakehouse import tables as t
from lakehouse.tables import Table

NOW = datetime(2026, 3, 14, 11, 0, tzinfo=UTC)
TODAY = NOW.date()
WEIGHTS = {"US": 0.38, "IN": 0.24, "BR": 0.17, "DE": 0.12, "GB": 0.09}
CATEGORIES = {
    "Coffee": 14, "Tents": 190, "Headphones": 120, "Running Shoes": 95, "Board Games": 38, "Desk Lamps": 45, "Garden Tools": 30,
    "Cookware": 60, "Backpacks": 75, "Yoga Mats": 28, "Bicycles": 640, "Tea": 11, "Watches": 210, "Notebooks": 8,
}  # fmt: skip
METHODS = {"credit_card": 0.4, "paypal": 0.25, "debit_card": 0.2, "bank_transfer": 0.1, "gift_card": 0.05}
SEGMENTS = {
    "champions": 24, "loyal_customers": 31, "potential_loyalists": 28, "new_customers": 12, "need_attention": 9, "promising": 8,
    "about_to_sleep": 7, "at_risk": 14, "cannot_lose_them": 4, "hibernating": 18, "lost": 25,
}  # fmt: skip
STATUS = ("ok", "ok", "ok", "ok", "low", "out")
ADJECTIVES = ("Quiet", "Ridge", "Amber", "Nordic", "Daily", "Swift")
_DAYS = 16


def usd(value: float) -> Decimal:
    return Decimal(f"{value:.2f}")


def midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def products() -> list[tuple[str, str, str, float]]:
    """Id, name, category and price of each."""
    found = []
    for place, (category, price) in enumerate(CATEGORIES.items()):
        for number, adjective in enumerate(ADJECTIVES):
            found.append(
                (f"p{place * 10 + number:05d}", f"{adjective} {category}", category, price * (1 + number * 0.15))
            )
    return found


def _sales(chance: random.Random) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Sales and orders that add up to the same revenue in each minute and country; every hour of 16 days, every minute of the last two hours."""
    sales, orders = [], []
    minutes = [NOW - timedelta(hours=hours) for hours in range(2, 24 * _DAYS)]
    minutes += [NOW - timedelta(minutes=minutes) for minutes in range(1, 121)]
    for minute in minutes:
        part = 1.0 if NOW - minute > timedelta(hours=2) else 1 / 40
        wave = 1 + 0.5 * math.sin(minute.hour / 24 * 2 * math.pi) + 0.15 * (minute.weekday() >= 5)
        for country, weight in WEIGHTS.items():
            total, lines = Decimal(0), 0
            for category in chance.sample(list(CATEGORIES), 3):
                units = 1 + chance.randrange(4)
                revenue = usd(units * CATEGORIES[category] * weight * 3 * wave * part)
                total, lines = total + revenue, lines + 1
                sales.append(
                    row(
                        t.SALES_BY_MINUTE,
                        minute=minute,
                        country=country,
                        category=category,
                        unit_count=units,
                        line_count=1,
                        revenue=revenue,
                        batch_id=1,
                        known_at=NOW,
                    )
                )
            method = chance.choices(list(METHODS), list(METHODS.values()))[0]
            orders.append(
                row(
                    t.ORDERS_BY_MINUTE,
                    minute=minute,
                    country=country,
                    payment_method=method,
                    order_count=lines - 1,
                    revenue=total,
                    batch_id=1,
                    known_at=NOW,
                )
            )
    return sales, orders


def _trends(chance: random.Random) -> list[tuple[Any, ...]]:
    rows = []
    yesterday = TODAY - timedelta(days=1)
    for country in ("all", *WEIGHTS):
        scale = WEIGHTS.get(country, 1.0)
        for back in range(-14, 60):
            day = yesterday - timedelta(days=back)
            level = scale * (120_000 + 260 * (60 - back)) * (1.15 if day.weekday() >= 5 else 0.96)
            values: dict[str, Any] = {
                "as_of_date": yesterday,
                "period_type": "day",
                "period_start": day,
                "period_end": day,
                "category": "all",
                "country": country,
            }
            if back < 0:
                spread = 0.05 + 0.008 * -back
                values |= {
                    "is_forecast": True,
                    "is_complete": False,
                    "revenue_forecast": usd(level),
                    "revenue_forecast_low": usd(level * (1 - spread)),
                    "revenue_forecast_high": usd(level * (1 + spread)),
                    "forecast_error": 0.06,
                    "naive_error": 0.09,
                    "interval_coverage": 0.81,
                }
            else:
                values |= {
                    "is_complete": True,
                    "unit_count": int(level / 40),
                    "revenue": usd(level * chance.uniform(0.93, 1.07)),
                    "revenue_average_7_days": usd(scale * (126_000 + 260 * (60 - back))),
                }
            rows.append(row(t.SALES_TRENDS, **values))
    return rows


def _customers(chance: random.Random) -> dict[Table, list[tuple[Any, ...]]]:
    found: dict[Table, list[tuple[Any, ...]]] = {
        t.CUSTOMER_RFM: [],
        t.DIM_USER: [],
        t.CUSTOMER_LIFETIME_VALUE: [],
        t.FACT_SALES: [],
        t.SESSIONS: [],
    }
    number = 0
    for segment, size in SEGMENTS.items():
        for _ in range(size):
            number += 1
            user, country = f"u{number:07d}", list(WEIGHTS)[number % 5]
            spent = usd(chance.uniform(15, 4000))
            score = {
                "recency_days": chance.randrange(200),
                "frequency": 1 + chance.randrange(30),
                "monetary": spent,
                "r_score": 1 + number % 5,
                "f_score": 1 + number % 4,
                "m_score": 1 + number % 5,
            }
            found[t.CUSTOMER_RFM].append(row(t.CUSTOMER_RFM, as_of_date=TODAY, user_id=user, segment=segment, **score))
            found[t.DIM_USER].append(
                row(
                    t.DIM_USER,
                    user_key=number,
                    user_id=user,
                    email=f"user{number}@example.com",
                    age=20 + number % 50,
                    country=country,
                    registration_date=NOW - timedelta(days=400),
                    preferences=["Coffee", "Tents"],
                    valid_from=NOW - timedelta(days=400),
                    is_current=True,
                )
            )
            found[t.CUSTOMER_LIFETIME_VALUE].append(
                row(
                    t.CUSTOMER_LIFETIME_VALUE,
                    as_of_date=TODAY,
                    user_id=user,
                    frequency=3,
                    recency_days=40,
                    age_days=60,
                    monetary=usd(40),
                    p_alive=chance.random(),
                    predicted_purchases=2.5,
                    predicted_order_value=usd(60),
                    predicted_value=usd(chance.uniform(5, 400)),
                )
            )
            for order in range(number % 4):
                when = NOW - timedelta(days=order * 5 + 1, hours=number % 20)
                product, _, category, price = products()[(number + order) % 84]
                found[t.FACT_SALES].append(
                    row(
                        t.FACT_SALES,
                        sales_date=when.date(),
                        timestamp=when,
                        transaction_id=f"t{number}-{order}",
                        line_number=1,
                        user_key=number,
                        product_key=1,
                        user_id=user,
                        product_id=product,
                        category=category,
                        country=country,
                        payment_method="paypal",
                        quantity=2,
                        price=usd(price),
                        line_amount=usd(price) * 2,
                    )
                )
            if number % 3 == 0:
                start = NOW - timedelta(minutes=10 * number % 2000)
                found[t.SESSIONS].append(
                    row(
                        t.SESSIONS,
                        started_date=start.date(),
                        user_id=user,
                        started_at=start,
                        ended_at=start + timedelta(minutes=9),
                        duration_seconds=540.0,
                        country=country,
                        view_count=5,
                        cart_count=2,
                        order_count=1,
                        revenue=usd(25),
                        is_converted=True,
                        batch_id=1,
                    )
                )
    return found


def _cohorts() -> list[tuple[Any, ...]]:
    rows = []
    for month in range(12):
        first = date(2025, 4 + month, 1) if month < 9 else date(2026, month - 8, 1)
        for number in range(12 - month):
            for country in ("all", *WEIGHTS):
                size = int(900 * WEIGHTS.get(country, 1.0))
                share = 1.0 if number == 0 else 0.42 * 0.86**number
                rows.append(
                    row(
                        t.COHORT_RETENTION,
                        as_of_date=TODAY,
                        cohort_month=first,
                        country=country,
                        month_number=number,
                        is_complete=month + number < 11,
                        customer_count=size,
                        active_count=int(size * share),
                        retention_rate=share,
                        revenue=usd(size * share * 50),
                        cumulative_revenue=usd(size * 120),
                    )
                )
    return rows


def _products(chance: random.Random) -> dict[Table, list[tuple[Any, ...]]]:
    found: dict[Table, list[tuple[Any, ...]]] = {
        t.DIM_PRODUCT: [],
        t.PRODUCT_PERFORMANCE: [],
        t.INVENTORY_LEVELS: [],
        t.FACT_INVENTORY_DAILY: [],
        t.BASKET_PAIRS: [],
    }
    for place, (product, name, category, price) in enumerate(products()):
        units = chance.randrange(5, 900)
        rank = place % 6 + 1
        found[t.DIM_PRODUCT].append(
            row(
                t.DIM_PRODUCT,
                product_key=place,
                product_id=product,
                name=name,
                category=category,
                price=usd(price),
                valid_from=NOW - timedelta(days=90),
                is_current=True,
            )
        )
        found[t.PRODUCT_PERFORMANCE].append(
            row(
                t.PRODUCT_PERFORMANCE,
                as_of_date=TODAY,
                product_id=product,
                category=category,
                unit_count=units,
                order_count=units // 2 + 1,
                revenue=usd(units * price * 0.95),
                price_realised=usd(price * 0.95),
                list_revenue=usd(units * price),
                price_realisation=0.95,
                view_session_count=units * 12,
                cart_session_count=units * 3,
                order_session_count=units,
                view_to_cart_rate=0.25,
                cart_to_order_rate=0.33,
                view_to_order_rate=0.02 + place % 9 / 100,
                revenue_rank=rank,
                previous_revenue_rank=rank + 1,
                rank_movement=place % 5 - 2,
                stock_out_days=place % 3,
                lost_units_estimate=float(place % 3 * 4),
                lost_revenue_estimate=usd(place % 3 * 4 * price),
            )
        )
        status = STATUS[place % 6]
        level = {"ok": chance.randrange(60, 400), "low": chance.randrange(1, 5), "out": -(place % 2)}[status]
        rate = chance.uniform(2, 15)
        found[t.INVENTORY_LEVELS].append(
            row(
                t.INVENTORY_LEVELS,
                product_id=product,
                category=category,
                level=level,
                status=status,
                oversold_count=max(0, -level),
                ever_oversold_count=max(0, -level),
                updated_at=NOW,
                opening_count=500,
                changed_count=0,
                sold_count=500 - level,
                sell_rate_per_day=rate,
                days_of_cover=max(0, level) / rate,
                alarm=status,
                batch_id=1,
            )
        )
        for back in range(28):
            found[t.FACT_INVENTORY_DAILY].append(
                row(
                    t.FACT_INVENTORY_DAILY,
                    date=TODAY - timedelta(days=back),
                    product_key=place,
                    product_id=product,
                    closing_level=max(0, level + back * 6 % 90),
                    sold=6,
                )
            )
    for number in range(40):
        found[t.BASKET_PAIRS].append(
            row(
                t.BASKET_PAIRS,
                as_of_date=TODAY,
                product_a_id=products()[number][0],
                product_b_id=products()[number + 20][0],
                order_count=6 + number,
                a_order_count=40,
                b_order_count=60,
                all_order_count=4000,
                support=0.002,
                confidence_a_to_b=0.2,
                confidence_b_to_a=0.1,
                lift=1.5 + number / 10,
            )
        )
    return found


def _streams(chance: random.Random) -> dict[Table, list[tuple[Any, ...]]]:
    rates = []
    for second in range(0, 660, 2):
        for topic, usual in (
            ("product_views", 600),
            ("cart_events", 160),
            ("transactions", 90),
            ("inventory_events", 20),
        ):
            count = int(usual * chance.uniform(0.85, 1.15))
            rates.append(
                row(
                    t.INGESTION_RATES,
                    second=NOW - timedelta(seconds=second),
                    topic=topic,
                    reasons="",
                    record_count=count,
                    accepted_count=count - 2,
                    quarantined_count=1,
                    duplicate_count=1,
                    batch_id=1,
                    known_at=NOW,
                )
            )
    anomalies, alerts = [], []
    for number in range(12):
        user, at = f"u{number + 1:07d}", NOW - timedelta(minutes=number * 7)
        detector = ("amount_outlier", "purchase_burst", "impossible_travel", "card_testing")[number % 4]
        anomalies.append(anomaly(f"a{number}", detector, user, list(WEIGHTS)[number % 5], at))
        alerts.append(
            row(
                t.ALERTS,
                alert_id=f"alert{number:04d}",
                kind=detector,
                severity=("critical", "warning", "info")[number % 3],
                fingerprint=f"{detector}/{number}",
                title=f"Unusual orders in {list(WEIGHTS)[number % 5]}",
                detail=f"{user} spent nine times as much as usual.",
                evidence="{}",
                verdict="raised",
                event_at=at,
                raised_at=at,
                batch_id=1,
            )
        )
    quarantine = [
        row(
            t.QUARANTINE,
            topic=("transactions", "users", "product_views")[number % 3],
            offset=number,
            kafka_at=NOW - timedelta(minutes=number),
            ingested_at=NOW,
            reason_codes=["price_scale"] if number % 3 else ["email_missing", "unknown_country"],
            detail="",
        )
        for number in range(40)
    ]
    ledger = [
        row(
            t.LEDGER_STREAMING,
            generation=1,
            batch_id=batch,
            started_at=NOW,
            committed_at=NOW,
            next_offsets=[("transactions/0", 100 * batch)],
            lag_records=[("transactions", 3)],
            record_count=1740,
            accepted_count=1736,
            quarantined_count=2,
            duplicate_count=2,
        )
        for batch in (1, 2)
    ]
    return {
        t.INGESTION_RATES: rates,
        t.ANOMALIES: anomalies,
        t.ALERTS: alerts,
        t.QUARANTINE: quarantine,
        t.LEDGER_STREAMING: ledger,
    }


def anomaly(name: str, detector: str, user: str, country: str, at: datetime) -> tuple[Any, ...]:
    return row(
        t.ANOMALIES,
        anomaly_id=name,
        detector=detector,
        user_id=user,
        country=country,
        score=0.91,
        verdict="raised",
        explanation=f"{user} spent nine times as much as usual in one order.",
        evidence="{}",
        event_at=at,
        detected_at=at,
        batch_id=1,
    )


def _funnel() -> list[tuple[Any, ...]]:
    return [
        row(
            t.FUNNEL_DAILY,
            date=TODAY - timedelta(days=back),
            country=country,
            category="all",
            session_count=int(9000 * WEIGHTS.get(country, 1.0)),
            view_session_count=8000,
            cart_session_count=2400,
            order_session_count=int((420 - back) * WEIGHTS.get(country, 1.0)),
            conversion_rate=0.046,
        )
        for back in range(60)
        for country in ("all", *WEIGHTS)
    ]


def shop() -> dict[Table, list[tuple[Any, ...]]]:
    """All rows, by table."""
    chance = random.Random(7)
    sales, orders = _sales(chance)
    return {
        t.SALES_BY_MINUTE: sales,
        t.ORDERS_BY_MINUTE: orders,
        t.SALES_TRENDS: _trends(chance),
        t.COHORT_RETENTION: _cohorts(),
        t.FUNNEL_DAILY: _funnel(),
        **_customers(chance),
        **_products(chance),
        **_streams(chance),
    }
