"""What each table's rows must satisfy, as data: derived from its declaration and its contract, plus rules of its own.

Rules know nothing of Great Expectations; `lakehouse.quality.suites` turns them into a suite. What can be said of one row is a condition:
all conditions of a table are judged in one pass. What takes several rows is a query that finds the offenders: `{batch}` is the table under
test, and a rule over several tables names their views (see `lakehouse.quality.views`).
"""

# ruff: noqa: S608 - the queries are built from names in this package alone
from __future__ import annotations

from lakehouse.contracts import CONTRACTS
from lakehouse.quality.kinds import Allowed, Between, NoRows, Present, Rule
from lakehouse.quality.marts import MART_RULES
from lakehouse.quality.silver import SILVER_RULES
from lakehouse.quality.star import STAR_RULES
from lakehouse.tables import Table

# Columns whose values are not shown in a quality report
PERSONAL_COLUMNS = frozenset({"user_id", "email", "age", "preferences", "key", "value"})

_OWN: dict[str, tuple[Rule, ...]] = {**SILVER_RULES, **STAR_RULES, **MART_RULES}


def rules(table: Table) -> tuple[Rule, ...]:
    """All rules of `table` beyond columns and types, which `lakehouse.tables` holds."""
    keys = ", ".join(f"`{name}`" for name in table.key)
    unique = NoRows(
        f"{', '.join(table.key)} is unique",
        f"SELECT {keys}, count(*) AS row_count FROM {{batch}} GROUP BY {keys} HAVING count(*) > 1",
        table.key,
        f"SELECT 1 FROM {{batch}} GROUP BY xxhash64({keys}) HAVING count(*) > 1",
    )
    present = [Present(column.name) for column in table.columns if not column.nullable]
    return (unique, *present, *_from_contract(table), *_OWN.get(table.path, ()))


def _from_contract(table: Table) -> list[Rule]:
    """Enumerations and limits of the record that `table` keeps, if it keeps one."""
    if table.layer != "silver" or table.name not in CONTRACTS:
        return []
    found: list[Rule] = []
    for field in CONTRACTS[table.name].fields:
        if field.values:
            found.append(Allowed(field.name, field.values))
        if field.minimum is not None or field.maximum is not None:
            found.append(Between(field.name, field.minimum, field.maximum))
    return found
