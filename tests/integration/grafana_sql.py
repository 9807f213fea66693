"""What Grafana makes of a panel's SQL before PostgreSQL sees it: variables in the browser, then macros in the server. Written after its sources.

Browser (`templateSrv`, and `SqlDatasource.interpolateVariable`): a variable that may have several values, or all, gives its values quoted and
joined by commas; `All` gives its `allValue` as it stands; any other variable gives its value with quotes doubled. What is no variable stays.
Server (`sqleng.Interpolate`): `$__interval_ms`, `$__interval`. Then (`macros.go` of the PostgreSQL data source) everything of the form
`$name(arguments)`, where the arguments end at the first closing bracket; an unknown name is an error. `$__timeGroup` with a comma straight
after it is taken for `$__timeGroupAlias`: an old habit of Grafana, and a trap. A third argument fills gaps after the query and is no SQL.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

ALL = "$__all"
_VARIABLE = re.compile(r"\$(\w+)|\$\{(\w+)\}")
_MACRO = re.compile(r"\$([_a-zA-Z0-9]+)\(([^)]*)\)")
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


@dataclass(frozen=True)
class Period:
    start: datetime
    end: datetime
    interval_seconds: int = 60


def expand(sql: str, period: Period, variables: Sequence[Mapping[str, Any]], chosen: Mapping[str, Any]) -> str:
    """The SQL that PostgreSQL gets. `variables` are the dashboard's, as JSON; `chosen` has a value or a list of them by name, or ALL."""
    known = {one["name"]: one for one in variables}

    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        return _value(known[name], chosen[name]) if name in known else match[0]

    text = _VARIABLE.sub(value, sql)
    text = text.replace("$__interval_ms", str(period.interval_seconds * 1000))
    text = text.replace("$__interval", f"{period.interval_seconds}s")
    whole = text
    return _MACRO.sub(lambda match: _macro(match, whole, period), text)


def _value(variable: Mapping[str, Any], chosen: Any) -> str:
    if not (variable.get("multi") or variable.get("includeAll")):
        return str(chosen).replace("'", "''")
    if chosen == ALL:
        return str(variable["allValue"])
    return ",".join("'" + one.replace("'", "''") + "'" for one in chosen)


def _macro(match: re.Match[str], whole: str, period: Period) -> str:
    name, arguments = match[1], [part.strip(" ") for part in match[2].split(",")]
    if name == "__timeGroup":
        after = whole[whole.index(match[0]) + len(match[0]) :]
        name = "__timeGroupAlias" if after.startswith(",") else name
    if name == "__timeFrom":
        return f"'{_rfc3339(period.start)}'"
    if name == "__timeTo":
        return f"'{_rfc3339(period.end)}'"
    if name == "__timeFilter":
        return f"{arguments[0]} BETWEEN '{_rfc3339(period.start)}' AND '{_rfc3339(period.end)}'"
    if name in {"__timeGroup", "__timeGroupAlias"}:
        seconds = _seconds(arguments[1].strip("'"))
        group = f"floor(extract(epoch from {arguments[0]})/{seconds})*{seconds}"
        return f'{group} AS "time"' if name == "__timeGroupAlias" else group
    raise ValueError(f"unknown macro {name}")


def _seconds(text: str) -> int:
    found = re.fullmatch(r"(\d+)([smhdw])", text)
    if not found:
        raise ValueError(f"error parsing interval {text}")
    return int(found[1]) * _UNITS[found[2]]


def _rfc3339(at: datetime) -> str:
    text = at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f").rstrip("0").rstrip(".")
    return f"{text}Z"
