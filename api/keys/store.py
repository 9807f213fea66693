"""Keys in PostgreSQL: issued, listed, revoked, given an end; read and their use noted by the API."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, bindparam, delete, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.exc import SQLAlchemyError

from api.access import Access, Role
from api.keys.database import KeyStoreError, in_words
from api.keys.model import Key, new_key
from api.keys.tables import ended_sessions, keys
from lakehouse.errors import GlobalMartError


class UnknownKeyError(GlobalMartError):
    """There is no key with this id."""


class Store:
    """The tables over one engine. Raises KeyStoreError, in one sentence, from every method."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def issue(self, access: Access, created_by: str, now: datetime, expires_at: datetime | None) -> tuple[Key, str]:
        """A new key with the rights of `access` (whose `key_id` does not matter), and its text, which is nowhere else."""
        key_id, text, sha256 = new_key()
        key = Key(
            key_id,
            access.name,
            sha256,
            access.role,
            access.countries,
            access.sees_personal,
            now,
            created_by,
            expires_at,
        )
        countries = sorted(access.countries) if access.countries is not None else None
        with self._transaction() as connection:
            connection.execute(delete(ended_sessions).where(ended_sessions.c.expires_at < now))
            connection.execute(insert(keys).values({**asdict(key), "role": key.role.name, "countries": countries}))
        return key, text

    def revoke(self, key_id: str, by: str, now: datetime) -> Key:
        """The key is refused from now on; one that was revoked before stays as it was. Raises UnknownKeyError."""
        return self._change(key_id, keys.c.revoked_at.is_(None), revoked_at=now, revoked_by=by)

    def expire(self, key_id: str, at: datetime | None) -> Key:
        """The key is good until `at`; None: for ever. Raises UnknownKeyError."""
        return self._change(key_id, keys.c.key_id == key_id, expires_at=at)

    def all(self) -> list[Key]:
        """Every key that was ever issued, oldest first."""
        with self._transaction() as connection:
            return [_key(row) for row in connection.execute(select(keys).order_by(keys.c.created_at)).mappings()]

    def ended(self, now: datetime) -> frozenset[str]:
        """Ids of the sessions that were signed out of and would still be good."""
        statement = select(ended_sessions.c.session_id).where(ended_sessions.c.expires_at > now)
        with self._transaction() as connection:
            return frozenset(connection.scalars(statement))

    def end(self, sessions: Mapping[str, datetime]) -> None:
        """Note that sessions (id, and when they would expire) were signed out of."""
        rows = [{"session_id": session, "expires_at": until} for session, until in sessions.items()]
        with self._transaction() as connection:
            connection.execute(upsert(ended_sessions).on_conflict_do_nothing(), rows)

    def used(self, uses: Iterable[tuple[str, datetime]]) -> None:
        """Note when keys (their ids) were used; an earlier time changes nothing."""
        at = bindparam("at", type_=keys.c.last_used_at.type)
        statement = update(keys).where(keys.c.key_id == bindparam("id"))
        rows = [{"id": key_id, "at": moment} for key_id, moment in uses]
        with self._transaction() as connection:
            connection.execute(statement.values(last_used_at=func.greatest(keys.c.last_used_at, at)), rows)

    def _change(self, key_id: str, only: Any, **values: Any) -> Key:
        with self._transaction() as connection:
            connection.execute(update(keys).where(keys.c.key_id == key_id, only).values(**values))
            row = connection.execute(select(keys).where(keys.c.key_id == key_id)).mappings().one_or_none()
        if row is None:
            raise UnknownKeyError(f"There is no key {key_id!r}: `globalmart keys list` shows them.")
        return _key(row)

    @contextmanager
    def _transaction(self) -> Iterator[Connection]:
        try:
            with self._engine.begin() as connection:
                yield connection
        except SQLAlchemyError as error:
            raise KeyStoreError(f"The keys cannot be reached: {in_words(error)}. Is PostgreSQL up?") from None


def _key(row: Mapping[Any, Any]) -> Key:
    countries = frozenset(row["countries"]) if row["countries"] is not None else None
    return Key(**{**row, "sha256": bytes(row["sha256"]), "role": Role[row["role"]], "countries": countries})
