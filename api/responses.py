"""How answers are written: money as a JSON number with two decimals straight from Decimal, times as RFC 3339 with Z."""

from __future__ import annotations

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Any, Generic, TypeVar

import orjson
from pydantic import BaseModel, Field, WithJsonSchema
from starlette.responses import Response

CENT = Decimal("0.01")
Row = TypeVar("Row", bound=BaseModel)

Money = Annotated[Decimal, WithJsonSchema({"type": "number", "format": "decimal"})]
"""USD. Never a binary float inside the platform: it is written from Decimal, digit by digit."""
Mean = Annotated[Decimal, WithJsonSchema({"type": "number", "format": "decimal"})]


class ExactJSONResponse(Response):
    """A model as JSON, each Decimal written with two decimals as it stands, without a detour over a binary float."""

    media_type = "application/json"

    def __init__(self, content: BaseModel, status_code: int = 200, headers: dict[str, str] | None = None) -> None:
        super().__init__(content, status_code, headers)

    def render(self, content: BaseModel) -> bytes:
        return orjson.dumps(content.model_dump(mode="python", by_alias=True), default=exact, option=orjson.OPT_UTC_Z)


def exact(value: Any) -> orjson.Fragment:
    """For orjson: a Decimal as a number with two decimals, digit by digit."""
    if isinstance(value, Decimal):
        return orjson.Fragment(f"{value:.2f}")
    raise TypeError(f"{type(value).__name__} has no exact form in JSON")


def mean(total: Decimal | int, count: int) -> Decimal:
    """`total / count` to two decimals, halves away from zero."""
    return (Decimal(total) / count).quantize(CENT, ROUND_HALF_UP)


class Listing(BaseModel, Generic[Row]):
    """A page of a list, and what it was made from."""

    data: list[Row] = Field(description="The rows of this page.")
    next_cursor: str | None = Field(
        description="Send it as `cursor` for the next page; null on the last page.", examples=[None]
    )
    table_version: int = Field(
        description="Version of the gold table that the answer is made from; the same on all pages."
    )
    known_at: datetime = Field(
        description="When the newest data in this version was known to the platform (UTC).",
        examples=["2026-03-14T11:00:00.123000Z"],
    )
