"""What a caller may see and do: decided once by who asks (`api.auth`, the pages' session), obeyed by every route and page."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Role(IntEnum):
    """Each role may do what those before it may. Viewers read, analysts ask their own questions, operators change, admins manage keys."""

    viewer = 1
    analyst = 2
    operator = 3
    admin = 4


@dataclass(frozen=True)
class Access:
    """The rights of one key. `countries` are those whose rows it sees, None for all; `sees_personal` that e-mail addresses and user ids are not masked."""

    key_id: str
    name: str
    role: Role
    countries: frozenset[str] | None = None
    sees_personal: bool = False
