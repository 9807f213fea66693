"""The books of decisions in PostgreSQL: who decided what about which record, why, and where its replay went."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, OperationalError, ProgrammingError

from lakehouse.errors import GlobalMartError
from lakehouse.quarantine.positions import Position
from lakehouse.quarantine.schema import DECISIONS, RECORDS
from lakehouse.settings import Settings

LOCK = 7_266_801
"""Advisory lock of a running repair, discard or replay: any number that nothing else in this database locks on."""
_CHUNK = 5_000


class StoreError(GlobalMartError):
    """The books of decisions cannot be read or written."""


@dataclass(frozen=True)
class Decision:
    """One decision. `change` are rules or a patch, `counts` what the dry run said, `scan_from` where replays can begin."""

    decision_id: str
    action: str
    made_at: datetime
    made_by: str
    why: str
    change: Any
    selection: dict[str, Any]
    counts: dict[str, int]
    scan_from: dict[str, int]
    attempted_at: datetime | None = None


@dataclass(frozen=True)
class Decided:
    """One record of a decision. `replay` is the position of the repaired record, None while it is not in Kafka."""

    decision_id: str
    position: Position
    key: bytes | None = None
    value: bytes | None = None
    replay: Position | None = None
    replayed_at: datetime | None = None


class Store:
    """A connection as the role in `settings`. Raises StoreError, in one sentence, from every method."""

    def __init__(self, settings: Settings) -> None:
        url = settings.postgres_url.get_secret_value()
        if not url:
            raise StoreError(
                "GLOBALMART_POSTGRES_URL is not set: run `globalmart up`, which makes the operator's account."
            )
        self._engine = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"), poolclass=sa.NullPool)
        self._migrate()

    def _migrate(self) -> None:
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
        with self._transaction() as connection:
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK + 1)))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")

    @contextmanager
    def _transaction(self) -> Iterator[sa.Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except OperationalError as error:
            host = f"{self._engine.url.host}:{self._engine.url.port}"
            raise StoreError(
                f"PostgreSQL at {host} does not take the operator: {_first_line(error)}. Run `globalmart up`."
            ) from error
        except ProgrammingError as error:
            raise StoreError(
                f"PostgreSQL refuses the books of decisions: {_first_line(error)}. Run `globalmart up`."
            ) from error

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One repair, discard or replay at a time. Raises StoreError while another one runs."""
        with self._transaction() as connection:
            if not connection.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(LOCK))):
                raise StoreError("Another repair or replay is running: wait until it has ended.")
            yield

    def record(self, decision: Decision, records: Iterable[Decided]) -> None:
        """Write a decision and its records, all or nothing."""
        rows = [
            {**position_columns(one.position), "decision_id": decision.decision_id, "key": one.key, "value": one.value}
            for one in records
        ]
        with self._transaction() as connection:
            connection.execute(DECISIONS.insert().values(**decision.__dict__))
            for start in range(0, len(rows), _CHUNK):
                connection.execute(RECORDS.insert(), rows[start : start + _CHUNK])

    def attempt(self, decision_ids: Collection[str], at: datetime) -> None:
        """Note that a replay begins, before its first record can reach Kafka."""
        statement = DECISIONS.update().where(
            DECISIONS.c.decision_id.in_(decision_ids), DECISIONS.c.attempted_at.is_(None)
        )
        with self._transaction() as connection:
            connection.execute(statement.values(attempted_at=at))

    def replayed(self, records: Collection[Decided]) -> None:
        """Write down where replays went (`replay` and `replayed_at` of each)."""
        match = [
            RECORDS.c[name] == sa.bindparam(f"_{name}") for name in ("decision_id", "topic", "partition", "offset")
        ]
        new: dict[str, Any] = {
            name: sa.bindparam(f"_{name}") for name in ("replay_partition", "replay_offset", "replayed_at")
        }
        rows = [
            {f"_{name}": value for name, value in position_columns(one.position).items()}
            | {"_decision_id": one.decision_id, "_replayed_at": one.replayed_at}
            | {"_replay_partition": one.replay.partition, "_replay_offset": one.replay.offset}
            for one in records
            if one.replay is not None
        ]
        if rows:
            with self._transaction() as connection:
                connection.execute(RECORDS.update().where(*match).values(**new), rows)

    def pending(self, only: str | None = None) -> tuple[list[Decision], list[Decided]]:
        """Repairs (all, or the one with this id) with records that are not known to be in Kafka, and these records by position."""
        statement = (
            sa.select(RECORDS)
            .join(DECISIONS, RECORDS.c.decision_id == DECISIONS.c.decision_id)
            .where(DECISIONS.c.action == "repair", RECORDS.c.replay_offset.is_(None))
            .order_by(DECISIONS.c.made_at, RECORDS.c.topic, RECORDS.c.partition, RECORDS.c.offset)
        )
        if only is not None:
            statement = statement.where(DECISIONS.c.decision_id == only)
        with self._transaction() as connection:
            records = [_decided(row) for row in connection.execute(statement).mappings()]
        return self.decisions({record.decision_id for record in records}), records

    def decisions(self, decision_ids: Collection[str]) -> list[Decision]:
        """The decisions with these ids, oldest first."""
        statement = sa.select(DECISIONS).where(DECISIONS.c.decision_id.in_(decision_ids)).order_by(DECISIONS.c.made_at)
        with self._transaction() as connection:
            return [Decision(**row) for row in connection.execute(statement).mappings()]

    def states(self) -> dict[Position, Decided | None]:
        """The last decision on each decided position; None where that was to discard."""
        columns = [
            RECORDS.c[name]
            for name in (
                "decision_id",
                "topic",
                "partition",
                "offset",
                "replay_partition",
                "replay_offset",
                "replayed_at",
            )
        ]
        statement = (
            sa.select(*columns, DECISIONS.c.action)
            .join(DECISIONS, RECORDS.c.decision_id == DECISIONS.c.decision_id)
            .order_by(DECISIONS.c.made_at)
        )
        with self._transaction() as connection:
            rows = connection.execute(statement).mappings().all()
        return {one.position: one if row["action"] == "repair" else None for row in rows for one in [_decided(row)]}

    def of(self, position: Position) -> list[tuple[Decision, Decided]]:
        """All decisions about one record, oldest first."""
        match = [RECORDS.c[name] == value for name, value in position_columns(position).items()]
        with self._transaction() as connection:
            records = [_decided(row) for row in connection.execute(sa.select(RECORDS).where(*match)).mappings()]
        by_id = {record.decision_id: record for record in records}
        return [(decision, by_id[decision.decision_id]) for decision in self.decisions(by_id)]


def position_columns(position: Position) -> dict[str, Any]:
    return {"topic": position.topic, "partition": position.partition, "offset": position.offset}


def _decided(row: Any) -> Decided:
    position = Position(row["topic"], row["partition"], row["offset"])
    replay = None
    if row["replay_offset"] is not None:
        replay = Position(row["topic"], row["replay_partition"], row["replay_offset"])
    return Decided(row["decision_id"], position, row.get("key"), row.get("value"), replay, row["replayed_at"])


def _first_line(error: DBAPIError) -> str:
    return str(error.orig).strip().splitlines()[0].rstrip(".")
