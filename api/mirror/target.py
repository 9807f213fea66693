"""The mirror's side in PostgreSQL: what it shows of each table, full loads that swap in, and steps that bring a table up to date.

Rows go in by ADBC as binary COPY straight from Arrow batches, so that memory stays that of a few batches whatever the table's size.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import astuple, dataclass
from datetime import UTC, date, datetime
from typing import Any

import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa

from api.errors import MirrorError
from api.mirror import sql
from api.mirror.plan import Mirrored
from api.mirror.shape import reader
from api.source import first_line
from lakehouse.settings import Settings
from lakehouse.tables import Column

# TCP notices a server that is frozen or cut off; a statement of a load may itself take minutes.
_OPTIONS = (
    "connect_timeout=5&application_name=globalmart-mirror&tcp_user_timeout=20000"
    "&keepalives_idle=5&keepalives_interval=5&keepalives_count=3&options=-c%20timezone%3DUTC"
)
# A swap waits for readers of the old table, and new readers wait behind it: so it waits shortly, and often.
_LOCK_TIMEOUT, _LOCK_TRIES, _LOCK_PAUSE_SECONDS = "1s", 90, 0.5
_VERSION_TYPES = (
    pa.string(),
    pa.int64(),
    pa.string(),
    pa.date32(),
    pa.int64(),
    *[pa.timestamp("us", "UTC")] * 3,
    pa.float64(),
)


@dataclass(frozen=True)
class Shown:
    """What the mirror shows of one table: a row of `mirror.versions`. Times are UTC, with zone.

    `first_day`: earlier days are not in the mirror; None where it has all. `loaded_at`, `load_seconds`: the last full load.
    """

    table_path: str
    delta_version: int
    log_digest: str
    first_day: date | None
    row_count: int
    committed_at: datetime
    mirrored_at: datetime
    loaded_at: datetime
    load_seconds: float


class Target:
    """One connection, one transaction per table. Every method raises MirrorError."""

    def __init__(self, settings: Settings) -> None:
        if not settings.mirror_url:
            raise MirrorError("GLOBALMART_POSTGRES_URL is not set: `globalmart up` makes the account of the mirror.")
        with _told():
            self._con = adbc.connect(f"{settings.mirror_url}?{_OPTIONS}")

    def close(self) -> None:
        with _told():
            self._con.close()

    def __enter__(self) -> Target:
        return self

    def __exit__(self, *_: object) -> None:
        # The error that is under way says more than one of closing.
        try:
            self.close()
        except MirrorError:
            return

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit at the end; undo all of it on an error."""
        try:
            yield
            with _told():
                self._con.commit()
        except BaseException:
            with suppress(adbc.Error):
                self._con.rollback()
            raise

    def run(self, statement: str) -> int:
        """Run one statement; the rows that it touched."""
        with _told(), self._con.cursor() as cursor:
            cursor.adbc_statement.set_sql_query(statement)
            return int(cursor.adbc_statement.execute_update())

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with _told(), self._con.cursor() as cursor:
            cursor.execute(statement)
            return list(cursor.fetchall())

    def copy(
        self, target: str, batches: pa.RecordBatchReader, columns: Iterable[Column], *, temporary: bool = False
    ) -> int:
        """Add rows to a table of the mirror's schema, or to a temporary one; how many they were.

        What `batches` raises comes out as it is.
        """
        failed: list[Exception] = []

        def watched() -> Iterator[pa.RecordBatch]:
            try:
                yield from batches
            except Exception as error:
                failed.append(error)
                raise

        where: dict[str, Any] = {"temporary": True} if temporary else {"db_schema_name": sql.SCHEMA}
        try:
            with _told(), self._con.cursor() as cursor:
                return int(cursor.adbc_ingest(target, reader(watched(), columns), mode="append", **where))
        except MirrorError:
            if failed:
                raise failed[0] from None
            raise

    def prepare(self) -> None:
        """Make `mirror.versions` where it is missing. The schema is the bootstrap's: `infra.servers.postgres`."""
        with self.transaction():
            if not self.rows(f"SELECT 1 FROM pg_namespace WHERE nspname = '{sql.SCHEMA}'"):  # noqa: S608
                raise MirrorError(f"The database has no schema {sql.SCHEMA}: `globalmart up` makes it.")
            if not self.rows(f"SELECT 1 WHERE to_regclass('{sql.SCHEMA}.versions') IS NOT NULL"):
                self.run(sql.VERSIONS)
                self.run(f"GRANT SELECT ON {sql.SCHEMA}.versions TO PUBLIC")

    def shown(self) -> dict[str, Shown]:
        """What the mirror shows, by path; tables that somebody has dropped are not among it."""
        columns = ", ".join(sql.VERSION_COLUMNS)
        there = f"to_regclass('{sql.SCHEMA}.' || quote_ident(split_part(table_path, '/', 2))) IS NOT NULL"
        found = self.rows(f"SELECT {columns} FROM {sql.SCHEMA}.versions WHERE {there}")  # noqa: S608
        return {one.table_path: one for one in (Shown(*row) for row in found)}

    def claim(self, mirrored: Mirrored, *, wait: bool = False) -> bool:
        """Have the table to oneself until the transaction ends; False where another has it."""
        call = f"hashtext('mirror/{mirrored.table.path}')"
        if wait:
            self.rows(f"SELECT pg_advisory_xact_lock({call})::text")
            return True
        return bool(self.rows(f"SELECT pg_try_advisory_xact_lock({call})")[0][0])

    def record(self, shown: Shown) -> None:
        arrays = [pa.array([value], kind) for value, kind in zip(astuple(shown), _VERSION_TYPES, strict=True)]
        with _told(), self._con.cursor() as cursor:
            cursor.execute(sql.upsert_version(), pa.record_batch(arrays, names=list(sql.VERSION_COLUMNS)))

    def load(self, mirrored: Mirrored, batches: pa.RecordBatchReader, first_day: date | None) -> int:
        """Fill a shadow table with `batches` and put it in the place of what readers see; its rows."""
        shadow = sql.shadow(mirrored)
        target = f"{sql.SCHEMA}.{sql.name(shadow)}"
        self.run(sql.create(target, mirrored.columns))
        if mirrored.table.reading == "rows":
            count = self.copy(shadow, batches, mirrored.columns)
        else:
            count = self._merge(mirrored, target, batches)
            count -= self._prune(mirrored, target, first_day)
        for statement in (*sql.indexes(mirrored, target), f"ANALYZE {target}"):
            self.run(statement)
        self._swap(mirrored)
        return count

    def step(
        self, mirrored: Mirrored, batches: pa.RecordBatchReader, first_day: date | None, replaced: Sequence[date] = ()
    ) -> int:
        """Bring the table that readers see up to date: days `replaced` out, `batches` in, days before `first_day` out.

        Returns by how much its rows have grown.
        """
        target, grown = sql.place(mirrored), 0
        if replaced:
            days = ", ".join(f"DATE '{day}'" for day in replaced)
            grown -= self.run(f"DELETE FROM {target} WHERE {sql.name(mirrored.day or '')} IN ({days})")  # noqa: S608
        if mirrored.table.reading == "rows":
            grown += self.copy(mirrored.table.name, batches, mirrored.columns)
        else:
            grown += self._merge(mirrored, target, batches)
        return grown - self._prune(mirrored, target, first_day)

    def forget(self, mirrored: Mirrored) -> None:
        """Take a table out of the mirror that gold no longer has."""
        self.run(f"DROP TABLE IF EXISTS {sql.place(mirrored)} CASCADE")
        self.run(f"DELETE FROM {sql.SCHEMA}.versions WHERE table_path = '{mirrored.table.path}'")  # noqa: S608

    def forget_others(self, declared: Iterable[Mirrored]) -> list[str]:
        """Take out of the mirror what is none of `declared`, such as the table of an older release; the names of those tables."""
        kept = list(declared)
        known = ", ".join(f"'{name}'" for name in ("versions", *(one.table.name for one in kept)))
        found = self.rows(
            f"SELECT tablename FROM pg_tables WHERE schemaname = '{sql.SCHEMA}' AND tablename NOT IN ({known}) ORDER BY 1"  # noqa: S608
        )
        for (table,) in found:
            self.run(f"DROP TABLE {sql.SCHEMA}.{sql.name(table)} CASCADE")
        paths = ", ".join(f"'{one.table.path}'" for one in kept)
        self.run(f"DELETE FROM {sql.SCHEMA}.versions WHERE table_path NOT IN ({paths})")  # noqa: S608
        return [str(table) for (table,) in found]

    def _merge(self, mirrored: Mirrored, target: str, batches: pa.RecordBatchReader) -> int:
        """Read rows of sums or snapshots through a temporary table; by how much the rows of `target` have grown."""
        self.run(sql.create_stage(mirrored))
        self.copy(sql.STAGE, batches, mirrored.table.columns, temporary=True)
        self.run(sql.fresh(mirrored))
        return sum(sign * self.run(statement) for sign, statement in sql.merge(mirrored, target))

    def _prune(self, mirrored: Mirrored, target: str, first_day: date | None) -> int:
        if mirrored.day is None or first_day is None:
            return 0
        return self.run(f"DELETE FROM {target} WHERE {sql.name(mirrored.day)} < DATE '{first_day}'")  # noqa: S608

    def _swap(self, mirrored: Mirrored) -> None:
        """Between two tries the old table is free, so readers wait a second at most. Raises MirrorError when it is never free."""
        self.run(f"SET LOCAL lock_timeout = '{_LOCK_TIMEOUT}'")
        for _ in range(_LOCK_TRIES):
            self.run(sql.try_lock(mirrored))
            if self.rows(sql.GOT_LOCK)[0][0]:
                for statement in sql.swap(mirrored):
                    self.run(statement)
                return
            time.sleep(_LOCK_PAUSE_SECONDS)
        raise MirrorError(
            f"{mirrored.table.path} is loaded, but readers have held the table before it all the time: end the long query."
        )


@contextmanager
def _told() -> Iterator[None]:
    """The driver's errors in one sentence."""
    try:
        yield
    except adbc.Error as error:
        raise MirrorError(f"PostgreSQL: {first_line(error)}") from None


def now() -> datetime:
    return datetime.now(UTC)
