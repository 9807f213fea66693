"""The order of rows and where the next page begins in it, as SQL. Nulls come last, whichever the direction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from api.resources.base import sql_type
from lakehouse.tables import Column


@dataclass(frozen=True)
class Term:
    """One column of an order."""

    column: str
    kind: str
    descending: bool = False

    def clause(self) -> str:
        return f'"{self.column}" {"DESC" if self.descending else "ASC"} NULLS LAST'


def order(asked: Sequence[str], key: Sequence[str], columns: Mapping[str, Column]) -> list[Term]:
    """`asked` (`-` for descending), completed by the key so that no two rows are equal."""
    terms: dict[str, Term] = {}
    for name in (*asked, *key):
        column = name.removeprefix("-")
        terms.setdefault(column, Term(column, sql_type(columns[column].type), name.startswith("-")))
    return list(terms.values())


def after(terms: Sequence[Term], last: Sequence[str | None]) -> tuple[str, list[Any]]:
    """The rows that come after the one whose values of `terms` are `last`, each as text."""
    choices: list[str] = []
    parameters: list[Any] = []
    for place, (term, value) in enumerate(zip(terms, last, strict=True)):
        if value is None:  # nothing comes after null
            continue
        sign = "<" if term.descending else ">"
        conditions = [f'("{term.column}" {sign} CAST(? AS {term.kind}) OR "{term.column}" IS NULL)']
        values: list[Any] = [value]
        for before, equal in zip(terms[:place], last[:place], strict=True):
            if equal is None:
                conditions.append(f'"{before.column}" IS NULL')
            else:
                conditions.append(f'"{before.column}" = CAST(? AS {before.kind})')
                values.append(equal)
        choices.append(f"({' AND '.join(conditions)})")
        parameters += values
    return (f"({' OR '.join(choices)})" if choices else "false"), parameters
