"""Figures of the executive dashboard: totals of a period against the one before, and where they come from."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from api.access import Access
from api.explorer.figures.reading import Row, newest_day, rows, sums, within
from api.responses import mean
from api.serving import Generation
from api.sums import Question
from lakehouse.tables import (
    DIM_PRODUCT,
    FUNNEL_DAILY,
    ORDERS_BY_MINUTE,
    PRODUCT_PERFORMANCE,
    SALES_BY_MINUTE,
    SALES_TRENDS,
)

PERIODS = {"24h": timedelta(hours=24), "7d": timedelta(days=7), "28d": timedelta(days=28)}
_TOP = 10


@dataclass(frozen=True)
class Window:
    """The period that is shown, and the one of the same length before it. UTC."""

    before: datetime
    start: datetime
    end: datetime

    @property
    def days(self) -> int:
        return max(1, (self.end - self.start).days)


@dataclass(frozen=True)
class KeyFigure:
    """A total, and its growth against the period before (0.1 is ten percent); None where there is nothing to compare with."""

    value: Any
    change: float | None


def window(generation: Generation, length: timedelta) -> Window | None:
    """The period that ends with the newest minute that has orders; None before the first order. Raises TableMissingError."""
    generation.meta(ORDERS_BY_MINUTE)
    newest = generation.newest(ORDERS_BY_MINUTE, "minute")
    if newest is None:
        return None
    end = newest.replace(tzinfo=UTC) + timedelta(minutes=1)
    return Window(end - 2 * length, end - length, end)


def key_figures(generation: Generation, access: Access, shown: Window) -> dict[str, KeyFigure]:
    """Revenue, orders, average order value and units of the period. Raises TableMissingError."""
    now = _totals(generation, access, shown.start, shown.end)
    then = _totals(generation, access, shown.before, shown.start)
    return {name: KeyFigure(now[name], growth(now[name], then[name])) for name in now}


def growth(now: Any, then: Any) -> float | None:
    return float(now / then) - 1 if now is not None and then else None


def _totals(generation: Generation, access: Access, start: datetime, end: datetime) -> dict[str, Any]:
    revenue, orders, units = Decimal(0), 0, 0
    question = Question(ORDERS_BY_MINUTE, "day", (), ("order_count", "revenue"), {})
    for _, count, amount in sums(generation, access, question, start, end):
        orders, revenue = orders + count, revenue + amount
    for _, count in sums(generation, access, Question(SALES_BY_MINUTE, "day", (), ("unit_count",), {}), start, end):
        units += count
    return {
        "revenue": revenue,
        "order_count": orders,
        "average_order_value": mean(revenue, orders) if orders else None,
        "unit_count": units,
    }


def by(generation: Generation, access: Access, dimension: str, shown: Window) -> list[Row]:
    """Revenue and units of each country or category, most revenue first, with the change against the period before."""

    def read(start: datetime, end: datetime) -> dict[str, tuple[Decimal, int]]:
        found: dict[str, tuple[Decimal, int]] = defaultdict(lambda: (Decimal(0), 0))
        question = Question(SALES_BY_MINUTE, "day", (dimension,), ("revenue", "unit_count"), {})
        for _, name, revenue, units in sums(generation, access, question, start, end):
            found[name] = (found[name][0] + revenue, found[name][1] + units)
        return found

    now, then = read(shown.start, shown.end), read(shown.before, shown.start)
    total = sum((revenue for revenue, _ in now.values()), Decimal(0))
    table = [
        {
            dimension: name,
            "revenue": revenue,
            "unit_count": units,
            "share": float(revenue / total) if total else 0.0,
            "change": growth(revenue, then[name][0]) if name in then else None,
        }
        for name, (revenue, units) in now.items()
    ]
    return sorted(table, key=lambda row: (-row["revenue"], row[dimension]))


def conversion(generation: Generation, access: Access, shown: Window) -> KeyFigure:
    """Sessions with an order / sessions, of the whole days in the period that the mart has. Raises TableMissingError."""
    newest = newest_day(generation, FUNNEL_DAILY, "date")
    if newest is None:
        return KeyFigure(None, None)
    condition, countries = ("country = 'all'", []) if access.countries is None else within(access)

    def rate(back: int) -> float | None:
        last = newest - timedelta(days=back)
        found = rows(
            generation,
            [FUNNEL_DAILY],
            ["sum(order_session_count) AS orders", "sum(session_count) AS sessions"],
            f"FROM funnel_daily WHERE category = 'all' AND {condition} AND date > ? AND date <= ?",
            [*countries, last - timedelta(days=shown.days), last],
        )[0]
        return found["orders"] / found["sessions"] if found["sessions"] else None

    now = rate(0)
    return KeyFigure(now, growth(now, rate(shown.days)))


def trend(generation: Generation, access: Access, days: int = 56) -> list[Row]:
    """Revenue of each of the last `days` days and its forecast, by `period_start`: columns of `gold/sales_trends`.

    For several countries of a limited key these are sums, without the interval, which does not add up.
    """
    newest = newest_day(generation, SALES_TRENDS)
    if newest is None:
        return []
    one = "all" if access.countries is None else next(iter(access.countries)) if len(access.countries) == 1 else None
    condition, countries = within(access) if one is None else ("country = ?", [one])
    interval = ("revenue_forecast_low", "revenue_forecast_high") if one else ()
    columns = ("revenue", "revenue_average_7_days", "revenue_forecast", *interval)
    return rows(
        generation,
        [SALES_TRENDS],
        ["period_start", *(f"sum({name}) AS {name}" for name in columns)],
        f"""FROM sales_trends WHERE as_of_date = ? AND period_type = 'day' AND category = 'all' AND {condition}
            AND period_start > ? GROUP BY period_start ORDER BY period_start""",
        [newest, *countries, newest - timedelta(days=days)],
    )


def top_products(generation: Generation, access: Access) -> list[Row]:
    """The products with most revenue in the newest 28 days. Raises ForbiddenError for keys of some countries."""
    access.need_all_countries()
    return rows(
        generation,
        [PRODUCT_PERFORMANCE, DIM_PRODUCT],
        [
            "p.product_id AS product_id",
            "d.name AS name",
            "p.category AS category",
            "p.unit_count AS unit_count",
            "p.revenue AS revenue",
        ],
        """FROM product_performance p LEFT JOIN dim_product d ON d.product_id = p.product_id AND d.is_current
           WHERE p.as_of_date = (SELECT max(as_of_date) FROM product_performance) AND p.unit_count > 0
           ORDER BY p.revenue DESC, p.product_id LIMIT ?""",
        [_TOP],
    )
