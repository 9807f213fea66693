"""What Dagster is told of the tables that the streaming service writes: from the ledger and the Delta logs, without Spark."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.ledger import LedgerEntry, last_entry
from lakehouse.settings import Settings
from lakehouse.storage import open_table
from lakehouse.tables import BY_PATH, LEDGER_STREAMING, Table
from orchestration.naming import key

_DATA_VERSION = "dagster/data_version"


@dataclass(frozen=True)
class Seen:
    """What was told last: the micro-batch, and by path the Delta version of each table."""

    batch_id: int = -1
    versions: dict[str, int] = field(default_factory=dict)

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @staticmethod
    def from_json(text: str | None) -> Seen:
        return Seen(**json.loads(text)) if text else Seen()


def look(settings: Settings, seen: Seen) -> tuple[list[dg.AssetObservation | dg.AssetMaterialization], Seen]:
    """Nothing where no micro-batch was committed since. Raises deltalake's TableNotFoundError before the first.

    Of each table an event that the stream has made it as of the newest micro-batch, by which Dagster judges freshness; of those whose
    Delta version has moved an observation with that version as data version, and with what the log says of rows and files.
    """
    ledger = open_table(settings, LEDGER_STREAMING)
    entry = last_entry(ledger)
    if entry is None or entry.batch_id == seen.batch_id:
        return [], seen
    versions = {path: version for path, version in entry.table_versions.items() if path in BY_PATH}
    versions[LEDGER_STREAMING.path] = int(ledger.version())
    events: list[dg.AssetObservation | dg.AssetMaterialization] = []
    for path, version in sorted(versions.items()):
        table, tags = BY_PATH[path], {_DATA_VERSION: str(version)}
        if seen.versions.get(path) != version:
            metadata = {**_batch(entry), **_content(settings, table, version)}
            events.append(dg.AssetObservation(key(table), metadata=metadata, tags=tags))
        events.append(dg.AssetMaterialization(key(table), metadata=_batch(entry), tags=tags))
    return events, Seen(entry.batch_id, versions)


def _batch(entry: LedgerEntry) -> dict[str, Any]:
    return {"batch_id": entry.batch_id, "committed_at": dg.MetadataValue.timestamp(entry.committed_at.astimezone(UTC))}


def _content(settings: Settings, table: Table, version: int) -> dict[str, Any]:
    """Of the table at `version`; `dagster/row_count` are rows as stored, before sums are added up or snapshots replaced."""
    delta = open_table(settings, table, version)
    files = pa.table(delta.get_add_actions(flatten=True))
    changed_at = datetime.fromtimestamp(delta.history(1)[0]["timestamp"] / 1000, UTC)
    return {
        "delta_version": version,
        "dagster/row_count": pc.sum(files["num_records"]).as_py() or 0,
        "size_bytes": pc.sum(files["size_bytes"]).as_py() or 0,
        "file_count": files.num_rows,
        "dagster/last_updated_timestamp": dg.MetadataValue.timestamp(changed_at),
    }
