"""Pages of a list by number: the address of the one before and of the one after."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode


def paging(path: str, chosen: dict[str, Any], number: int, size: int, found: int) -> dict[str, Any]:
    """What a list's foot needs. `found` counts the rows that were read, one more than `size` where there is another page."""

    def at(page: int) -> str:
        kept = {name: value for name, value in chosen.items() if value not in ("", None)}
        return f"{path}?{urlencode(kept | {'page': page})}"

    return {
        "first": (number - 1) * size + 1,
        "last": (number - 1) * size + min(found, size),
        "before": at(number - 1) if number > 1 else None,
        "after": at(number + 1) if found > size else None,
    }
