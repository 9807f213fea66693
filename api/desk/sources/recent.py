"""The streaming ledger's newest entries, read from the lake once per round for the sources that need them."""

from __future__ import annotations

from datetime import datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

from lakehouse.ledger import LedgerEntry, last_entry
from lakehouse.settings import Settings
from lakehouse.storage import delta_options, delta_uri
from lakehouse.tables import LEDGER_STREAMING

# A store that is away must not hold up the other sources for delta-rs's three minutes of retries.
_IMPATIENCE = {"timeout": "5s", "connect_timeout": "2s", "max_retries": "1", "retry_timeout": "5s"}


class RecentLedger:
    """Raises deltalake's DeltaError or OSError where the lake cannot be read."""

    def __init__(self, settings: Settings) -> None:
        self._uri = delta_uri(settings, LEDGER_STREAMING)
        options = delta_options(settings)
        self._options = {**options, **_IMPATIENCE} if options else None

    def last(self) -> LedgerEntry | None:
        """The newest entry; None before the first."""
        table = self._open()
        return None if table is None else last_entry(table)

    def counts(self, now: datetime, window: timedelta) -> dict[str, int]:
        """`record_count` and `quarantined_count`, summed over the entries committed within `window` before `now`."""
        names = ["record_count", "quarantined_count"]
        table = self._open()
        if table is None:
            return dict.fromkeys(names, 0)
        since = pc.field("committed_at") > pa.scalar(now - window, pa.timestamp("us", "UTC"))
        rows = table.to_pyarrow_dataset().to_table(columns=names, filter=since, use_threads=False)
        return {name: pc.sum(rows[name]).as_py() or 0 for name in names}

    def _open(self) -> DeltaTable | None:
        try:
            return DeltaTable(self._uri, storage_options=self._options)
        except TableNotFoundError:
            return None
