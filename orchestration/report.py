"""What a materialisation says of itself, the same for all assets: rows, totals, time, versions written and read. No definitions here."""

import time
from decimal import Decimal
from typing import Any

from lakehouse.batch import Written
from lakehouse.settings import Settings
from lakehouse.tables import Table


def place_metadata(settings: Settings, written: Written) -> dict[str, Any]:
    """Which commit of which lake: several lakes may have one Dagster, and a lake may be wiped (`orchestration.backfill` looks there)."""
    return {"lake_uri": settings.lake_uri, "version_written": written.version, "version_read": written.sources}


def written_metadata(settings: Settings, written: Written, started: float, table: Table) -> dict[str, Any]:
    """Of one write that began at `started` (monotonic seconds); a total `row_count` is that of the partition, or of the table without any.

    Money is text in USD, which is exact; sums over no rows are 0.
    """
    totals = {name: _plain(name, value) for name, value in written.totals.items()}
    if "row_count" in totals:
        kind = "partition_row_count" if table.partition_by else "row_count"
        totals = {f"dagster/{kind}": totals.pop("row_count"), **totals}
    return {
        **totals,
        "duration_seconds": round(time.monotonic() - started, 2),
        **place_metadata(settings, written),
    }


def _plain(name: str, value: Any) -> Any:
    if name.endswith("_usd"):
        return str(value or Decimal("0.00"))
    return value or 0
