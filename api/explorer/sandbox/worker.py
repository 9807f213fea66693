"""The process that runs one statement and ends (`python -m api.explorer.sandbox.worker`): a task on stdin, its outcome on stdout, both JSON.

It holds itself within limits that DuckDB has not: processor time, address space, no file written. Who started it kills it when it is late.
"""

from __future__ import annotations

import json
import resource
import sys
from datetime import date, datetime, time
from typing import Any

import duckdb

from api.explorer.sandbox.guard import RefusedError, check

_MIB = 1024**2
# DuckDB's own limit comes first; this one stops what allocates beside its accounts.
_BESIDE_MIB = 1536
_CHUNK = 500


def limit(seconds: float, memory_mib: int) -> None:
    resource.setrlimit(resource.RLIMIT_CPU, (int(seconds) + 2, int(seconds) + 3))
    resource.setrlimit(resource.RLIMIT_AS, ((memory_mib + _BESIDE_MIB) * _MIB,) * 2)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def connect(task: dict[str, Any]) -> duckdb.DuckDBPyConnection:
    """A locked connection that has the caller's views and nothing else by a bare name."""
    config: dict[str, Any] = {
        "memory_limit": f"{task['memory_mib']}MiB",
        "threads": "1",
        "temp_directory": "",
        "autoinstall_known_extensions": "false",
        "autoload_known_extensions": "false",
        "python_enable_replacements": "false",
    }
    con = duckdb.connect(":memory:", config=config)
    for alias, path in task["files"].items():
        quoted = path.replace("'", "''")
        con.execute(f"ATTACH '{quoted}' AS \"{alias}\" (READ_ONLY)")
    for name, select in task["views"].items():
        con.execute(f'CREATE VIEW "{name}" AS {select}')
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")
    return con


def answer(con: duckdb.DuckDBPyConnection, task: dict[str, Any]) -> dict[str, Any]:
    """The outcome of `task`: columns, rows and whether there were more; raises RefusedError and what DuckDB raises."""
    # As a literal: the first parameter of a process makes DuckDB import pandas, which takes longer than most statements.
    quoted = task["sql"].replace("'", "''")
    parsed = con.execute(f"SELECT json_serialize_sql('{quoted}')").fetchone()
    assert parsed is not None  # noqa: S101 - a scalar has one row
    read = check(parsed[0], task["views"].keys())
    found = con.execute(task["sql"])
    columns = [[column[0], str(column[1])] for column in found.description or []]
    rows: list[list[Any]] = []
    size, is_cut = 0, False
    while not is_cut and (chunk := found.fetchmany(_CHUNK)):
        for row in chunk:
            plain = [_plain(value) for value in row]
            size += sum(len(value) if isinstance(value, str) else 8 for value in plain)
            if len(rows) == task["most_rows"] or size > task["most_bytes"]:
                is_cut = True
                break
            rows.append(plain)
    return {"columns": columns, "rows": rows, "is_cut": is_cut, "tables": sorted(read)}


def _plain(value: Any) -> Any:
    """As JSON has it; what JSON cannot tell exactly (decimals, times, lists) as text."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else str(value)
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    return str(value)


def main() -> int:
    task = json.load(sys.stdin)
    con = connect(task)
    limit(task["seconds"], task["memory_mib"])
    try:
        outcome = answer(con, task)
    except RefusedError as error:
        outcome = {"refused": str(error)}
    except (duckdb.OutOfMemoryException, MemoryError):
        outcome = {"limit": "memory"}
    except duckdb.Error as error:
        outcome = {"refused": str(error).split("\n\nLINE")[0]}
    json.dump(outcome, sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
