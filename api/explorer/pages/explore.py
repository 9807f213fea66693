"""GET /explorer/explore: choose what to measure, by what, of when; see it as a chart and a table, share it, take it along."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

import pyarrow as pa
from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_validator

from api.access import Role
from api.deps import AccessDep, GenerationDep, requires
from api.explorer import charts
from api.explorer.downloads import Format, download
from api.explorer.drawing import drawn
from api.explorer.figures import explore as figures
from api.explorer.figures.reading import part
from api.explorer.view import PageRoute, page
from api.sums import Country
from lakehouse.countries import COUNTRIES

router = APIRouter(route_class=PageRoute, dependencies=[requires(Role.viewer)], include_in_schema=False)
MOST_SHOWN = 500
_CHARTS = {"auto": "Best fit", "line": "Line", "area": "Area", "bar": "Bars", "heat_map": "Heat map", "map": "Map"}


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


_FIRST, _LAST = date(2000, 1, 1), date(2100, 1, 1)


class Choices(BaseModel):
    """The form's fields, as they stand in the address. An empty field is none."""

    model_config = ConfigDict(extra="ignore", populate_by_name=True)

    measure: Literal["revenue", "unit_count", "line_count", "order_count", "order_revenue", "average_order_value"] = (
        "revenue"
    )
    by: Literal["time", "country", "category", "payment_method"] = "time"
    split: Literal["", "time", "country", "category", "payment_method"] = ""
    interval: figures.Interval = "day"
    from_: date | None = Field(None, alias="from", ge=_FIRST, le=_LAST)
    to: date | None = Field(None, ge=_FIRST, le=_LAST)
    country: list[Country] = []
    category: str = Field("", max_length=100)
    payment_method: str = Field("", max_length=40)
    chart: Literal["auto", "line", "area", "bar", "heat_map", "map"] = "auto"
    start: AwareDatetime | None = Field(None, ge=_midnight(_FIRST), le=_midnight(_LAST))
    end: AwareDatetime | None = Field(None, ge=_midnight(_FIRST), le=_midnight(_LAST))
    pin: str | None = Field(None, max_length=2000)

    @field_validator("from_", "to", "start", "end", "pin", mode="before")
    @classmethod
    def _empty_is_none(cls, value: Any) -> Any:
        return None if value == "" else value

    def asked(self) -> figures.Asked:
        subject = figures.MEASURES[self.measure]
        by = self.by if self.by in subject.dimensions else "time"
        split = self.split if self.split in subject.dimensions and self.split != by else ""
        values = {
            name: (value,)
            for name, value in (("category", self.category), ("payment_method", self.payment_method))
            if value and name in subject.dimensions
        }
        start = self.start or (_midnight(self.from_) if self.from_ else None)
        end = self.end or (_midnight(self.to + timedelta(days=1)) if self.to else None)
        return figures.Asked(self.measure, by, split, self.interval, start, end, tuple(self.country), values, self.pin)

    def link(self, found: figures.Found) -> str:
        """The address that shows this answer again, whatever is known by then."""
        fields = self.model_dump(exclude={"from_", "to", "start", "end", "pin"}, exclude_defaults=True)
        fields |= {"start": found.start.isoformat(), "end": found.end.isoformat(), "pin": found.pin}
        return urlencode(fields, doseq=True)


def _choices(query: Annotated[Choices, Query()]) -> Choices:
    return query


ChoicesDep = Annotated[Choices, Depends(_choices)]


@router.get("/explorer/explore")
def explore(request: Request, generation: GenerationDep, access: AccessDep, chosen: ChoicesDep) -> Response:
    asked = chosen.asked()
    found = part(lambda: figures.explore(generation, access, asked))
    answer: figures.Found | None = found.value
    kind = charts.ChartType(_best(asked) if chosen.chart == "auto" else chosen.chart)
    picture = part(
        lambda: (
            drawn(
                f"explore-{kind}", answer.rows, lambda rows: charts.explore(rows, asked.measure, asked.dimensions, kind)
            )
            if answer
            else None
        )
    )
    return page(
        request,
        "explore.html",
        "Explore",
        "/explorer/explore",
        chosen=chosen,
        asked=asked,
        measures=figures.MEASURES,
        dimensions=figures.DIMENSIONS,
        chart_names=_CHARTS,
        countries=[code for code in COUNTRIES if access.sees_country(code)],
        categories=part(lambda: figures.choices(generation, "category")).value or [],
        methods=part(lambda: figures.choices(generation, "payment_method")).value or [],
        found=found,
        answer=answer,
        picture=picture,
        link=chosen.link(answer) if answer else "",
        most_shown=MOST_SHOWN,
    )


@router.get("/explorer/explore/download")
def take_along(generation: GenerationDep, access: AccessDep, chosen: ChoicesDep, format: Format = "csv") -> Response:
    asked = chosen.asked()
    found = figures.explore(generation, access, asked)
    table = (
        pa.Table.from_pylist(found.rows)
        if found.rows
        else pa.table({name: [] for name in (*asked.dimensions, asked.measure)})
    )
    return download(table, f"{asked.measure}-by-{'-'.join(asked.dimensions)}-v{found.table_version}", format)


def _best(asked: figures.Asked) -> str:
    if asked.by == "time":
        return "line"
    return "heat_map" if asked.split == "time" else "bar"
