"""The outcome of the last proof, written down so that monitoring can tell of it. Not the proof: that is `prove`."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from lakehouse.settings import Settings

if TYPE_CHECKING:
    from lakehouse.books.prove import Books  # who reads this has no use for what a proof needs


@dataclass(frozen=True)
class Proof:
    """`difference_count` is 0 where the books balance up to `batch_id`."""

    batch_id: int
    difference_count: int
    proved_at: datetime


def _file(settings: Settings) -> Path:
    return settings.run_dir / "proof"


def write_proof(settings: Settings, books: Books) -> None:
    """Write down how a proof ended. Where the file cannot be written, nothing: the proof itself has been told."""
    count = 0 if books.balanced else max(1, len(books.differences))
    body = {"batch_id": books.batch_id, "difference_count": count, "proved_at": datetime.now(UTC).isoformat()}
    path = _file(settings)
    partial = path.with_suffix(".partial")
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(body))
        partial.replace(path)


def read_proof(settings: Settings) -> Proof | None:
    """The last proof of this stack; None where there was none."""
    try:
        body = json.loads(_file(settings).read_text())
    except FileNotFoundError:
        return None
    return Proof(body["batch_id"], body["difference_count"], datetime.fromisoformat(body["proved_at"]))
