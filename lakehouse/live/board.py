"""The live sales board: partial sums by minute rolled up to periods, each provisional, final or restated. Pure: SQL text for DuckDB.

A period is **provisional** until the watermark has passed its end, then **final**; **restated** once late events have changed it.
When that was is kept in `gold/finality`: a period became final with the first batch whose watermark reached its end, and what
later batches add is the restatement. The value when it became final is kept beside the value now.

The SQL reads the table of the subject and `finality` under their names, with times without zone (UTC).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from lakehouse.countries import TIME_ZONES
from lakehouse.errors import GlobalMartError
from lakehouse.tables import FINALITY, ORDERS_BY_MINUTE, SALES_BY_MINUTE, Table

Interval = Literal["minute", "hour", "day"]
Clock = Literal["utc", "local"]
_ZONES = ", ".join(f"('{code}', '{zone}')" for code, zone in TIME_ZONES.items())


class BoardError(GlobalMartError):
    """The board cannot be asked that way."""


@dataclass(frozen=True)
class Subject:
    """What is counted: a table of partial sums, its dimensions and its measures; money measures are decimal(18,2) USD."""

    table: Table
    dimensions: tuple[str, ...]
    measures: tuple[str, ...]


SALES = Subject(SALES_BY_MINUTE, ("country", "category"), ("unit_count", "line_count", "revenue"))
ORDERS = Subject(ORDERS_BY_MINUTE, ("country", "payment_method"), ("order_count", "revenue"))


@dataclass(frozen=True)
class Board:
    """One question. `by`: dimensions of the subject that a row is about, beside its period.

    `clock`: periods of UTC, or of each country's own clock, where `country` must be among `by`. `start` and `end` limit event
    time, `known_at` the knowledge: the board as it was then. A start or end within a period cuts it.
    Raises BoardError for a dimension that the subject does not have, and for local time without country.
    """

    subject: Subject
    interval: Interval = "hour"
    by: tuple[str, ...] = ()
    clock: Clock = "utc"
    start: datetime | None = None
    end: datetime | None = None
    known_at: datetime | None = None

    def __post_init__(self) -> None:
        unknown = set(self.by) - set(self.subject.dimensions)
        if unknown:
            raise BoardError(
                f"{self.subject.table.name} is not kept by {', '.join(sorted(unknown))}: "
                f"ask by {' or '.join(self.subject.dimensions)}."
            )
        if self.clock == "local" and "country" not in self.by:
            raise BoardError("Local time differs by country: ask by country, or for UTC.")

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the answer.

        `period_start_at`, `period_end_at` (UTC), `local_start` (the country's clock at the start; null without country), the
        dimensions, the measures as known, `average_order_value` of orders; `status`; `final_at` and the measures as of then,
        with the prefix `final_` (null while provisional); `restated_at`, when the newest restatement was known.
        """
        average = ("average_order_value",) if self.subject is ORDERS else ()
        return (
            *("period_start_at", "period_end_at", "local_start", *self.by, *self.subject.measures, *average),
            *("status", "final_at", *(f"final_{name}" for name in self.subject.measures), "restated_at"),
        )

    def sql(self) -> tuple[str, list[Any]]:
        """The statement and its parameters; rows ordered by period and dimensions."""
        partials, parameters = self._partials()
        known = "true"
        if self.known_at:
            known, parameters = "known_at <= ?", [*parameters, _naive(self.known_at)]
        has_country = "country" in self.by
        period = "period_start_at, period_end_at" + ", country" * has_country
        group = ", ".join(("period_start_at", "period_end_at", *self.by))
        sums = ", ".join(f"{_sum(name)} AS {name}" for name in self.subject.measures)
        finals = ", ".join(
            f"CASE WHEN any_value(final_at) IS NOT NULL THEN coalesce({_sum(name, 'FILTER (NOT is_restatement)')}, 0) END "
            f"AS final_{name}"
            for name in self.subject.measures
        )
        # Every name comes from code; every value is a parameter. Clocks and finality are looked up once per period, not per row.
        return (
            f"""
            WITH zones(country, zone) AS (VALUES {_ZONES}),
            partials AS ({partials}),
            {self._placed()},
            periods AS (SELECT DISTINCT {period} FROM placed),
            clocks AS (SELECT periods.*, {_local("period_start_at") if has_country else "NULL::TIMESTAMP"} AS local_start
                FROM periods {"JOIN zones USING (country)" * has_country}),
            known AS (
                SELECT final_until, batch_id AS final_batch_id, known_at AS final_at FROM "{FINALITY.name}" WHERE {known}
            ),
            judged AS (
                SELECT clocks.*, final_at, final_batch_id
                FROM clocks ASOF LEFT JOIN known ON clocks.period_end_at <= known.final_until
            ),
            marked AS (
                SELECT *, coalesce(batch_id > final_batch_id, false) AS is_restatement FROM placed JOIN judged USING ({period})
            ),
            board AS (
                SELECT {group}, any_value(local_start) AS local_start, {sums}, any_value(final_at) AS final_at, {finals},
                    max(known_at) FILTER (is_restatement) AS restated_at,
                    CASE WHEN any_value(final_at) IS NULL THEN 'provisional'
                         WHEN bool_or(is_restatement) THEN 'restated' ELSE 'final' END AS status
                FROM marked GROUP BY {group}
            )
            SELECT {", ".join(self._answer(name) for name in self.columns)} FROM board
            ORDER BY {", ".join(("period_start_at", *self.by))}""",  # noqa: S608
            parameters,
        )

    def _partials(self) -> tuple[str, list[Any]]:
        asked = {"minute >= ?": self.start, "minute < ?": self.end, "known_at <= ?": self.known_at}
        given = {text: _naive(at) for text, at in asked.items() if at is not None}
        where = " AND ".join(given) or "true"
        return f'SELECT * FROM "{self.subject.table.name}" WHERE {where}', list(given.values())  # noqa: S608

    def _placed(self) -> str:
        """Each row with its period. Where the clock falls back, an hour comes twice and is two periods, one after the other."""
        one = f"INTERVAL 1 {self.interval}"
        if self.clock == "utc" or self.interval == "minute":
            start = f"date_trunc('{self.interval}', minute)::TIMESTAMP"
            return f"placed AS (SELECT *, {start} AS period_start_at, {start} + {one} AS period_end_at FROM partials)"  # noqa: S608
        local_start = f"date_trunc('{self.interval}', {_local('quarter')})::TIMESTAMP"
        start, end = f"quarter - ({_local('quarter')} - {local_start})", f"period_start_at + {one}"
        if self.interval == "day":
            start, end = (f"timezone('UTC', timezone(zone, {local_start}{more}))" for more in ("", f" + {one}"))
        # Hours and days of any clock begin on a quarter of UTC's hours, so one look-up serves a quarter of an hour.
        quarter = "time_bucket(INTERVAL 15 minute, minute)"
        return f"""
            quarters AS (
                SELECT quarter, country, {start} AS period_start_at, {end} AS period_end_at
                FROM (SELECT DISTINCT {quarter} AS quarter, country FROM partials) JOIN zones USING (country)
            ),
            placed AS (
                SELECT partials.*, period_start_at, period_end_at
                FROM partials JOIN quarters ON quarters.quarter = {quarter} AND quarters.country = partials.country
            )"""  # noqa: S608

    @staticmethod
    def _answer(name: str) -> str:
        if name != "average_order_value":
            return name
        # Whole cents, halves away from zero, without a float: (2 x cents + count) // (2 x count).
        cents = "((revenue * 200)::HUGEINT + order_count) // (2 * order_count)"
        return f"({cents})::DECIMAL(20, 0) * 0.01::DECIMAL(2, 2) AS average_order_value"


def _local(moment: str) -> str:
    """SQL for the time on the clock of `zone` at `moment` (UTC)."""
    return f"timezone(zone, timezone('UTC', {moment}))"


def _sum(name: str, only: str = "") -> str:
    """Counts as 64-bit integers, money as an exact decimal."""
    return f"(sum({name}) {only}){'::BIGINT' if name.endswith('_count') else ''}"


def _naive(at: datetime) -> datetime:
    return at.astimezone(UTC).replace(tzinfo=None)
