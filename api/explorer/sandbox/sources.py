"""What the caller's tables are in the sandbox: the rows of its countries, personal columns hidden, optionally at a version."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from api.access import Access
from api.errors import CursorGoneError
from api.served import HOW
from api.serving import Generation
from lakehouse.tables import Table

# Columns whose text may name a person, in tables of findings and of bad records.
_TELLING = frozenset({"title", "detail", "explanation", "evidence", "fingerprint"})
# What `/v1/customers/{user_id}` hides too.
_PROFILE = frozenset({"age", "preferences"})
_LEFT_OUT = _TELLING | _PROFILE
PERSONAL = frozenset({"user_id", "email", *_LEFT_OUT})


@dataclass(frozen=True)
class Source:
    """A table as the caller has it: its columns with their meaning, and the SELECT that makes it."""

    table: Table
    columns: tuple[tuple[str, str, str], ...]
    select: str

    @property
    def is_personal(self) -> bool:
        return any(name in PERSONAL for name, _kind, _meaning in self.columns)


def sources(
    generation: Generation, access: Access, salt: str, versions: Mapping[str, int] | None = None
) -> dict[str, Source]:
    """The tables that the caller may ask, by name.

    A key of some countries has only the tables with a country, and of these its rows. Without the grant, equal user ids become equal
    texts within one answer, which `salt` makes worthless in the next one; words that may name a person, age and preferences are left out.
    Raises CursorGoneError for a version that cannot be read any more.
    """
    found = {}
    for name, meta in sorted(generation.metas.items()):
        table = HOW[name].table
        names = HOW[name].names
        if access.countries is not None and "country" not in names:
            continue
        version = (versions or {}).get(name, meta.delta_version)
        if not meta.loaded_version <= version <= meta.delta_version:
            raise CursorGoneError(
                f"Version {version} of {name} is no longer served: run the statement without versions."
            )
        kept = [column for column in names if access.sees_personal or column not in _LEFT_OUT]
        picked = ", ".join(_pick(column, access, salt) for column in kept)
        where = (
            f" WHERE country IN ({', '.join(_text(code) for code in access.countries_for())})"
            if access.countries
            else ""
        )
        select = f"SELECT {picked} FROM ({generation.select(name, version)}){where}"  # noqa: S608 - names from lakehouse.tables
        kinds = {column.name: (str(column.type), column.meaning) for column in table.columns}
        found[name] = Source(table, tuple((column, *kinds[column]) for column in kept), select)
    return found


def _pick(column: str, access: Access, salt: str) -> str:
    if access.sees_personal or column not in PERSONAL:
        return f'"{column}"'
    if column == "user_id":
        return f"'p_' || left(md5({_text(salt)} || user_id), 12) AS user_id"
    return f'CASE WHEN "{column}" IS NULL THEN NULL ELSE \'***\' END AS "{column}"'


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
