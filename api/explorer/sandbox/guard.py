"""What a statement of an analyst may consist of, judged on DuckDB's own parse tree. Imports nothing of the platform: it runs in the worker.

One SELECT; tables by their bare names, of those that the caller may see; table functions that make rows out of nothing. All else is
refused before it runs, whatever the locked connection would say to it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any

_TABLE_FUNCTIONS = frozenset({"range", "generate_series", "unnest"})
_REFERENCES = frozenset({"EMPTY", "BASE_TABLE", "SUBQUERY", "JOIN", "TABLE_FUNCTION", "EXPRESSION_LIST", "COLUMN_DATA"})
# Names of the system's own views: a WITH of such a name elsewhere in the statement must not make them pass for the analyst's.
_SYSTEM = ("duckdb_", "pragma_", "sqlite_", "pg_", "information_schema")


class RefusedError(Exception):
    """The statement is not one that may run; the sentence says why and what to write instead."""


def check(tree: str, tables: Collection[str]) -> set[str]:
    """The tables that a statement reads, given what `json_serialize_sql` made of it. Raises RefusedError."""
    try:
        parsed = json.loads(tree)
        nodes = list(_nodes(parsed))
    except RecursionError:
        raise RefusedError("The statement is nested too deeply.") from None
    if parsed.get("error"):
        if parsed.get("error_type") == "not implemented":
            raise RefusedError("Only a SELECT can run here: nothing is written, attached, installed or set.")
        raise RefusedError(str(parsed.get("error_message", "The statement cannot be read.")))
    if len(parsed["statements"]) != 1:
        raise RefusedError("One statement at a time, please.")
    own = {entry["key"].lower() for node in nodes for entry in _with(node)}
    if taken := sorted(name for name in own if name.startswith(_SYSTEM)):
        raise RefusedError(f"A WITH cannot be called {taken[0]}.")
    return {name for node in nodes if (name := _table(node, own, tables))}


def _with(node: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (node.get("cte_map") or {}).get("map") or []
    return found


def _table(node: dict[str, Any], own: set[str], tables: Collection[str]) -> str | None:
    """The table that `node` names, None where it names none. Raises RefusedError."""
    if "sample" not in node or "alias" not in node:
        return None  # no reference to rows
    kind = node["type"]
    if kind not in _REFERENCES:
        raise RefusedError(
            "Only tables, joins and subqueries can stand in FROM; the list beside tells each table's columns."
        )
    if kind == "TABLE_FUNCTION":
        name = str(node["function"].get("function_name", "")).lower()
        if name not in _TABLE_FUNCTIONS:
            raise RefusedError(f"The function {name} cannot stand in FROM: files and the system are out of reach.")
    if kind != "BASE_TABLE":
        return None
    name = str(node["table_name"])
    if node.get("schema_name") or node.get("catalog_name"):
        raise RefusedError(f"Name tables without a schema: {name}.")
    if name.lower() in own:
        return None
    if name.lower() not in tables:
        raise RefusedError(f"There is no table {name} for you here. There are: {', '.join(sorted(tables)) or 'none'}.")
    return name.lower()


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
        for inner in value.values():
            yield from _nodes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _nodes(inner)
