"""GET /v1/rfm/segments and GET /v1/customers/{user_id}/rfm: customers by recency, frequency and monetary value."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Annotated, Any

import pyarrow as pa
import pyarrow.compute as pc
from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from api import formats, past
from api.cursors import Page, decode, encode, fingerprint
from api.deps import AccessDep, GenerationDep, MaskDep, SettingsDep
from api.errors import NotFoundError
from api.problems import responses
from api.responses import Listing, Mean, Money, mean
from api.serving import Generation
from api.sums import Paged
from lakehouse.settings import Settings
from lakehouse.tables import CUSTOMER_RFM, MONEY

router = APIRouter(tags=["customers"])
_AS_OF = (
    "Last of the 365 days looked at (UTC day). Default: the newest there is. Days that the serving files no longer have are read "
    "from the lake."
)


class SegmentsQuery(Paged):
    as_of_date: date | None = Field(None, description=_AS_OF, examples=["2026-03-14"])


class CustomerQuery(BaseModel):
    model_config = ConfigDict(extra="forbid")

    as_of_date: date | None = Field(None, description=_AS_OF, examples=["2026-03-14"])


class Segment(BaseModel):
    """The customers of one segment on one day."""

    as_of_date: date = Field(description="Last of the 365 days looked at (UTC day).", examples=["2026-03-14"])
    segment: str = Field(description="Name of the segment.", examples=["champions"])
    customer_count: int = Field(description="Customers in it.", examples=[2])
    monetary: Money = Field(description="What they spent together, USD.", examples=[1250.50])
    mean_recency_days: Mean = Field(description="Mean days since the last purchase.", examples=[1.50])
    mean_frequency: Mean = Field(description="Mean number of transactions.", examples=[6.50])
    mean_monetary: Money = Field(description="`monetary` / `customer_count`, USD.", examples=[625.25])


class SegmentList(Listing[Segment]):
    """A page of segments."""


class CustomerRfm(BaseModel):
    """One customer on one day."""

    user_id: str = Field(description="The customer.", examples=["u1"])
    as_of_date: date = Field(description="Last of the 365 days looked at (UTC day).", examples=["2026-03-14"])
    recency_days: int = Field(description="Days from the last purchase to `as_of_date`.", examples=[1])
    frequency: int = Field(description="Transactions.", examples=[7])
    monetary: Money = Field(description="What the customer spent, USD.", examples=[700.50])
    r_score: int = Field(description="1 to 5, 5 is most recent.", ge=1, le=5, examples=[5])
    f_score: int = Field(description="1 to 5, 5 is most frequent.", ge=1, le=5, examples=[5])
    m_score: int = Field(description="1 to 5, 5 is most money.", ge=1, le=5, examples=[4])
    segment: str = Field(description="Name of the segment.", examples=["champions"])
    table_version: int = Field(description="Version of the gold table that the answer is made from.", examples=[3])
    known_at: datetime = Field(description="When that version was written (UTC).", examples=["2026-03-15T01:10:00Z"])


_KINDS = (
    "bad-cursor", "cursor-gone", "not-found", "not-acceptable", "invalid-request", "table-missing", "not-ready", "query-limit",
    "source-away",
)  # fmt: skip
_SEGMENT = pa.schema(
    [("as_of_date", pa.date32()), ("segment", pa.string()), ("customer_count", pa.int64()), ("monetary", MONEY),
     ("mean_recency_days", MONEY), ("mean_frequency", MONEY), ("mean_monetary", MONEY)]
)  # fmt: skip


@router.get(
    "/v1/rfm/segments",
    summary="RFM segments",
    response_description="A page of segments",
    response_model=SegmentList,
    responses={**responses(*_KINDS), **formats.OPENAPI},
)
def segments(
    request: Request,
    generation: GenerationDep,
    access: AccessDep,
    settings: SettingsDep,
    query: Annotated[SegmentsQuery, Query()],
) -> Response:
    """Size and value of each customer segment, sorted by its name.

    RFM looks at the 365 days up to the end of `as_of_date`; scores go from 1 to 5, 5 is best.
    """
    meta = generation.meta(CUSTOMER_RFM)
    key = generation.manifest.cursor_key
    question = fingerprint("/v1/rfm/segments", query.model_dump())
    if query.cursor:
        page = decode(query.cursor, meta, question, key)
        day, last = date.fromisoformat(str(page.last[0])), page.last[1]
    else:
        page, last = Page(meta.delta_version, meta.known_at), ""
        day = query.as_of_date or _newest(generation, page.version)

    def answer() -> formats.Sheet:
        sql = """SELECT segment, count(*), sum(monetary), sum(recency_days), sum(frequency) FROM {rows}
                 WHERE as_of_date = ? AND segment > ? GROUP BY segment ORDER BY segment LIMIT ?"""
        rows = _rows(generation, settings, page.version, day, sql, [day, last, query.limit + 1])
        if not rows:
            raise _no_day(generation, day, page.version)
        data = [
            (day, name, count, monetary, mean(recency, count), mean(frequency, count), mean(monetary, count))
            for name, count, monetary, recency, frequency in rows[: query.limit]
        ]
        next_cursor = None
        if len(rows) > query.limit:
            next_cursor = encode(replace(page, last=(day.isoformat(), data[-1][1])), meta, question, key)
        return formats.Sheet(_SEGMENT, data, next_cursor, page.version, page.known_at.replace(tzinfo=UTC))

    return formats.respond(request, access, meta, page.version, answer, page.known_at)


@router.get(
    "/v1/customers/{user_id}/rfm",
    summary="RFM of one customer",
    response_description="The customer",
    response_model=CustomerRfm,
    responses={
        **responses("not-found", "invalid-request", "table-missing", "not-ready", "query-limit", "source-away"),
        **formats.OPENAPI_ONE,
    },
)
def customer(
    request: Request,
    generation: GenerationDep,
    settings: SettingsDep,
    mask: MaskDep,
    user_id: Annotated[str, Path(description="The customer, or its pseudonym.", max_length=200, examples=["u1"])],
    query: Annotated[CustomerQuery, Query()],
) -> Response:
    """Recency, frequency, monetary value, scores and segment of one customer; 404 where there was no purchase in the 365 days."""
    meta = generation.meta(CUSTOMER_RFM)
    version = meta.delta_version
    day = query.as_of_date or _newest(generation, version)
    wanted = mask.asked(user_id)
    sql = """SELECT recency_days, frequency, monetary, r_score, f_score, m_score, segment FROM {rows}
             WHERE as_of_date = ? AND user_id = ?"""
    rows = _rows(generation, settings, version, day, sql, [day, wanted], wanted)
    if not rows:
        if not _rows(generation, settings, version, day, "SELECT 1 FROM {rows} WHERE as_of_date = ? LIMIT 1", [day]):
            raise _no_day(generation, day, version)
        raise NotFoundError(f"The customer {user_id} has no purchase in the 365 days up to {day}.")
    recency, frequency, monetary, r, f, m, segment = rows[0]
    return formats.respond_one(
        request,
        CustomerRfm(
            user_id=mask.user_id(wanted),
            as_of_date=day,
            recency_days=recency,
            frequency=frequency,
            monetary=monetary,
            r_score=r,
            f_score=f,
            m_score=m,
            segment=segment,
            table_version=meta.delta_version,
            known_at=meta.known_at.replace(tzinfo=UTC),
        ),
        meta,
    )


def _newest(generation: Generation, version: int) -> date:
    """The newest day of `version`. Raises NotFoundError where there is none."""
    ((newest,),) = generation.query("SELECT max(as_of_date) FROM customer_rfm WHERE delta_version <= ?", [version])
    if newest is None:
        raise NotFoundError("The table gold/customer_rfm is empty: no day has been materialised.")
    day: date = newest
    return day


def _rows(
    generation: Generation,
    settings: Settings,
    version: int,
    day: date,
    sql: str,
    parameters: list[Any],
    user_id: str | None = None,
) -> list[tuple[Any, ...]]:
    """The rows of `sql` over those of `version`, from the serving files or, for a `day` that these do not have, from the lake.

    `user_id` is the only customer that `sql` asks for. Raises SourceError, QueryLimitError, ServingFileError.
    """
    here = "SELECT 1 FROM customer_rfm WHERE delta_version <= ? AND as_of_date = ? LIMIT 1"
    if generation.query(here, [version, day]):
        return generation.query(sql.format(rows=generation.rows(CUSTOMER_RFM, version)), parameters)
    asked = pc.field("as_of_date") == pc.scalar(day)
    if user_id is not None:
        asked &= pc.field("user_id") == pc.scalar(user_id)
    return past.query(
        settings, generation.watchdog, CUSTOMER_RFM, version, lambda _: asked, sql.format(rows="past"), parameters
    )


def _no_day(generation: Generation, day: date, version: int) -> NotFoundError:
    return NotFoundError(f"There is no RFM as of {day}: the newest day is {_newest(generation, version)}.")
