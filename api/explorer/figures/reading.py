"""How figures are read: rows by name, the caller's countries as a filter, and parts of a page that can be missing by themselves."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from api.access import Access
from api.errors import DeskAwayError, ForbiddenError, QueryLimitError, ServingError, TableMissingError
from api.explorer.charts import ChartError
from api.serving import Generation
from api.sums import MOST_ROWS, PeriodQuery, Question, ask
from lakehouse.tables import Table

Row = dict[str, Any]


class QuestionError(ServingError):
    """What was asked contradicts itself; the sentence is for the one who asked."""


@dataclass(frozen=True)
class Part:
    """One panel's figures, or in `problem` why there are none: a panel that cannot be shown does not take the page with it."""

    value: Any = None
    problem: str = ""


def part(read: Callable[[], Any]) -> Part:
    """What `read` gives. A table that is not there yet, a right that is missing and a limit are said in the panel's place."""
    try:
        return Part(read())
    except TableMissingError as error:
        return Part(
            problem=f"The table {error.path} has not been made yet. It appears here after the first run that makes it."
        )
    except (ForbiddenError, QueryLimitError, DeskAwayError, ChartError, QuestionError) as error:
        return Part(problem=str(error))


def rows(
    generation: Generation, tables: Sequence[Table], columns: Sequence[str], rest: str, parameters: Sequence[Any] = ()
) -> list[Row]:
    """The rows of `SELECT columns rest`, by name: what follows the last ` AS ` of each column.

    Raises TableMissingError where one of `tables` is not served yet, QueryLimitError, ServingFileError.
    """
    for table in tables:
        generation.meta(table)
    names = [column.rpartition(" AS ")[2] for column in columns]
    # Columns and statements are written in this package; values are parameters.
    found = generation.query(f"SELECT {', '.join(columns)} {rest}", parameters)
    return [dict(zip(names, row, strict=True)) for row in found]


def within(access: Access, column: str = "country") -> tuple[str, list[str]]:
    """The condition that leaves only what the caller may see, and its parameters; `TRUE` for who sees all."""
    countries = access.countries_for()
    return (f"{column} IN ({', '.join('?' * len(countries))})", countries) if countries else ("TRUE", [])


def newest_day(generation: Generation, table: Table, column: str = "as_of_date") -> date | None:
    """The newest day that a mart has; None where it is empty."""
    found: date | None = rows(generation, [table], [f"max({column}) AS newest"], f"FROM {table.name}")[0]["newest"]
    return found


def sums(
    generation: Generation,
    access: Access,
    question: Question,
    start: datetime,
    end: datetime,
) -> Iterator[tuple[Any, ...]]:
    """All rows of `question` from `start` to before `end` (UTC), read as `/v1/sales` and `/v1/orders` read theirs."""
    filters = {**question.filters, "country": access.countries_for(question.filters.get("country", ()))}
    question = Question(question.table, question.interval, question.dimensions, question.measures, filters)
    cursor = None
    while True:
        query = PeriodQuery(interval=question.interval, from_=start, to=end, limit=MOST_ROWS, cursor=cursor)
        answer = ask(generation, question, query, "explorer").answer()
        yield from answer.rows
        cursor = answer.next_cursor
        if cursor is None:
            return
