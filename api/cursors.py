"""Cursors: where the next page begins, for which request, of which version; signed, so that none can be made up."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from api.errors import CursorError, CursorGoneError
from api.manifest import TableMeta

_SIGNATURE_BYTES = 16


@dataclass(frozen=True)
class Page:
    """What an answer is pinned to: the table's version, when that was known, the window of time, and the last key given.

    `last` has the values of the keys that the rows are sorted by, empty on the first page.
    """

    version: int
    known_at: datetime
    window: tuple[datetime, datetime] | None = None
    last: tuple[str | None, ...] = ()


def fingerprint(route: str, parameters: dict[str, Any]) -> str:
    """A digest of the request less its cursor and limit: a cursor is good for the request that it was made for."""
    kept = {name: value for name, value in sorted(parameters.items()) if name not in {"cursor", "limit"}}
    return hashlib.sha256(json.dumps([route, kept], default=str).encode()).hexdigest()[:16]


def encode(page: Page, meta: TableMeta, request: str, key: str) -> str:
    window = [moment.isoformat() for moment in page.window] if page.window else None
    body = json.dumps(
        {"e": meta.epoch, "v": page.version, "n": page.known_at.isoformat(), "r": request, "w": window, "k": page.last},
        separators=(",", ":"),
    ).encode()
    return base64.urlsafe_b64encode(_sign(body, key) + body).decode().rstrip("=")


def decode(cursor: str, meta: TableMeta, request: str, key: str, is_past: bool = False) -> Page:
    """Raises CursorError for a cursor that is not ours or of another request, CursorGoneError for one of a lost version.

    `is_past`: the request names a moment, so a version that the serving files do not have is read from the lake.
    """
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    signature, body = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _sign(body, key)):
        raise CursorError("The cursor was not made by this API: start again without one.")
    fields = json.loads(body)
    if fields["r"] != request:
        raise CursorError(
            "The cursor belongs to a request with other parameters: repeat those, or start again without one."
        )
    oldest = 0 if is_past else meta.loaded_version
    if fields["e"] != meta.epoch or not oldest <= fields["v"] <= meta.delta_version:
        raise CursorGoneError("The table was reloaded since this cursor was made: start again without one.")
    window = tuple(datetime.fromisoformat(moment) for moment in fields["w"]) if fields["w"] else None
    return Page(fields["v"], datetime.fromisoformat(fields["n"]), window, tuple(fields["k"]))  # type: ignore[arg-type]


def key_text(value: Any) -> str | None:
    """A sort key as it is kept in a cursor; DuckDB reads it back as the column's own type."""
    return value.isoformat() if isinstance(value, date) else None if value is None else str(value)


def _sign(body: bytes, key: str) -> bytes:
    return hmac.new(bytes.fromhex(key), body, hashlib.sha256).digest()[:_SIGNATURE_BYTES]
