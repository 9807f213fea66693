"""Questions to the tables of partial sums: sums per period and dimension, one page at a time, pinned to a version."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import pyarrow as pa
from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field, model_validator

from api.cursors import Page, decode, encode, fingerprint, key_text
from api.errors import NotFoundError
from api.formats import Sheet
from api.manifest import TableMeta
from api.serving import Generation
from lakehouse.tables import Table

Interval = Literal["second", "minute", "hour", "day"]
Country = Literal["US", "GB", "DE", "IN", "BR"]
DEFAULT_WINDOW = timedelta(hours=24)
MOST_ROWS = 5000
KINDS = (
    "bad-cursor", "not-found", "not-acceptable", "cursor-gone", "invalid-request", "table-missing", "not-ready", "query-limit",
)  # fmt: skip
"""The problems of a question by period."""


def _utc(moment: datetime) -> datetime:
    if not 1970 < moment.year < 9999:
        raise ValueError("the year is out of range")
    return moment.astimezone(UTC).replace(tzinfo=None)


Moment = Annotated[AwareDatetime, AfterValidator(_utc)]


class Paged(BaseModel):
    """The parameters of every list. Unknown parameters are refused: a mistyped filter must not pass for no filter."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    limit: int = Field(500, ge=1, le=MOST_ROWS, description="Most rows on a page.", examples=[100])
    cursor: str | None = Field(None, max_length=2000, description="`next_cursor` of the page before.")


class TimeQuery(Paged):
    """The parameters of all questions about a time."""

    from_: Moment | None = Field(
        None,
        alias="from",
        description="First moment of event time, RFC 3339 with zone. Default: 24 hours before `to`. A moment within a period cuts it.",
        examples=["2026-03-14T00:00:00Z"],
    )
    to: Moment | None = Field(
        None,
        description="First moment after the time asked for. Default: the end of the newest minute that gold knows.",
        examples=["2026-03-15T00:00:00Z"],
    )
    known_at: Moment | None = Field(
        None,
        description="The answer as it was at this moment: late events that came afterwards are left out. Default: now.",
        examples=["2026-03-14T12:00:00Z"],
    )

    as_of: Moment | None = Field(
        None,
        description="As `known_at`, under the name that the other lists have for it; 404 before the first that is known.",
        json_schema_extra={"x-no-example": True},
    )

    @property
    def until(self) -> datetime | None:
        """Only what was known by then counts."""
        return self.known_at or self.as_of

    @model_validator(mode="after")
    def _one_moment(self) -> TimeQuery:
        if self.known_at and self.as_of:
            raise ValueError("`as_of` and `known_at` mean the same here: send one of them")
        return self

    @model_validator(mode="after")
    def _in_order(self) -> TimeQuery:
        if self.from_ and self.to and self.from_ >= self.to:
            raise ValueError("`from` must lie before `to`")
        return self


class PeriodQuery(TimeQuery):
    """The parameters that all questions by period and country share."""

    interval: Literal["minute", "hour", "day"] = Field(
        "hour", description="Length of a period, in UTC.", examples=["hour"]
    )
    country: list[Country] = Field(
        [], description="Only these countries of the visit; repeat for several.", examples=[["US", "DE"]]
    )


@dataclass(frozen=True)
class Question:
    """Sums of `measures` per period and `dimensions`, rows filtered by `filters` (column: values, empty for all).

    `time` is the table's column of time; `scope` what else decides the answer, such as the countries that the caller sees.
    """

    table: Table
    interval: Interval
    dimensions: tuple[str, ...]
    measures: tuple[str, ...]
    filters: Mapping[str, Sequence[str]]
    time: Literal["minute", "second"] = "minute"
    scope: str = ""


@dataclass(frozen=True)
class Answer:
    """One page. A row is the period's start (UTC, with zone), the dimensions and the measures, in the question's order."""

    rows: list[tuple[Any, ...]]
    next_cursor: str | None
    table_version: int
    known_at: datetime


@dataclass(frozen=True)
class Pinned:
    """A question whose page is settled: from here on the answer depends on nothing else."""

    generation: Generation
    question: Question
    query: TimeQuery
    meta: TableMeta
    request: str
    page: Page

    def answer(self) -> Answer:
        """Raises QueryLimitError and ServingFileError."""
        page = self.page
        if page.window is None:
            return Answer([], None, page.version, page.known_at.replace(tzinfo=UTC))
        sql, parameters = _statement(self.question, page, self.meta.delta_version, self.query)
        found = self.generation.query(sql, parameters)
        limit = self.query.limit
        rows = [(row[0].replace(tzinfo=UTC), *row[1:]) for row in found[:limit]]
        next_cursor = None
        if len(found) > limit:
            keys = found[limit - 1][: 1 + len(self.question.dimensions)]
            rest = replace(page, last=tuple(key_text(value) for value in keys))
            next_cursor = encode(rest, self.meta, self.request, self.generation.manifest.cursor_key)
        return Answer(rows, next_cursor, page.version, page.known_at.replace(tzinfo=UTC))


def ask(generation: Generation, question: Question, query: TimeQuery, route: str) -> Pinned:
    """Settle the page of `question` that `query` asks for.

    Raises TableMissingError, NotFoundError, CursorError, CursorGoneError, QueryLimitError and ServingFileError.
    """
    meta = generation.meta(question.table)
    request = fingerprint(route, {**query.model_dump(), "": question.scope})
    if query.cursor:
        page = decode(query.cursor, meta, request, generation.manifest.cursor_key)
    else:
        if query.as_of is not None:
            _need_history(generation, question.table, query.as_of)
        known_at = min(meta.known_at, query.until or meta.known_at)
        page = Page(meta.delta_version, known_at, _window(generation, question, query))
    return Pinned(generation, question, query, meta, request, page)


def _need_history(generation: Generation, table: Table, moment: datetime) -> None:
    """Raises NotFoundError where nothing of a table with rows was known at `moment`."""
    sql = f'SELECT min(known_at) FROM "{table.name}" HAVING min(known_at) > ?'  # noqa: S608 - a name from code
    if found := generation.query(sql, [moment]):
        raise NotFoundError(f"{table.path} begins at {found[0][0]:%Y-%m-%d %H:%M:%S} UTC: nothing was known before.")


def optional(schema: dict[str, Any]) -> None:
    """For the model of a row: `fields` may leave any of its fields out."""
    schema.pop("required", None)


def picked(sheet: Sheet, fields: Sequence[str]) -> Sheet:
    """Only `fields` of each row, in the order of the schema; all where none is named."""
    places = [place for place, name in enumerate(sheet.schema.names) if name in fields]
    if not places:
        return sheet
    schema = pa.schema([sheet.schema.field(place) for place in places])
    return replace(sheet, schema=schema, rows=[tuple(row[place] for place in places) for row in sheet.rows])


def sheet(answer: Answer, schema: pa.Schema, possible: Sequence[str], dimensions: Sequence[str]) -> Sheet:
    """The answer in the columns of `schema`: dimensions that are `possible` but were not asked for are null."""
    places = [dimensions.index(name) if name in dimensions else None for name in possible]
    width = 1 + len(dimensions)
    rows = [
        (row[0], *(row[1 + place] if place is not None else None for place in places), *row[width:])
        for row in answer.rows
    ]
    return Sheet(schema, rows, answer.next_cursor, answer.table_version, answer.known_at)


def _window(generation: Generation, question: Question, query: TimeQuery) -> tuple[datetime, datetime] | None:
    """The time asked for (UTC without zone), defaults filled in; None where the table is empty and the time open."""
    to = query.to
    if to is None:
        newest = generation.newest(question.table, question.time, query.until)
        if newest is None:
            return None
        to = newest + (timedelta(minutes=1) if question.time == "minute" else timedelta(seconds=1))
        if query.from_ is not None:
            to = max(to, query.from_)
    return query.from_ if query.from_ is not None else to - DEFAULT_WINDOW, to


def _statement(question: Question, page: Page, newest: int, query: TimeQuery) -> tuple[str, list[Any]]:
    """Asks for one row more than the page has, to see whether there is another page."""
    assert page.window is not None  # noqa: S101 - the caller has answered an empty table
    start, end = page.window
    keys = ["period", *question.dimensions]
    time = question.time
    where = [f"{time} >= ?", f"{time} < ?"]
    parameters: list[Any] = [start, end]
    if page.version < newest:
        where.append("delta_version <= ?")
        parameters.append(page.version)
    if query.until is not None:
        where.append("known_at <= ?")
        parameters.append(query.until)
    for column, values in question.filters.items():
        if values:
            where.append(f"{column} IN ({', '.join('?' * len(values))})")
            parameters += values
    if page.last:
        # Periods before the last key are done: leaving them out spares their blocks.
        where.append(f"{time} >= ?::TIMESTAMP")
        parameters.append(page.last[0])
    having = (
        f"HAVING ({', '.join(keys)}) > ({', '.join(['?::TIMESTAMP', *'?' * len(question.dimensions)])})"
        if page.last
        else ""
    )
    # Every name comes from code; every value is a parameter.
    sql = f"""
        SELECT date_trunc('{question.interval}', {time}) AS period{"".join(f", {name}" for name in question.dimensions)},
               {", ".join(f"sum({name})" for name in question.measures)}
        FROM "{question.table.name}" WHERE {" AND ".join(where)}
        GROUP BY {", ".join(keys)} {having} ORDER BY {", ".join(keys)} LIMIT ?"""  # noqa: S608
    return sql, [*parameters, *page.last, query.limit + 1]
