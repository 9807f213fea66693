"""Types and filters that several resources share."""

from __future__ import annotations

from typing import Literal

from api.resources.base import Filter
from api.sums import Country, Moment

CountryOrAll = Literal["US", "GB", "DE", "IN", "BR", "all"]

COUNTRY = Filter("country", "country", Country, "Only these countries of the visit.", "US")
COUNTRY_OR_ALL = Filter(
    "country", "country", CountryOrAll, "Countries of the visit; `all` is the row over all.", "all", default=("all",)
)
CATEGORY = Filter("category", "category", str, "Only these categories.", "Coffee")
CATEGORY_OR_ALL = Filter("category", "category", str, "Categories; `all` is the row over all.", "all", default=("all",))
USER = Filter("user_id", "user_id", str, "Only these customers, or their pseudonyms.", "u1")
PRODUCT = Filter("product_id", "product_id", str, "Only these products.", "p1")


def period(
    column: str, what: str, example: tuple[str, str] = ("2026-03-14T00:00:00Z", "2026-03-15T00:00:00Z")
) -> tuple[Filter, Filter]:
    """`since` and `before` over a column of time."""
    return (
        Filter("since", column, Moment, f"{what} at this moment or later, RFC 3339 with zone.", example[0], ">="),
        Filter("before", column, Moment, f"{what} before this moment, RFC 3339 with zone.", example[1], "<"),
    )
