"""The kinds of rules. A rule is data: nothing here knows of tables or of Great Expectations.

A rule about single rows has `broken`, SQL that is true of an offender.
"""

# ruff: noqa: S608 - the queries are built from names in this package alone
from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal


@dataclass(frozen=True)
class Present:
    """No value of `column` is null."""

    column: str

    @property
    def name(self) -> str:
        return f"{self.column} is present"

    @property
    def broken(self) -> str:
        return f"`{self.column}` IS NULL"


@dataclass(frozen=True)
class Allowed:
    """Each value of `column` is one of `values`."""

    column: str
    values: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.column} is one of its known values"

    @property
    def broken(self) -> str:
        return f"`{self.column}` NOT IN ({', '.join(repr(value) for value in self.values)})"


@dataclass(frozen=True)
class Between:
    """Each value of `column` lies between the limits, both included; None is no limit."""

    column: str
    minimum: int | Decimal | None = None
    maximum: int | Decimal | None = None

    @property
    def name(self) -> str:
        limits = [f"{word} {limit}" for word, limit in self._limits("at least", "at most")]
        return f"{self.column} is {' and '.join(limits)}"

    @property
    def broken(self) -> str:
        return " OR ".join(f"`{self.column}` {sign} {limit}" for sign, limit in self._limits("<", ">"))

    def _limits(self, low: str, high: str) -> list[tuple[str, int | Decimal]]:
        return [(word, limit) for word, limit in ((low, self.minimum), (high, self.maximum)) if limit is not None]


@dataclass(frozen=True)
class Holds:
    """`condition`, a SQL expression that is never null, is true of each row; of an offender, `shown` are the columns to report."""

    name: str
    condition: str
    shown: tuple[str, ...]

    @property
    def broken(self) -> str:
        return f"NOT ({self.condition})"


@dataclass(frozen=True)
class NoRows:
    """`query` returns no row. `by` are the columns that group its rows, where each group is judged by itself.

    `quick`, where there is one, is a cheaper query that returns a row wherever `query` does, and hardly ever else.
    """

    name: str
    query: str
    by: tuple[str, ...] = ()
    quick: str = ""

    def of_groups_in(self, whole: str) -> NoRows:
        """The rule for a part of the view `whole`: of the groups with a row in `{batch}`, the part, it judges all rows of the whole."""
        if not self.by:
            return self
        same = " AND ".join(f"whole.`{name}` = part.`{name}`" for name in self.by)
        rows = f"SELECT /*+ BROADCAST(part) */ whole.* FROM {whole} AS whole LEFT SEMI JOIN {{batch}} AS part ON {same}"
        query, quick = (one.replace("{batch}", f"({rows})") for one in (self.query, self.quick))
        return replace(self, query=query, quick=quick)


RowRule = Present | Allowed | Between | Holds
Rule = RowRule | NoRows
