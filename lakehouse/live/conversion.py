"""Conversion and cart recovery: their one definition, as SQL over the current rows of `gold/sessions` and `gold/carts`.

The text is DuckDB's and names the relations `sessions` and `carts`: one row per key, as read once (`lakehouse.live.base.newest`).
"""

from __future__ import annotations

from collections.abc import Sequence

from lakehouse.errors import GlobalMartError

SESSION_FIELDS = ("country", "started_date", "entry_kind")
CART_FIELDS = ("country", "category", "opened_date")


class UnknownFieldError(GlobalMartError):
    """A figure was asked for by a field that it is not kept by."""


def conversion(by: Sequence[str] = ("country",)) -> str:
    """SQL for sessions with an order / sessions, open ones included.

    Columns: `by` (of SESSION_FIELDS), `session_count`, `converted_count`, `conversion` (0 to 1); sorted. Raises UnknownFieldError.
    """
    fields = _checked(by, SESSION_FIELDS)
    return f"""
        SELECT {fields}, count(*) AS session_count, count(*) FILTER (is_converted) AS converted_count,
               converted_count / session_count AS conversion
        FROM sessions GROUP BY {fields} ORDER BY {fields}"""  # noqa: S608 (fields are checked)


def recovery(by: Sequence[str] = ("category", "country")) -> str:
    """SQL for carts that were left: how many and what they hold, and the share that was bought after all.

    Columns: `by` (of CART_FIELDS), `abandoned_count`, `recovered_count`, `recovery_rate` = recovered / (abandoned + recovered), 0 to 1;
    `at_risk_unit_count` and `at_risk_amount` (USD) in abandoned carts, `recovered_amount` (USD) in recovered ones; sorted.
    Empty carts do not count; by category a cart counts once in each category that it holds. Raises UnknownFieldError.
    """
    fields = _checked(by, CART_FIELDS)
    left = "SELECT * FROM carts WHERE status IN ('abandoned', 'recovered') AND unit_count > 0"
    if "category" in by:
        left = f"""
            SELECT country, opened_date, status, unnest(category_amounts, recursive := true)
            FROM ({left})"""  # noqa: S608 (no text from outside)
    return f"""
        SELECT {fields}, count(*) FILTER (status = 'abandoned') AS abandoned_count,
               count(*) FILTER (status = 'recovered') AS recovered_count, recovered_count / count(*) AS recovery_rate,
               coalesce(sum(unit_count) FILTER (status = 'abandoned'), 0) AS at_risk_unit_count,
               coalesce(sum(amount) FILTER (status = 'abandoned'), 0) AS at_risk_amount,
               coalesce(sum(amount) FILTER (status = 'recovered'), 0) AS recovered_amount
        FROM ({left}) GROUP BY {fields} ORDER BY {fields}"""  # noqa: S608 (fields are checked)


def _checked(by: Sequence[str], known: Sequence[str]) -> str:
    unknown = [name for name in by if name not in known]
    if unknown or not by:
        raise UnknownFieldError(f"Ask by one or more of {', '.join(known)}, not by {', '.join(unknown) or 'nothing'}.")
    return ", ".join(by)
