"""The API's door to the alert desk: pages of alerts, one alert, and what an operator does to it, through `api.desk`."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, and_, or_, select
from sqlalchemy.exc import DataError, ProgrammingError

from api.access import Access
from api.desk import lifecycle
from api.desk.channels.ways import ways
from api.desk.core import Desk
from api.desk.database import CURABLE, connect, in_words
from api.desk.errors import AlertStateError, DeskDatabaseError, UnknownAlertError
from api.desk.rules import load_rules
from api.desk.tables import alerts
from api.errors import ConflictError, CursorError, DeskAwayError, NotFoundError
from lakehouse.errors import GlobalMartError
from lakehouse.settings import CHECKOUT, Settings


def _now() -> datetime:
    return datetime.now(UTC)


class AlertDesk:
    """Opened at the first request for it, with the API's own account: PostgreSQL may come later than the API."""

    def __init__(self, settings: Settings, key: bytes, now: Callable[[], datetime] = _now) -> None:
        """`key` signs the cursors."""
        self._settings = settings
        self._key = hmac.digest(key, b"globalmart alert cursors", hashlib.sha256)
        self._now = now
        self._lock = threading.Lock()
        self._desk: Desk | None = None

    def page(
        self, filters: Mapping[str, Sequence[str]], limit: int, cursor: str | None
    ) -> tuple[list[dict[str, Any]], str | None]:
        """The alerts seen last first, and the cursor of the next page. Raises CursorError, DeskAwayError."""
        question = hashlib.sha256(json.dumps({name: list(v) for name, v in filters.items()}).encode()).hexdigest()[:16]
        statement = select(alerts).order_by(alerts.c.last_seen_at.desc(), alerts.c.alert_id).limit(limit + 1)
        for name, values in filters.items():
            if values:
                statement = statement.where(alerts.c[name].in_(list(values)))
        if cursor:
            at, last_id = self._read(cursor, question)
            statement = statement.where(
                or_(alerts.c.last_seen_at < at, and_(alerts.c.last_seen_at == at, alerts.c.alert_id > last_id))
            )
        with self._connection() as connection:
            rows = [{str(name): value for name, value in row._mapping.items()} for row in connection.execute(statement)]
        if len(rows) <= limit:
            return rows, None
        last = rows[limit - 1]
        return rows[:limit], self._cursor(last["last_seen_at"], last["alert_id"], question)

    def show(self, alert_id: str, access: Access) -> dict[str, Any]:
        """One alert with its `events`. Raises NotFoundError, also for one of a country that the key does not see."""
        with self._connection() as connection:
            return self._show(connection, alert_id, access)

    def acknowledge(self, alert_id: str, access: Access, note: str) -> dict[str, Any]:
        """Raises NotFoundError, ConflictError, DeskAwayError; so do the next two."""
        return self._change(
            alert_id, access, lambda desk, one: lifecycle.acknowledge(desk, one, access.name, self._now(), note)
        )

    def snooze(self, alert_id: str, access: Access, until: datetime, note: str) -> dict[str, Any]:
        return self._change(
            alert_id, access, lambda desk, one: lifecycle.snooze(desk, one, until, access.name, self._now(), note)
        )

    def resolve(self, alert_id: str, access: Access, note: str) -> dict[str, Any]:
        return self._change(
            alert_id, access, lambda desk, one: lifecycle.resolve(desk, one, access.name, self._now(), note)
        )

    def close(self) -> None:
        if self._desk is not None:
            self._desk.engine.dispose()

    def _change(self, alert_id: str, access: Access, change: Callable[[Desk, str], object]) -> dict[str, Any]:
        full = str(self.show(alert_id, access)["alert_id"])
        with _in_words():
            change(self._open(), full)
        return self.show(full, access)

    def _show(self, connection: Connection, alert_id: str, access: Access) -> dict[str, Any]:
        found = lifecycle.show_alert(connection, alert_id)
        if access.countries is not None and found["country"] not in access.countries:
            raise NotFoundError(f"There is no alert {alert_id!r} that this key sees.")
        return found

    @contextmanager
    def _connection(self) -> Iterator[Connection]:
        with _in_words(), self._open().engine.connect() as connection:
            yield connection

    def _open(self) -> Desk:
        """Raises DeskAwayError where no account is set up."""
        with self._lock:
            if self._desk is None:
                rules = load_rules(CHECKOUT / self._settings.alert_rules)
                self._desk = Desk(connect(self._settings), rules, frozenset(ways(self._settings, rules)))
            return self._desk

    def _cursor(self, at: datetime, alert_id: str, question: str) -> str:
        body = json.dumps([at.isoformat(), alert_id, question]).encode()
        return base64.urlsafe_b64encode(self._sign(body) + body).decode().rstrip("=")

    def _read(self, cursor: str, question: str) -> tuple[datetime, str]:
        try:
            raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if not hmac.compare_digest(raw[:16], self._sign(raw[16:])):
            raise CursorError("The cursor was not made by this API: start again without one.")
        at, alert_id, asked = json.loads(raw[16:])
        if asked != question:
            raise CursorError(
                "The cursor belongs to a request with other parameters: repeat those, or start again without one."
            )
        return datetime.fromisoformat(at), alert_id

    def _sign(self, body: bytes) -> bytes:
        return hmac.digest(self._key, body, hashlib.sha256)[:16]


@contextmanager
def _in_words() -> Iterator[None]:
    """The desk's errors as those of the API."""
    try:
        yield
    except UnknownAlertError as error:
        raise NotFoundError(str(error)) from None
    except AlertStateError as error:
        raise ConflictError(str(error)) from None
    except DataError as error:  # such as a NUL in an id, which PostgreSQL does not store
        raise NotFoundError(f"There is no such alert ({in_words(error)}).") from None
    except CURABLE as error:
        raise DeskAwayError(f"{in_words(error)}. `globalmart status` says whether PostgreSQL is up.") from None
    except ProgrammingError as error:
        raise DeskAwayError(f"{in_words(error)}. The desk makes its tables when it starts: `globalmart up`.") from None
    except DeskDatabaseError as error:
        raise DeskAwayError(str(error)) from None
    except (NotFoundError, ConflictError):
        raise
    except GlobalMartError as error:
        raise DeskAwayError(str(error)) from None
