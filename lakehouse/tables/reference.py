"""The reference page of the warehouse, `docs/warehouse.md`: `python -m lakehouse.tables.reference > docs/warehouse.md`."""

from __future__ import annotations

import importlib
import re

import pyarrow as pa

from lakehouse.daily import MARTS
from lakehouse.tables import CUSTOMER_LIFETIME_VALUE, CUSTOMER_RFM, SALES_TRENDS, TABLES, TRANSACTIONS
from lakehouse.tables.base import Table
from lakehouse.transforms.rfm import SEGMENTS

_HEAD = """# The warehouse: dimensions, facts and marts

Made from `lakehouse/tables/` by `python -m lakehouse.tables.reference > docs/warehouse.md`; a test fails when it is out of date. All
tables are Delta tables in gold, written by batch runs alone. Days are UTC days, money is USD, times are UTC.

```mermaid
{diagram}
```

## How to read it

**Dimensions of type 2.** `dim_user` and `dim_product` have a row per version: a change of what describes the customer or product ends
one and begins the next; changes of `inventory` and `ratings` do not, and neither does a record that repeats what was known. Of changes at
the same time the last one in Kafka counts. Join a fact by its key for what was true at its time; by id and `is_current` for what is true now.

**Keys.** `user_key` and `product_key` are XXH64 over id and `valid_from` (Spark's `xxhash64`): a rebuild gives the same ones, and a late
change gives other ones only to facts from its time to the next change. Countries, payment methods and days are their own keys.

**Inferred members.** A fact may come before its customer's or product's first record, or without one. Then the dimension has a row with
`is_inferred`, with nothing described, that is valid from 2000-01-01 to the first record. No fact is left out; once the record is there,
facts from its time on get its key, with the next run of any day.

**Two times.** `valid_from` and `valid_to` say when something was so; `recorded_at` says when the platform knew. What was believed at
an earlier moment is the same dimension made of the changes that were recorded until then (`lakehouse.transforms.scd2`). Intervals of
knowledge are not stored: each row would be there several times, and a key would no longer name one row.

**One cut.** A run reads all streaming tables at one committed micro-batch. Facts are read at the cut of their dimensions, so all of their
keys are there.

**Overtaken days.** A run of one day of a fact table, or of `funnel_daily`, also makes the days again that have become other since the table's
last run, in one commit with its own day: days of late records, of sessions that were open over midnight or that a late event merged into
another, of rows whose dimension version is another now; after `globalmart rebuild`, all days. The day's checks judge them too, and the run
names them as `repaired_days`.

**Holidays** are the public holidays of a whole country, days given in their place included, from the library `holidays`. The **fiscal
year** begins on 1 February, so that Christmas and its returns are one season (the convention of the National Retail Federation, here in
whole months), and has the number of the calendar year in which it begins.

**Stock-out days.** `fact_inventory_daily` has a row for a product on each day on which its stock moved, and on each day that it began
without stock. So counting `is_stock_out` counts the days; the level on a day without row is the last `closing_level`.

**Marts** have one partition a day, and a run replaces it as a whole. They are made from silver at the run's cut, not from the facts: a mart
looks back over days whose facts nobody may have made yet. The same rows at the same cut give the facts, so both agree; each mart's checks
compare its sums with silver. A day of a mart with `as_of_date` is **as known when it was made**: what comes late for it is in the days made
afterwards, and in that day once `globalmart backfill` makes it anew.

```mermaid
{sources}
```
"""

# Beyond the module in `lakehouse.marts` that has the mart's name
DEFINED_IN = {
    CUSTOMER_RFM.path: ("lakehouse.transforms.rfm",),
    SALES_TRENDS.path: ("lakehouse.marts.sales_trends", "lakehouse.marts.forecast"),
    CUSTOMER_LIFETIME_VALUE.path: (
        "lakehouse.marts.customer_lifetime_value",
        "lakehouse.marts.purchase_model",
        "lakehouse.marts.spend_model",
    ),
}
MADE_FROM = {CUSTOMER_RFM: (TRANSACTIONS,), **{mart.table: mart.sources for mart in MARTS}}

_READING = {
    "rows": "",
    "sums": " Partial sums: add up the rows of a key.",
    "snapshots": " Snapshots: of the rows of a key the one with the highest `batch_id` counts.",
}

# Fact, its column, the dimension whose key that is
JOINS = (
    ("fact_sales", "user_key", "dim_user"),
    ("fact_sales", "product_key", "dim_product"),
    ("fact_sales", "sales_date", "dim_date"),
    ("fact_sales", "country", "dim_country"),
    ("fact_sales", "payment_method", "dim_payment_method"),
    ("fact_sessions", "user_key", "dim_user"),
    ("fact_sessions", "started_date", "dim_date"),
    ("fact_sessions", "country", "dim_country"),
    ("fact_inventory_daily", "product_key", "dim_product"),
    ("fact_inventory_daily", "date", "dim_date"),
)


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join([_HEAD.format(diagram=_diagram(), sources=_sources()), *(section(table) for table in warehouse())])


def warehouse() -> list[Table]:
    """The tables that the page describes."""
    return [table for table in TABLES if table.owner == "batch" and table.layer == "gold"]


def _diagram() -> str:
    """Keys and what they join, in Mermaid's words."""
    foreign = {fact: {column for one, column, _ in JOINS if one == fact} for fact, _, _ in JOINS}
    tables = {table.name: table for table in warehouse()}
    lines = [f"    {dim} ||--o{{ {fact} : {column}" for fact, column, dim in JOINS]
    for name in dict.fromkeys(name for fact, _, dim in JOINS for name in (fact, dim)):
        table = tables[name]
        lines.append(f"    {name} {{")
        for column in table.columns:
            marks = [mark for mark, names in (("PK", table.key), ("FK", foreign.get(name, ()))) if column.name in names]
            if marks:
                lines.append(f"        {_word(column.type)} {column.name} {', '.join(marks)}")
        lines.append("    }")
    return "\n".join(["erDiagram", *lines])


def _sources() -> str:
    """What each mart is made from, in Mermaid's words."""
    edges = [f"    {source.view}[{source.path}] --> {mart.name}" for mart, made in MADE_FROM.items() for source in made]
    return "\n".join(["flowchart LR", *edges]).replace(f"{CUSTOMER_RFM.view}[{CUSTOMER_RFM.path}]", CUSTOMER_RFM.name)


def definition(table: Table) -> list[str]:
    """Of a mart what its modules say of it, with their sources."""
    if table not in MADE_FROM:
        return []
    found = []
    for name in DEFINED_IN.get(table.path, (f"lakehouse.marts.{table.name}",)):
        found += [f"*`{name}`*: {(importlib.import_module(name).__doc__ or '').strip()}", ""]
    if table is CUSTOMER_RFM:
        found += ["| r_score | value score 1 | 2 | 3 | 4 | 5 |", "|---|---|---|---|---|---|"]
        found += [f"| {score} | {' | '.join(names)} |" for score, names in SEGMENTS.items()]
        found += ["", "The value score is the mean of `f_score` and `m_score`, half a point rounded up.", ""]
    return found


def _word(kind: pa.DataType) -> str:
    """The type in one word, as diagrams want it."""
    return re.split(r"[ (]", _kind(kind))[0]


def section(table: Table) -> str:
    """One table: its grain, how it is read, its definition, its columns."""
    keys = ", ".join(f"`{name}`" for name in table.key)
    partitions = "".join(f" One partition per `{name}`." for name in table.partition_by)
    rows = [f"| `{c.name}` | {_kind(c.type)} | {'yes' if c.nullable else 'no'} | {c.meaning} |" for c in table.columns]
    return "\n".join(
        [
            f"## `{table.path}`",
            "",
            f"One row: {table.grain}. Key: {keys}.{partitions}{_READING[table.reading]}",
            "",
            *definition(table),
            "| column | type | may be null | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


def _kind(kind: pa.DataType) -> str:
    """The type as SQL calls it."""
    if pa.types.is_list(kind):
        return f"array of {_kind(kind.value_type)}"
    if pa.types.is_map(kind):
        return f"map of {_kind(kind.key_type)} to {_kind(kind.item_type)}"
    if pa.types.is_struct(kind):
        return "record of " + ", ".join(f"`{one.name}` {_kind(one.type)}" for one in kind)
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    names = {
        pa.int32(): "int",
        pa.int64(): "bigint",
        pa.float64(): "double",
        pa.bool_(): "boolean",
        pa.date32(): "date",
    }
    return "timestamp" if pa.types.is_timestamp(kind) else names.get(kind, str(kind))


if __name__ == "__main__":
    print(page(), end="")
