"""SQL that several panels share: what of a table a dashboard asks for, and figures by their one definition. Pure text.

Times are half open, `from` included and `to` not, as in the API: Grafana's `$__timeFilter` would count a minute that begins at `to` twice,
here and in the period after. A variable on "All" stands for the column itself, so rows are then not filtered at all.
"""

from __future__ import annotations

FROM, TO = "$__timeFrom()", "$__timeTo()"
COUNTRY = "country IN ($country)"
CATEGORY = "category IN ($category)"
_BEFORE = f"{FROM}::timestamptz - ({TO}::timestamptz - {FROM}::timestamptz)"

REVENUE = "coalesce(sum(revenue), 0)"
ORDERS = "coalesce(sum(order_count), 0)::bigint"
UNITS = "coalesce(sum(unit_count), 0)::bigint"
# To whole cents, halves away from zero, and null where nothing was ordered: as the API's `average_order_value`.
AVERAGE_ORDER = "round(sum(revenue) / nullif(sum(order_count), 0), 2)"
# Open sessions count as well: `lakehouse.live.conversion`.
CONVERSION = "count(*) FILTER (WHERE is_converted)::float8 / nullif(count(*), 0)"
# Empty carts do not count: `lakehouse.live.conversion`.
LEFT_CARTS = "status IN ('abandoned', 'recovered') AND unit_count > 0"
RECOVERY = "count(*) FILTER (WHERE status = 'recovered')::float8 / nullif(count(*), 0)"
AT_RISK = "coalesce(sum(amount) FILTER (WHERE status = 'abandoned'), 0)"


def within(column: str) -> str:
    """Rows of the dashboard's period."""
    return f"{column} >= {FROM} AND {column} < {TO}"


def within_days(day: str, column: str) -> str:
    """The same where the table's index is by the UTC day of `column`."""
    days = f"({FROM}::timestamptz AT TIME ZONE 'UTC')::date AND ({TO}::timestamptz AT TIME ZONE 'UTC')::date"
    return f"{day} BETWEEN {days} AND {within(column)}"


def grouped(column: str) -> str:
    """The period's start as Grafana's `time`, in steps of the variable `interval`; steps without rows are filled with 0."""
    return f"$__timeGroupAlias({column}, '$interval', 0)"


def grouped_open(column: str) -> str:
    """The same, and steps without rows stay empty: for averages and rates, which have no value there."""
    return f"$__timeGroupAlias({column}, '$interval')"


def against_before(table: str, column: str, value: str, where: str, name: str, day: str = "") -> str:
    """One row: `value` of the period as `name`, and its `Change` against the equally long period before.

    `value` is an aggregate. `Change` is null where the mirror does not have all of the period before, and where the value was 0 in it.
    `day` is the table's column of the day, where that is what is indexed.
    """
    first = f"({_BEFORE})"
    since = f"{day} >= ({first} AT TIME ZONE 'UTC')::date AND " if day else ""
    return f"""
        SELECT now.value AS "{name}",
            CASE WHEN has.all_before THEN (now.value::float8 - was.value::float8) / nullif(was.value::float8, 0) END AS "Change"
        FROM (SELECT {value} AS value FROM {table} WHERE {_days(day, FROM)}{within(column)} AND {where}) AS now,
            (SELECT {value} AS value FROM {table} WHERE {since}{column} >= {first} AND {column} < {FROM} AND {where}) AS was,
            (SELECT coalesce(bool_and(first_day IS NULL OR first_day <= ({first} AT TIME ZONE 'UTC')::date), false) AS all_before
             FROM versions WHERE table_path = 'gold/{table}') AS has"""  # noqa: S608


def _days(day: str, since: str) -> str:
    return f"{day} >= ({since}::timestamptz AT TIME ZONE 'UTC')::date AND " if day else ""


def status_of_period(table: str, length: str) -> str:
    """CTEs `final` and `periods`: sums of `table` by `length` (hour, day) with the status that the sales board would give.

    A period is provisional until the watermark has passed its end, and restated once something came that the batch which made it final
    did not know. The mirror has no batch ids; a batch's `known_at` is its start, so what is known later is of a later batch.
    """
    return f"""
        WITH sums AS (
            SELECT date_trunc('{length}', minute, 'UTC') AS start_at, sum(order_count)::bigint AS order_count,
                sum(revenue) AS revenue, max(known_at) AS known_at
            FROM {table} WHERE {within("minute")} AND {COUNTRY} GROUP BY 1
        ), periods AS (
            SELECT sums.*, final.known_at AS final_at,
                CASE WHEN final.known_at IS NULL THEN 'provisional'
                     WHEN sums.known_at > final.known_at THEN 'restated' ELSE 'final' END AS status
            FROM sums LEFT JOIN LATERAL (
                SELECT known_at FROM finality WHERE final_until >= sums.start_at + interval '1 {length}'
                ORDER BY final_until LIMIT 1
            ) AS final ON true
        )"""  # noqa: S608
