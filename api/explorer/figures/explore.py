"""Figures of the explore page: any measure of sales and orders by one or two dimensions, pinned to a version on request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

from api.access import Access
from api.cursors import Page, encode, fingerprint
from api.explorer.figures.reading import QuestionError, Row
from api.responses import mean
from api.serving import Generation
from api.sums import MOST_ROWS, PeriodQuery, Question, ask
from lakehouse.tables import ORDERS_BY_MINUTE, SALES_BY_MINUTE, Table

Interval = Literal["minute", "hour", "day"]
_ROUTE = "/explorer/explore"
DEFAULT_SPAN = timedelta(days=7)
MOST_GROUPS = 20_000


@dataclass(frozen=True)
class Subject:
    """What can be measured: the columns of one table that make it."""

    label: str
    table: Table
    columns: tuple[str, ...]
    dimensions: tuple[str, ...]

    def value(self, sums: Sequence[Any]) -> Any:
        return sums[0] if len(self.columns) == 1 else mean(sums[0], sums[1]) if sums[1] else None


_SALES = ("time", "country", "category")
_ORDERS = ("time", "country", "payment_method")
MEASURES: dict[str, Subject] = {
    "revenue": Subject("Revenue", SALES_BY_MINUTE, ("revenue",), _SALES),
    "unit_count": Subject("Units sold", SALES_BY_MINUTE, ("unit_count",), _SALES),
    "line_count": Subject("Order lines", SALES_BY_MINUTE, ("line_count",), _SALES),
    "order_count": Subject("Orders", ORDERS_BY_MINUTE, ("order_count",), _ORDERS),
    "order_revenue": Subject("Revenue of orders", ORDERS_BY_MINUTE, ("revenue",), _ORDERS),
    "average_order_value": Subject("Average order value", ORDERS_BY_MINUTE, ("revenue", "order_count"), _ORDERS),
}
DIMENSIONS = {"time": "Time", "country": "Country", "category": "Category", "payment_method": "Payment method"}


@dataclass(frozen=True)
class Asked:
    """A question of the page. `start` and `end` are UTC; `pin` is what a shared link carries of the answer that it was made from."""

    measure: str
    by: str
    split: str = ""
    interval: Interval = "day"
    start: datetime | None = None
    end: datetime | None = None
    countries: tuple[str, ...] = ()
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pin: str | None = None

    @property
    def dimensions(self) -> tuple[str, ...]:
        """The columns of the answer's groups; time goes by the name of its interval."""
        chosen = [self.by, *([self.split] if self.split and self.split != self.by else [])]
        return tuple(self.interval if name == "time" else name for name in chosen)


@dataclass(frozen=True)
class Found:
    """The answer: a row per group, and the version that it is made from, also as the `pin` of a link."""

    rows: list[Row]
    table_version: int
    known_at: datetime
    start: datetime
    end: datetime
    pin: str
    is_cut: bool


def default_end(generation: Generation, table: Table) -> datetime:
    """The end of the newest minute that the table has; of an empty one, when it was known. UTC."""
    newest = generation.newest(table, "minute")
    return ((newest + timedelta(minutes=1)) if newest else generation.meta(table).known_at).replace(tzinfo=UTC)


def explore(generation: Generation, access: Access, asked: Asked) -> Found:
    """Answer `asked`, reading as `/v1/sales` and `/v1/orders` read. Groups beyond `MOST_GROUPS` are left out, which `is_cut` says.

    Raises TableMissingError, CursorError, CursorGoneError, ForbiddenError, QueryLimitError, QuestionError.
    """
    subject = MEASURES[asked.measure]
    meta = generation.meta(subject.table)
    end = asked.end or default_end(generation, subject.table)
    # From midnight on: a day that is cut would look like a fall.
    start = asked.start or (end - DEFAULT_SPAN).replace(hour=0, minute=0, second=0, microsecond=0)
    has_time = "time" in (asked.by, asked.split)
    interval: Interval = asked.interval if has_time else "day"
    named = tuple(name for name in asked.dimensions if name != asked.interval)
    filters = {**asked.values, "country": access.countries_for(asked.countries)}
    question = Question(subject.table, interval, named, subject.columns, filters)
    if start >= end:
        raise QuestionError("The first day lies after the last one.")
    query = PeriodQuery(interval=interval, from_=start, to=end, limit=MOST_ROWS, country=list(asked.countries))
    request = fingerprint(_ROUTE, {**query.model_dump(), "": question.scope})
    groups: dict[tuple[Any, ...], list[Any]] = {}
    cursor, is_cut, answer = asked.pin, False, None
    while answer is None or (cursor and not is_cut):
        answer = ask(generation, question, query.model_copy(update={"cursor": cursor}), _ROUTE).answer()
        for period, *rest in answer.rows:
            values, sums = dict(zip(named, rest, strict=False)), rest[len(named) :]
            key = tuple(period if name == asked.interval else values[name] for name in asked.dimensions)
            kept = groups.setdefault(key, [0] * len(sums))
            for place, value in enumerate(sums):
                kept[place] += value
        cursor, is_cut = answer.next_cursor, len(groups) > MOST_GROUPS
    rows = [
        {**dict(zip(asked.dimensions, key, strict=True)), asked.measure: subject.value(sums)}
        for key, sums in groups.items()
    ]
    if not has_time:
        rows.sort(key=lambda row: -(row[asked.measure] or Decimal(0)))
    window = (start.astimezone(UTC).replace(tzinfo=None), end.astimezone(UTC).replace(tzinfo=None))
    page = Page(answer.table_version, answer.known_at.replace(tzinfo=None), window)
    pin = encode(page, meta, request, generation.manifest.cursor_key)
    return Found(rows[:MOST_GROUPS], answer.table_version, answer.known_at, start, end, pin, is_cut)


def choices(generation: Generation, dimension: str) -> list[str]:
    """The values that a filter offers, in order. Raises TableMissingError."""
    table = SALES_BY_MINUTE if dimension == "category" else ORDERS_BY_MINUTE
    generation.meta(table)
    found = generation.query(f"SELECT DISTINCT {dimension} FROM {table.name} ORDER BY 1 LIMIT 200")  # noqa: S608 - names from here
    return [value for (value,) in found]
