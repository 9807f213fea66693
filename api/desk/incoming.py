"""Messages of the topic `detections` read strictly: a finding, or a sentence that says why it is none."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC
from typing import Any

from pydantic import TypeAdapter, ValidationError

from api.desk.errors import UnreadableFindingError
from lakehouse.findings import Finding

_FINDING = TypeAdapter(Finding)
# Ids are keys of indexes, whose entries PostgreSQL limits to a third of a page.
_LONGEST_ID = 300
_LONGEST_TITLE = 300
_LONGEST_DETAIL = 5_000


@dataclass(frozen=True)
class Message:
    """One Kafka record of `detections`."""

    topic: str
    partition: int
    offset: int
    value: bytes | None


def read_finding(value: bytes | None) -> Finding:
    """The finding that `value` says (lakehouse/findings.py). Raises UnreadableFindingError."""
    if value is None:
        raise UnreadableFindingError("the record has no value")
    try:
        finding = _FINDING.validate_json(value)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise UnreadableFindingError(f"{place}: {first['msg']}" if place else first["msg"]) from None
    for name in ("finding_id", "kind", "fingerprint"):
        if not 0 < len(getattr(finding, name)) <= _LONGEST_ID:
            raise UnreadableFindingError(
                f"{name} has {len(getattr(finding, name))} characters, 1 to {_LONGEST_ID} are allowed"
            )
    if finding.event_at.tzinfo is None or finding.detected_at.tzinfo is None:
        raise UnreadableFindingError("a time has no offset from UTC")
    if b"\\u0000" in value:
        finding = Finding(**{name: _without_nul(part) for name, part in vars(finding).items()})
    return replace(
        finding,
        title=finding.title[:_LONGEST_TITLE],
        detail=finding.detail[:_LONGEST_DETAIL],
        event_at=finding.event_at.astimezone(UTC),
        detected_at=finding.detected_at.astimezone(UTC),
    )


def _without_nul(part: Any) -> Any:
    """PostgreSQL keeps no NUL character, in text or in JSON; a customer's text may hold one."""
    if isinstance(part, str):
        return part.replace("\0", "")
    if isinstance(part, dict):
        return {_without_nul(key): _without_nul(value) for key, value in part.items()}
    if isinstance(part, list):
        return [_without_nul(value) for value in part]
    return part
