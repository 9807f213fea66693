"""The statements of the mirror, as text. Pure. All names come from `lakehouse.tables` and from here."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa

from api.mirror.plan import VIEWS, Mirrored, sql_type
from lakehouse.tables import Column

SCHEMA = "mirror"
STAGE, FRESH = "mirror_stage", "mirror_fresh"

VERSIONS = f"""
CREATE TABLE IF NOT EXISTS {SCHEMA}.versions (
    table_path text PRIMARY KEY, delta_version bigint NOT NULL, log_digest text NOT NULL, first_day date,
    row_count bigint NOT NULL, committed_at timestamptz NOT NULL, mirrored_at timestamptz NOT NULL,
    loaded_at timestamptz NOT NULL, load_seconds double precision NOT NULL
)"""
VERSION_COLUMNS = (
    "table_path",
    "delta_version",
    "log_digest",
    "first_day",
    "row_count",
    "committed_at",
    "mirrored_at",
    "loaded_at",
    "load_seconds",
)


def name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def names(texts: Iterable[str], prefix: str = "") -> str:
    return ", ".join(prefix + name(text) for text in texts)


def place(mirrored: Mirrored) -> str:
    """The table that readers see."""
    return f"{SCHEMA}.{name(mirrored.table.name)}"


def shadow(mirrored: Mirrored) -> str:
    """The name, within the schema, of the table that a full load fills."""
    return f"{mirrored.table.name}__next"


def create(target: str, columns: Iterable[Column], kind: str = "TABLE") -> str:
    lines = ", ".join(f"{name(c.name)} {sql_type(c.type)}{'' if c.nullable else ' NOT NULL'}" for c in columns)
    return f"CREATE {kind} {target} ({lines})"


def create_stage(mirrored: Mirrored) -> str:
    """Where the rows of a live table land as they were written, to be read in one of the ways of `Table.reading`."""
    return create(STAGE, mirrored.table.columns, "TEMP TABLE") + " ON COMMIT DROP"


def fresh(mirrored: Mirrored) -> str:
    """The stage once read: sums added up, of snapshots the newest of each key, retracted ones with their mark."""
    table = mirrored.table
    if table.reading == "sums":
        keys = mirrored.key
        values = [
            f"{'max' if pa.types.is_timestamp(c.type) else 'sum'}({name(c.name)})::{sql_type(c.type)} AS {name(c.name)}"
            for c in mirrored.columns
            if c.name not in keys
        ]
        body = f"SELECT {names(keys)}, {', '.join(values)} FROM {STAGE} GROUP BY {names(keys)}"  # noqa: S608
    else:
        body = f"SELECT DISTINCT ON ({names(table.key)}) * FROM {STAGE} ORDER BY {names(table.key)}, batch_id DESC"  # noqa: S608
    return f"CREATE TEMP TABLE {FRESH} ON COMMIT DROP AS {body}"


def merge(mirrored: Mirrored, target: str) -> list[tuple[int, str]]:
    """What brings `target` up to date with `mirrored_fresh`, each with what a row that it touches adds to the count of rows."""
    keys = mirrored.key
    same = " AND ".join(f"t.{name(key)} = f.{name(key)}" for key in keys)
    insert = f"INSERT INTO {target} ({names(mirrored.names)}) SELECT {names(mirrored.names, 'f.')} FROM {FRESH} f"  # noqa: S608
    if mirrored.table.reading == "snapshots":
        kept = " WHERE NOT f.is_retracted" if "is_retracted" in mirrored.table.schema.names else ""
        return [(-1, f"DELETE FROM {target} t USING {FRESH} f WHERE {same}"), (1, insert + kept)]  # noqa: S608
    added = [c for c in mirrored.columns if c.name not in keys]
    put = ", ".join(
        f"{name(c.name)} = greatest(t.{name(c.name)}, f.{name(c.name)})"
        if pa.types.is_timestamp(c.type)
        else f"{name(c.name)} = t.{name(c.name)} + f.{name(c.name)}"
        for c in added
    )
    update = f"UPDATE {target} t SET {put} FROM {FRESH} f WHERE {same}"  # noqa: S608
    return [(0, update), (1, f"{insert} WHERE NOT EXISTS (SELECT FROM {target} t WHERE {same})")]


def indexes(mirrored: Mirrored, target: str) -> list[str]:
    """Unnamed: PostgreSQL finds names that the table in use does not have."""
    unique = f"CREATE UNIQUE INDEX ON {target} ({names(mirrored.key)})"
    return [unique, *(f"CREATE INDEX ON {target} ({names(index)})" for index in mirrored.indexes)]


def try_lock(mirrored: Mirrored) -> str:
    """Have the table that readers see to oneself, if that is to be had before `lock_timeout`; `GOT_LOCK` then says whether.

    Views come first, as they do for who reads one: the other order could be a deadlock.
    """
    locked = ", ".join([*(f"{SCHEMA}.{view}" for view in views(mirrored)), place(mirrored)])
    return f"""DO $$ BEGIN
        PERFORM set_config('mirror.lock', 'got', true);
        IF to_regclass('{place(mirrored)}') IS NOT NULL THEN LOCK TABLE {locked} IN ACCESS EXCLUSIVE MODE; END IF;
    EXCEPTION WHEN lock_not_available THEN PERFORM set_config('mirror.lock', 'held', true);
    END $$"""


GOT_LOCK = "SELECT current_setting('mirror.lock') = 'got'"


def swap(mirrored: Mirrored) -> list[str]:
    """Put the shadow table in the place of the one that readers see, and its views with it."""
    return [
        f"DROP TABLE IF EXISTS {place(mirrored)} CASCADE",
        f"ALTER TABLE {SCHEMA}.{name(shadow(mirrored))} RENAME TO {name(mirrored.table.name)}",
        *(f"CREATE VIEW {SCHEMA}.{view} AS {body.format(mirror=SCHEMA)}" for view, body in views(mirrored).items()),
        # Only who may connect to the database and use the schema gets this far: `infra.servers.postgres`.
        f"GRANT SELECT ({names(mirrored.readable)}) ON {place(mirrored)} TO PUBLIC",
        *(f"GRANT SELECT ON {SCHEMA}.{view} TO PUBLIC" for view in views(mirrored)),
    ]


def views(mirrored: Mirrored) -> dict[str, str]:
    return VIEWS.get(mirrored.table.path, {})


def upsert_version() -> str:
    marks = ", ".join(f"${number}" for number in range(1, len(VERSION_COLUMNS) + 1))
    rest = ", ".join(f"{column} = excluded.{column}" for column in VERSION_COLUMNS[1:])
    return (
        f"INSERT INTO {SCHEMA}.versions ({', '.join(VERSION_COLUMNS)}) VALUES ({marks}) "  # noqa: S608
        f"ON CONFLICT (table_path) DO UPDATE SET {rest}"
    )
