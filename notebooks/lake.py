"""The lake as notebooks see it: SQL over its tables by name, versions, Spark, the REST API, and charts drawn without a network.

Everything is read with the pair of keys in `.env`, which can write nothing. DuckDB reads through delta-rs, not through its own Delta extension:
the two do not go together in one process.
"""

from __future__ import annotations

import json
import os
import re
from datetime import date
from decimal import Decimal
from typing import Any

import altair as alt
import duckdb
import httpx
import pandas as pd
import pyarrow as pa
from pyspark.sql import SparkSession

from api.explorer.charts import picture
from infra.java import java_home
from lakehouse.session import build_session
from lakehouse.settings import load_settings
from lakehouse.storage import exists, open_table
from lakehouse.tables import BY_PATH, Table
from lakehouse.travel import open_at

_BY_NAME = {table.name: table for table in BY_PATH.values()}
_NAMED = re.compile(r"\b(?:FROM|JOIN)\s+(\w+)")
_HOW = {
    "streaming": "`.venv/bin/globalmart up` starts the stream, `.venv/bin/globalmart generate --history 30d --scale 0.002` gives it a month",
    "batch": "`.venv/bin/globalmart backfill --from DAY --to DAY` makes it for days that the stream has passed",
    "detector_scorecard": "`.venv/bin/globalmart scorecard --write` makes it",
}


class Lake:
    """The tables that the settings of this process name."""

    def __init__(self) -> None:
        self.settings = load_settings()
        self._told: set[str] = set()

    def sql(self, query: str, versions: dict[str, int] | None = None, **values: Any) -> pd.DataFrame:
        """The rows of a DuckDB query over tables by their name, such as `customer_rfm`; `$name` in it stands for one of `values`.

        Money stays decimal. Tables, each named after FROM or JOIN, are read at their newest version, or at that of `versions`. One that does
        not exist is empty, and it is said how to make it.
        """
        with duckdb.connect() as con:
            con.execute("SET TimeZone = 'UTC'")
            for name in dict.fromkeys(_NAMED.findall(query)):
                if name in _BY_NAME:
                    con.register(name, self._rows(_BY_NAME[name], (versions or {}).get(name)))
            return _exact(con.execute(query, values or None).to_arrow_table())

    def newest(self, name: str) -> date | None:
        """The newest day of a mart that is made by day; None where there is none yet."""
        table = _BY_NAME[name]
        if not self._is_there(table):
            return None
        days = [one[table.partition_by[0]] for one in open_table(self.settings, table).partitions()]
        return max((day if isinstance(day, date) else date.fromisoformat(day) for day in days), default=None)

    def history(self, name: str, limit: int = 10) -> pd.DataFrame:
        """The newest commits of a table: version, time (UTC), what was done and how many rows it wrote."""
        table = _BY_NAME[name]
        commits = open_table(self.settings, table).history(limit) if self._is_there(table) else []
        rows = [
            {
                "version": one["version"],
                "committed_at": pd.Timestamp(one["timestamp"], unit="ms", tz="UTC"),
                "operation": one.get("operation"),
            }
            for one in commits
        ]
        return pd.DataFrame(rows, columns=["version", "committed_at", "operation"])

    def spark(self, memory_gb: float = 1.0) -> SparkSession:
        """A small Spark session on the same lake, with the same keys. Stop it when done: it takes a JVM of `memory_gb` GiB."""
        os.environ.setdefault("JAVA_HOME", str(java_home()))
        return build_session(self.settings, "notebook", memory_gb, {"spark.sql.shuffle.partitions": "2"})

    def api(self, path: str, **query: Any) -> list[dict[str, Any]]:
        """The rows of one page of the REST API; none, and a sentence, where it does not answer or refuses."""
        headers = {"X-API-Key": self.settings.api_key.get_secret_value()}
        try:
            answer = httpx.get(f"{self.settings.api_url}{path}", params=query, headers=headers, timeout=30)
            answer.raise_for_status()
        except httpx.HTTPError as error:
            print(f"The API gave no answer ({error}): `.venv/bin/globalmart status` says whether it runs.")
            return []
        rows: list[dict[str, Any]] = json.loads(answer.text, parse_float=Decimal)["data"]
        return rows

    def _rows(self, table: Table, version: int | None) -> Any:
        if not self._is_there(table):
            return table.schema.empty_table()
        opened = (
            open_at(self.settings, table, version).delta if version is not None else open_table(self.settings, table)
        )
        return opened.to_pyarrow_dataset()

    def _is_there(self, table: Table) -> bool:
        if exists(self.settings, table):
            return True
        if table.name not in self._told:
            self._told.add(table.name)
            print(f"{table.path} is not there yet: {_HOW.get(table.name) or _HOW[table.owner]}.")
        return False


def _exact(rows: pa.Table) -> pd.DataFrame:
    """`rows` for pandas: whole numbers, which DuckDB sums up to decimals without places, as integers."""
    fields = [
        field.with_type(pa.int64()) if pa.types.is_decimal(field.type) and field.type.scale == 0 else field
        for field in rows.schema
    ]
    return rows.cast(pa.schema(fields)).to_pandas()


def _picture(spec: dict[str, Any], **_: Any) -> dict[str, str]:
    """A chart as a picture: the notebook needs neither a network nor an extension, and keeps what was seen."""
    return {
        "image/svg+xml": picture(spec),
        "text/plain": str(spec.get("description", "a chart")),
    }


alt.renderers.register("picture", _picture)
alt.renderers.enable("picture")
