"""Sessions of the stream held against sessions computed in batch, both as of one entry of the ledger."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
from pyspark.sql import SparkSession
from shop_events import current

from lakehouse.ledger import last_entry
from lakehouse.live.base import Lake
from lakehouse.settings import Settings
from lakehouse.storage import open_table
from lakehouse.tables import CART_EVENTS, LEDGER_STREAMING, PRODUCT_VIEWS, SESSIONS, TRANSACTIONS
from lakehouse.transforms.sessions import COLUMNS, sessions
from lakehouse.transforms.watermarks import shop_watermark

GAP_MINUTES = 30
EVENT = ["user_id", "timestamp", "country", "topic", "partition", "offset"]


def newest_lake(settings: Settings) -> Lake:
    """All tables as of the newest ledger entry: the stream may go on meanwhile, if only to close sessions."""
    entry = last_entry(open_table(settings, LEDGER_STREAMING))
    assert entry is not None
    return Lake(settings, entry.table_versions, shop_watermark(entry.watermarks))


def equal_to_batch(lake: Lake, spark: SparkSession) -> list[dict[str, Any]]:
    """The sessions of the stream, by customer and start; fails the test where a batch over silver gives others."""
    frames = [
        spark.createDataFrame(lake.read(table, [*EVENT, *columns]))
        for table, columns in (
            (PRODUCT_VIEWS, ["product_id"]),
            (CART_EVENTS, ["product_id"]),
            (TRANSACTIONS, ["products", "total_amount"]),
        )
    ]
    rows = sessions(*frames, GAP_MINUTES, lake.watermark).orderBy("user_id", "started_at").toArrow()
    batch = rows.cast(pa.schema([SESSIONS.schema.field(name) for name in COLUMNS])).to_pylist()
    live = current(lake, SESSIONS)
    ours, theirs = ({(row["user_id"], row["started_at"]): row for row in rows} for rows in (live, batch))
    assert {key: row for key, row in ours.items() if theirs.get(key) != row} == {}
    assert live == batch
    return live
