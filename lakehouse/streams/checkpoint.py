"""Generations of the streaming checkpoint: where one starts, whether it is whole, and the write-ahead entry of each batch.

The folder of a generation holds Spark's checkpoint, `generation.json` (where it began) and `intents/` (what each batch was told
about itself before its first write). It must be on storage that survives a crash; only `file:` addresses are taken.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlparse

from lakehouse.errors import CheckpointError, SettingsError
from lakehouse.ledger import LedgerEntry
from lakehouse.settings import Settings

_KEPT_INTENTS = 20


@dataclass(frozen=True)
class Generation:
    """A run of one Spark checkpoint. Batch numbers go on through generations: `first_batch` + Spark's own number."""

    number: int
    first_batch: int
    start_offsets: dict[str, int]  # per `topic/partition`, the first offset to take; what is absent starts at 0
    is_new: bool = False


@dataclass(frozen=True)
class Intent:
    """The write-ahead entry of a batch."""

    batch_id: int
    started_at: datetime
    watermarks: dict[str, datetime]


class Checkpoint:
    """The newest generation under the settings' checkpoint root. Raises CheckpointError when it is damaged."""

    def __init__(self, settings: Settings) -> None:
        address = urlparse(settings.checkpoint_uri)
        if address.scheme != "file":
            raise SettingsError(
                f"GLOBALMART_CHECKPOINT_URI is {settings.checkpoint_uri}, but must be a file: address on storage that is synced."
            )
        self._root = Path(unquote(address.path)) / "refine"

    def open(
        self, ledger: LedgerEntry | None, last_batch: int, skipped_to: Mapping[str, int] | None = None
    ) -> Generation:
        """The generation to run: the newest on disk if it is whole and the ledger's, else a new one where the ledger ends.

        `last_batch` is the highest batch that any sink has seen; a new generation numbers above it. With `skipped_to` it is a new one
        in any case, which starts at these offsets where they lie after the ledger's.
        """
        newest = max((int(folder.name) for folder in self._root.glob("[0-9]*") if folder.is_dir()), default=0)
        reached = ledger.generation if ledger else 0
        if newest and newest >= reached and not skipped_to:
            generation = self._read(newest)
            if generation is not None:
                self._check(generation, ledger)
                return generation
        number = max(newest, reached) + 1
        first_batch = max(last_batch, ledger.batch_id if ledger else -1) + 1
        offsets = dict(ledger.next_offsets) if ledger else {}
        offsets |= {name: max(offset, offsets.get(name, 0)) for name, offset in (skipped_to or {}).items()}
        return Generation(number, first_batch, offsets, is_new=True)

    def begin(self, generation: Generation) -> None:
        """Write down where a new generation starts; to be called once the sinks have been restored to the ledger."""
        folder = self.folder(generation)
        if folder.exists():
            shutil.rmtree(folder)
        (folder / "intents").mkdir(parents=True)
        body = {k: v for k, v in asdict(generation).items() if k != "is_new"}
        _write_durably(folder / "generation.json", json.dumps(body))

    def folder(self, generation: Generation) -> Path:
        return self._root / f"{generation.number:04d}"

    def intent(self, generation: Generation, batch_id: int, watermarks: dict[str, datetime]) -> Intent:
        """The entry of this batch: as written by an earlier try, or written now."""
        path = self.folder(generation) / "intents" / f"{batch_id}.json"
        if path.exists():
            body = _read_json(path)
            return Intent(
                batch_id,
                datetime.fromisoformat(body["started_at"]),
                {topic: datetime.fromisoformat(time) for topic, time in body["watermarks"].items()},
            )
        intent = Intent(batch_id, datetime.now(UTC), dict(watermarks))
        _write_durably(
            path,
            json.dumps(
                {
                    "started_at": intent.started_at.isoformat(),
                    "watermarks": {topic: time.isoformat() for topic, time in watermarks.items()},
                }
            ),
        )
        (path.parent / f"{batch_id - _KEPT_INTENTS}.json").unlink(missing_ok=True)
        return intent

    def _read(self, number: int) -> Generation | None:
        """None where a new generation was being prepared and nothing had been written yet."""
        path = self._root / f"{number:04d}" / "generation.json"
        if not path.exists():
            if any(path.parent.glob("offsets/*")):
                raise self._damage(path, "is missing")
            return None
        return Generation(**_read_json(path))

    def _check(self, generation: Generation, ledger: LedgerEntry | None) -> None:
        folder = self.folder(generation)
        offsets, commits = (_numbered(folder / name) for name in ("offsets", "commits"))
        ours = ledger is not None and ledger.generation == generation.number
        proven = ledger.batch_id - generation.first_batch if ledger is not None and ours else -1
        if not offsets:
            if proven >= 0 or commits:
                raise self._damage(folder / "offsets", "is empty, though batches have been committed")
            return
        if not (folder / "metadata").is_file() or not (folder / "metadata").read_text().strip():
            raise self._damage(folder / "metadata", "is missing or empty")
        last = max(offsets)
        if last < proven:
            raise self._damage(folder / "offsets" / str(proven), "is missing, though the ledger has its batch")
        if commits and sorted(commits) != list(range(min(commits), max(commits) + 1)):
            raise self._damage(folder / "commits", "has a gap")
        if max(commits, default=-1) < last - 1:
            raise self._damage(folder / "commits" / str(last - 1), "is missing")
        for file in (offsets[last], *([commits[max(commits)]] if commits else [])):
            lines = file.read_text().strip().splitlines()
            if not lines or lines[0] != "v1" or not all(_is_json(line) for line in lines[1:] if line != "-"):
                raise self._damage(file, "is truncated")

    def _damage(self, path: Path, what: str) -> CheckpointError:
        return CheckpointError(
            f"The streaming checkpoint is damaged: {path} {what}. Nothing was written. Move the folder {self._root} away and "
            "start again: a new generation restores the tables to the ledger and goes on from its offsets."
        )


def _numbered(folder: Path) -> dict[int, Path]:
    return {int(file.name): file for file in folder.glob("[0-9]*") if file.name.isdigit()}


def _is_json(line: str) -> bool:
    try:
        json.loads(line)
    except ValueError:
        return False
    return True


def _read_json(path: Path) -> dict:  # type: ignore[type-arg]
    try:
        return dict(json.loads(path.read_text()))
    except ValueError:
        raise CheckpointError(
            f"The streaming checkpoint is damaged: {path} is not JSON. Nothing was written."
        ) from None


def _write_durably(path: Path, text: str) -> None:
    """On disk, under its name, before this returns."""
    partial = path.with_suffix(".partial")
    with partial.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
