"""One page of a resource: the version to read, the statement, the rows with personal fields masked, and the next cursor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as pads

from api import past
from api.access import Access
from api.cursors import Page, decode, encode, fingerprint, key_text
from api.errors import ForbiddenError, NotFoundError
from api.formats import Sheet
from api.manifest import TableMeta
from api.personal import Mask
from api.resources.base import Resource
from api.resources.order import Term, after, order
from api.serving import Generation
from api.sums import Paged
from lakehouse.settings import Settings


@dataclass
class Conditions:
    """SQL conditions that all must hold, their parameters, and what of them a reader of the lake can use."""

    parts: list[str] = field(default_factory=list)
    parameters: list[Any] = field(default_factory=list)
    equal: dict[str, list[Any]] = field(default_factory=dict)

    def one_of(self, column: str, values: Sequence[Any]) -> None:
        self.parts.append(f'"{column}" IN ({", ".join("?" * len(values))})')
        self.parameters += values
        self.equal[column] = list(values)

    def add(self, part: str, *parameters: Any) -> None:
        self.parts.append(part)
        self.parameters += parameters

    def where(self, dataset: pads.Dataset) -> pc.Expression | None:
        """The equalities, as a filter on a table of the lake."""
        found: pc.Expression | None = None
        for column, values in self.equal.items():
            one = pc.field(column).isin(pa.array(values, dataset.schema.field(column).type))
            found = one if found is None else found & one
        return found


@dataclass(frozen=True)
class Asked:
    """One request for a page: what is asked, by whom, and the version that answers it."""

    resource: Resource
    query: Paged
    access: Access
    mask: Mask
    generation: Generation
    settings: Settings
    meta: TableMeta
    page: Page
    fixed: dict[str, Any]

    def value(self, name: str) -> Any:
        return getattr(self.query, name, None)

    @property
    def request(self) -> str:
        return _fingerprint(self.resource, self.query, self.access, self.fixed)


def asked(
    resource: Resource,
    query: Paged,
    access: Access,
    mask: Mask,
    generation: Generation,
    settings: Settings,
    fixed: dict[str, Any] | None = None,
) -> Asked:
    """Settle the version: that of the cursor, of `as_of`, or the newest. `fixed` are columns that the path names.

    Raises TableMissingError, CursorError, CursorGoneError, NotFoundError, SourceError.
    """
    meta = generation.meta(resource.table)
    moment: datetime | None = getattr(query, "as_of", None)
    fixed = fixed or {}
    if query.cursor:
        request = _fingerprint(resource, query, access, fixed)
        page = decode(query.cursor, meta, request, generation.manifest.cursor_key, is_past=moment is not None)
    elif moment is not None:
        version, committed_at = past.version_at(settings, resource.table, moment)
        is_past = version < meta.delta_version
        page = Page(version, committed_at) if is_past else Page(meta.delta_version, meta.known_at)
    else:
        page = Page(meta.delta_version, meta.known_at)
    return Asked(resource, query, access, mask, generation, settings, meta, page, fixed)


def answer(asked: Asked) -> Sheet:
    """The page. Raises ForbiddenError, NotFoundError, QueryLimitError, ServingFileError, SourceError."""
    resource, query = asked.resource, asked.query
    conditions = _conditions(asked)
    run = _reader(asked, conditions)
    wanted = asked.value("sort") or resource.sort
    _check_order(asked, wanted)
    terms = order(wanted, resource.key, {c.name: c for c in resource.table.columns})
    if asked.page.last:
        conditions.add(*_next(asked, terms))
    names = [name for name in resource.shown if name in (asked.value("fields") or resource.shown)]
    named = resource.users if resource.texts else ()
    picked = ", ".join(f'"{name}"' for name in (*names, *named, *(term.column for term in terms)))
    width = len(names) + len(named)
    where = " AND ".join([resource.where, *conditions.parts])
    by = ", ".join(term.clause() for term in terms)
    # Every name comes from code; every value is a parameter.
    sql = f"SELECT {picked} FROM {{rows}} WHERE {where} ORDER BY {by} LIMIT ?"  # noqa: S608
    rows = run(sql, [*conditions.parameters, query.limit + 1])
    next_cursor = None
    if len(rows) > query.limit:
        last = [_key(asked, term, value) for term, value in zip(terms, rows[query.limit - 1][width:], strict=True)]
        rest = replace(asked.page, last=tuple(last))
        next_cursor = encode(rest, asked.meta, asked.request, asked.generation.manifest.cursor_key)
    schema = pa.schema([pa.field(name, resource.shown[name].type) for name in names])
    shown = _masked(asked, names, [row[:width] for row in rows[: query.limit]])
    return Sheet(schema, shown, next_cursor, asked.page.version, asked.page.known_at.replace(tzinfo=UTC))


def _check_order(asked: Asked, wanted: Sequence[str]) -> None:
    """Raise ForbiddenError where the order of the rows would tell the ids that are masked in them."""
    telling = {name.removeprefix("-") for name in wanted} & set(asked.resource.users)
    if telling and not asked.mask.is_open:
        raise ForbiddenError(
            f"This key is not granted personal data, and rows sorted by {min(telling)} would tell ids: sort by something else."
        )


Run = Callable[[str, list[Any]], list[tuple[Any, ...]]]


def _reader(asked: Asked, conditions: Conditions) -> Run:
    """Where the rows come from: the serving files, or the lake for a version or a day that these do not have.

    Adds the day to `conditions`.
    """
    resource, generation, version = asked.resource, asked.generation, asked.page.version
    table = resource.table
    is_served = version >= asked.meta.loaded_version

    def served(sql: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
        return generation.query(sql.format(rows=generation.rows(table, version)), parameters)

    def lake(sql: str, parameters: list[Any]) -> list[tuple[Any, ...]]:
        watchdog = generation.watchdog
        return past.query(
            asked.settings, watchdog, table, version, conditions.where, sql.format(rows="past"), parameters
        )

    if resource.day is None:
        return served if is_served else lake
    wanted: date | None = asked.value("as_of_date")
    sql = f'SELECT DISTINCT "{resource.day}" FROM {{rows}}'  # noqa: S608
    there = (
        sorted(day for (day,) in (served(sql, []) if is_served else lake(sql, [])))
        if wanted is None or is_served
        else []
    )
    if wanted is None and not there:
        raise NotFoundError(f"The table {table.path} is empty: no day has been materialised.")
    day = wanted or there[-1]
    conditions.one_of(resource.day, [day])
    if day in there:
        return served if is_served else lake
    found = past.query(
        asked.settings, generation.watchdog, table, version, conditions.where, "SELECT count(*) FROM past", []
    )
    if not found[0][0]:
        known = f"; the newest is {there[-1]}" if there else ""
        raise NotFoundError(f"The table {table.path} has nothing for {day}{known}.")
    return lake


def _conditions(asked: Asked) -> Conditions:
    resource, found = asked.resource, Conditions()
    for column, value in asked.fixed.items():
        found.one_of(column, [value])
    for one in resource.filters:
        given = asked.value(one.name)
        if one.column == resource.country and one.operator == "in":
            # A row over all countries is nobody's who sees some.
            given = asked.access.countries_for(given or [])
        if one.operator == "in":
            values = list(given or one.default)
            if one.column in resource.users:
                values = [asked.mask.asked(value) for value in values]
            if values:
                found.one_of(one.column, values)
        elif given is None:
            continue
        elif one.operator == "contains":
            found.add(f'contains(lower("{one.column}"), lower(?))', given)
        else:
            found.add(f'"{one.column}" {one.operator} ?', given)
    by_filter = any(one.column == resource.country for one in resource.filters)
    if resource.country and not by_filter and (countries := asked.access.countries_for()):
        found.one_of(resource.country, countries)
    return found


def _next(asked: Asked, terms: Sequence[Term]) -> tuple[Any, ...]:
    users = asked.resource.users
    last = [
        asked.mask.asked(value) if term.column in users and value is not None else value
        for term, value in zip(terms, asked.page.last, strict=True)
    ]
    part, parameters = after(terms, last)
    return (part, *parameters)


def _key(asked: Asked, term: Term, value: Any) -> str | None:
    """A value of the order as the cursor keeps it; the cursor can be read, so a user id goes in as it may be shown."""
    text = key_text(value)
    return asked.mask.user_id(text) if text is not None and term.column in asked.resource.users else text


def _masked(asked: Asked, names: Sequence[str], rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """`names` of `rows`; behind them each row has the user ids that its texts may name."""
    resource, width = asked.resource, len(names)
    hides = {
        place: asked.mask.user_id if name in resource.users else asked.mask.email
        for place, name in enumerate(names)
        if name in (*resource.users, *resource.emails)
    }
    texts = {place for place, name in enumerate(names) if name in resource.texts}
    if not rows or not (hides or texts):
        return [row[:width] for row in rows]
    if asked.mask.is_open:
        asked.mask.note()
        return [row[:width] for row in rows]

    def shown(row: tuple[Any, ...]) -> Iterator[Any]:
        for place, value in enumerate(row[:width]):
            if value is not None and place in hides:
                yield hides[place](value)
            elif value is not None and place in texts:
                yield asked.mask.text(value, [one for one in row[width:] if one is not None])
            else:
                yield value

    return [tuple(shown(row)) for row in rows]


def _fingerprint(resource: Resource, query: Paged, access: Access, fixed: dict[str, Any]) -> str:
    return fingerprint(resource.path, {**query.model_dump(), "": [access.scope, fixed]})
