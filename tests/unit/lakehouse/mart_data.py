"""Rows for the tests of the marts: fact_sales and silver as Arrow tables, single ones by hand and a whole small shop at random.

The shop has what marts stumble over: equal revenues, a single purchase, several orders in one second, 29 February, the moments around
midnight of each country's clock, customers who change country, a day without events, products without a record and with several.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.pandas.types import from_arrow_type

from lakehouse.countries import TIME_ZONES
from lakehouse.tables import MONEY, TIME, Table

DAY = date(2024, 3, 14)
EMPTY_DAY = date(2024, 3, 5)
LEAP_DAY = date(2024, 2, 29)
CATEGORIES = ("Books", "Lamps", "Tea")

TEXT, WHOLE = pa.string(), pa.int32()
LINES = pa.schema(
    [
        ("sales_date", pa.date32()),
        ("timestamp", TIME),
        ("transaction_id", TEXT),
        ("line_number", WHOLE),
        ("user_id", TEXT),
        ("product_id", TEXT),
        ("category", TEXT),
        ("country", TEXT),
        ("payment_method", TEXT),
        ("quantity", WHOLE),
        ("price", MONEY),
        ("line_amount", MONEY),
    ]
)
VISIT = [("timestamp", TIME), ("user_id", TEXT), ("session_id", TEXT), ("country", TEXT)]
VIEWS = pa.schema([*VISIT, ("product_id", TEXT)])
CARTS = pa.schema([*VISIT, ("product_id", TEXT), ("action", TEXT)])
ORDERS = pa.schema(
    [
        *VISIT,
        ("transaction_id", TEXT),
        ("products", pa.list_(pa.struct([("product_id", TEXT), ("quantity", WHOLE), ("price", MONEY)]))),
    ]
)
PRODUCTS = pa.schema([("timestamp", TIME), ("product_id", TEXT), ("category", TEXT), ("price", MONEY)])
STOCK = pa.schema([("product_id", TEXT), ("date", pa.date32()), ("sold", pa.int64()), ("is_stock_out", pa.bool_())])
SESSIONS = pa.schema(
    [
        ("started_date", pa.date32()),
        ("user_id", TEXT),
        ("started_at", TIME),
        ("ended_at", TIME),
        ("country", TEXT),
        ("view_count", pa.int64()),
        ("cart_count", pa.int64()),
        ("order_count", pa.int64()),
        ("is_open", pa.bool_()),
    ]
)


def at(text: str) -> datetime:
    """A moment as `2024-02-29T23:59:59.999`, UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def usd(text: str | int) -> Decimal:
    return Decimal(text).quantize(Decimal("0.01"))


def line(when: str, order: str, user: str, product: str, amount: str, **other: Any) -> dict[str, Any]:
    """A row of fact_sales: one unit of `amount` USD in category Books and country US, unless said otherwise."""
    moment, units = at(when), other.get("quantity", 1)
    row = {
        "sales_date": moment.date(),
        "timestamp": moment,
        "transaction_id": order,
        "line_number": 1,
        "user_id": user,
        "product_id": product,
        "category": "Books",
        "country": "US",
        "payment_method": "paypal",
        "quantity": units,
        "price": usd(amount),
        **other,
    }
    return row | {"line_amount": row["price"] * units}


def frame(spark: SparkSession, schema: pa.Schema, rows: Iterable[dict[str, Any]]) -> DataFrame:
    return spark.createDataFrame(pa.Table.from_pylist(list(rows), schema=schema))


def rows_of(result: DataFrame, table: Table) -> list[dict[str, Any]]:
    """All rows, by key; first the columns and types must be those that are declared, and no null where none is allowed."""
    assert result.dtypes == [(c.name, from_arrow_type(c.type).simpleString()) for c in table.columns]
    rows = sorted((row.asDict() for row in result.collect()), key=lambda row: [row[name] for name in table.key])
    assert len({tuple(row[name] for name in table.key) for row in rows}) == len(rows)
    required = [c.name for c in table.columns if not c.nullable]
    assert [row for row in rows if any(row[name] is None for name in required)] == []
    return rows


def same(actual: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Equal rows; doubles to twelve digits, everything else exactly."""

    def rounded(row: dict[str, Any]) -> dict[str, Any]:
        return {k: float(f"{v:.12g}") if isinstance(v, float) else v for k, v in row.items()}

    assert [rounded(row) for row in actual] == [rounded(row) for row in expected]


@dataclass(frozen=True)
class Shop:
    """The tables of one small shop, as Arrow."""

    lines: pa.Table
    views: pa.Table
    carts: pa.Table
    orders: pa.Table
    products: pa.Table
    stock: pa.Table
    sessions: pa.Table


def shop(seed: int, visits: int, days: int = 70, users: int = 25, items: int = 12) -> Shop:
    """A shop whose last day is the day after `DAY`; what happens in it follows from `seed`."""
    rng = random.Random(seed)
    first = DAY - timedelta(days=days - 2)
    ids = [f"p{n:02d}" for n in range(items)]
    products = _products(rng, ids[:-1], first)  # the last has no record
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in ("lines", "views", "carts", "orders", "sessions")}
    taken: set[tuple[str, int]] = set()
    for number in range(visits):
        user = f"u{int(users * rng.random() ** 2):02d}"
        start = _moment(rng, first, days)
        hour = int(start.timestamp()) // 3600
        if start.date() == EMPTY_DAY or taken & {(user, hour + n) for n in (-2, -1, 0, 1, 2)}:
            continue  # sessions of one customer are apart
        taken.add((user, hour))
        _visit(rng, found, number, user, start, ids, products)
    stock = [
        {
            "product_id": one,
            "date": first + timedelta(days=n),
            "sold": rng.randint(0, 5),
            "is_stock_out": rng.random() < p,
        }
        for place, one in enumerate(ids[:-2])
        for n in range(days)
        for p in (1.0 if place == 0 else 0.0 if place == 1 else 0.2,)  # never, always, sometimes in stock
    ]
    return Shop(
        *(
            pa.Table.from_pylist(rows, schema=schema)
            for rows, schema in (
                (found["lines"], LINES),
                (found["views"], VIEWS),
                (found["carts"], CARTS),
                (found["orders"], ORDERS),
                (products, PRODUCTS),
                (stock, STOCK),
                (found["sessions"], SESSIONS),
            )
        )
    )


def _products(rng: random.Random, ids: list[str], first: date) -> list[dict[str, Any]]:
    """One to four records of each, some of one moment, some after the first sale, in no order."""
    rows = []
    for one in ids:
        moments = [_moment(rng, first, 70) for _ in range(rng.randint(1, 3))]
        moments += moments[: rng.randint(0, 1)]
        for moment in moments:
            category = rng.choice(CATEGORIES)
            rows.append({"timestamp": moment, "product_id": one, "category": category, "price": usd(rng.randint(1, 9))})
    rng.shuffle(rows)
    return rows


def _moment(rng: random.Random, first: date, days: int) -> datetime:
    """Mostly any second; sometimes within a second of a country's midnight, of 29 February, or one moment that many share."""
    day = rng.choice(
        (first + timedelta(days=rng.randrange(days)), first + timedelta(days=rng.randrange(days)), LEAP_DAY)
    )
    kind = rng.random()
    if kind < 0.3:
        zone = ZoneInfo(rng.choice(tuple(TIME_ZONES.values())))
        local = datetime.combine(day, time(), tzinfo=zone)
        return local.astimezone(UTC) + timedelta(milliseconds=rng.choice((-1, 0, 1, 999)))
    if kind < 0.4:
        return datetime.combine(day, time(12), tzinfo=UTC)
    return datetime.combine(day, time(), tzinfo=UTC) + timedelta(seconds=rng.randrange(86_400))


def _visit(
    rng: random.Random,
    found: dict[str, list[dict[str, Any]]],
    number: int,
    user: str,
    start: datetime,
    ids: list[str],
    products: list[dict[str, Any]],
) -> None:
    country = rng.choice(("US", "GB", "DE", "IN", "BR")[: 1 + int(user[1:]) % 5])
    visit = {
        "user_id": user,
        "session_id": f"s{number % 40}",
        "country": country,
    }  # ids of visits repeat over customers
    moment, last, counts = start, start, {"view": 0, "cart": 0, "order": 0}
    wanted = rng.choices(ids, weights=range(1, len(ids) + 1), k=rng.randint(1, 6))
    steps = [(kind, one) for one in wanted for kind, p in (("view", 0.8), ("cart", 0.5)) if rng.random() < p]
    steps += [("order", "")] * rng.choice((0, 0, 1, 1, 2))
    for place, (kind, one) in enumerate(steps):
        last, counts[kind] = moment, counts[kind] + 1
        event = {**visit, "timestamp": moment}
        if kind == "view":
            found["views"].append({**event, "product_id": one})
        elif kind == "cart":
            found["carts"].append({**event, "product_id": one, "action": rng.choice(("add", "add", "remove"))})
        else:
            _order(rng, found, event, f"t{number}-{place}", rng.choices(wanted, k=rng.randint(1, 5)), products)
        moment += timedelta(seconds=rng.choice((0, 0, 30, 600)))  # orders of one second, too
    if steps:
        session = {name: visit[name] for name in ("user_id", "country")}
        session |= {"started_date": start.date(), "started_at": start, "ended_at": last}
        found["sessions"].append(
            {**session, **{f"{k}_count": n for k, n in counts.items()}, "is_open": number % 17 == 0}
        )


def _order(
    rng: random.Random,
    found: dict[str, list[dict[str, Any]]],
    event: dict[str, Any],
    order: str,
    bought: list[str],
    products: list[dict[str, Any]],
) -> None:
    """Prices are few, so that revenues tie; some lines cost nothing, some products are on two lines."""
    lines = [
        {"product_id": one, "quantity": rng.randint(1, 3), "price": usd(rng.choice((0, 2, 5, 5, 9)))} for one in bought
    ]
    found["orders"].append({**event, "transaction_id": order, "products": lines})
    for place, one in enumerate(lines, 1):
        row = {
            **{name: event[name] for name in ("timestamp", "user_id", "country")},
            **one,
            "sales_date": event["timestamp"].date(),
            "transaction_id": order,
            "line_number": place,
            "category": category_at(products, one["product_id"], event["timestamp"]),
            "payment_method": "paypal",
            "line_amount": one["price"] * one["quantity"],
        }
        found["lines"].append(row)


def category_at(products: list[dict[str, Any]], product: str, moment: datetime) -> str:
    """What silver says: the newest record by then, before the first the first, without a record `unknown`."""
    said = sorted((p["timestamp"], p["category"]) for p in products if p["product_id"] == product)
    by_then = [category for when, category in said if when <= moment]
    before_all = [category for when, category in said if when == said[0][0]]
    return (by_then or before_all or ["unknown"])[-1]
