"""The kinds of rules. A rule is data: nothing here knows of tables or of Great Expectations."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True)
class Allowed:
    """Each value of `column` is one of `values`."""

    column: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class Between:
    """Each value of `column` lies between the limits, both included; None is no limit."""

    column: str
    minimum: int | Decimal | None = None
    maximum: int | Decimal | None = None


@dataclass(frozen=True)
class Holds:
    """`condition`, a SQL expression that is never null, is true of each row; of an offender, `shown` are the columns to report."""

    name: str
    condition: str
    shown: tuple[str, ...]


@dataclass(frozen=True)
class NoRows:
    """`query` returns no row."""

    name: str
    query: str


Rule = Allowed | Between | Holds | NoRows
