"""How much a batch run has to do, by the logs of the tables alone, and the Spark settings that suit it."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc
from deltalake.exceptions import TableNotFoundError

from lakehouse import tables as t
from lakehouse.session import JAVA_OPTIONS
from lakehouse.settings import Settings
from lakehouse.storage import open_table

HARDLY_ROWS = 20_000
"""Of silver. Up to here compiled code does not earn back its compilation. Not much further: rows of wide tables are written ten times slower."""
FEW_ROWS = 1_000_000
"""Of silver. Up to here a run is planning, not data."""
_ROWS_PER_TASK = 4_000_000
_LARGEST = (t.TRANSACTION_ITEMS, t.PRODUCT_VIEWS, t.CART_EVENTS, t.USERS, t.PRODUCTS)


def row_count(settings: Settings, table: t.Table, version: int | None = None) -> int:
    """Rows of a table by its files' statistics, 0 where it is not there; those of files without statistics are not counted."""
    try:
        files = pa.table(open_table(settings, table, version).get_add_actions(flatten=True))
    except TableNotFoundError:
        return 0
    return int(pc.sum(files["num_records"]).as_py() or 0) if "num_records" in files.column_names else 0


def session_conf(settings: Settings) -> dict[str, str]:
    """Spark settings for a run over the lake as it is now, for `lakehouse.session`: each of them said in every case.

    With hardly any rows plans are interpreted, not compiled; with few they are not planned anew while they run, and the JVM, which lives for
    minutes, does not optimise. With many a task of a shuffle gets so many rows that it can keep in memory what it adds up.
    """
    rows = sum(row_count(settings, table) for table in _LARGEST)
    is_interpreted, is_little = rows <= HARDLY_ROWS, rows <= FEW_ROWS
    return {
        "spark.driver.extraJavaOptions": f"{JAVA_OPTIONS} -XX:TieredStopAtLevel=1" if is_little else JAVA_OPTIONS,
        "spark.sql.codegen.wholeStage": str(not is_interpreted).lower(),
        "spark.sql.codegen.factoryMode": "NO_CODEGEN" if is_interpreted else "FALLBACK",
        "spark.sql.adaptive.enabled": str(not is_little).lower(),
        "spark.sql.shuffle.partitions": "2" if is_interpreted else str(max(4, int(rows / _ROWS_PER_TASK))),
        "spark.databricks.delta.snapshotPartitions": "1" if is_little else "2",
    }
