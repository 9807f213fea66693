"""Loading what the stream must remember from silver: ids within the horizon, and the catalogue. Run once at start-up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pyarrow as pa

from lakehouse import tables as t
from lakehouse.contracts import CONTRACTS
from lakehouse.settings import Settings
from lakehouse.storage import open_table
from lakehouse.transforms.identity import event_entries, order_entries
from lakehouse.transforms.refine import Knowledge


def load_knowledge(settings: Settings) -> Knowledge:
    """Read the ids of the last `dedup_horizon_days` and all products. All tables must exist."""
    knowledge = Knowledge()
    since = datetime.now(UTC) - timedelta(days=settings.dedup_horizon_days)
    for topic, contract in CONTRACTS.items():
        columns = ["topic", "partition", "offset", "event_hash", "event_hash2", "body_hash"]
        if contract.business_id:
            name = contract.business_id.removesuffix("_id")
            columns += [f"{name}_hash", f"{name}_hash2", "order_hash"]
        rows = _read(settings, t.BY_PATH[f"silver/{topic}"], columns, [("ingested_at", ">=", since)])
        if not len(rows):
            continue
        knowledge.indexes.events.add(event_entries(topic, rows))
        if contract.business_id:
            knowledge.indexes.orders.add(order_entries(topic, rows))
    products = _read(settings, t.PRODUCTS, ["product_id", "category", "timestamp", "offset"], None)
    knowledge.catalogue.add(*(products[name].to_pylist() for name in ("product_id", "category", "timestamp")))
    return knowledge


def _read(
    settings: Settings, table: t.Table, columns: list[str], filters: list[tuple[str, str, object]] | None
) -> pa.Table:
    return open_table(settings, table).to_pyarrow_table(columns=columns, filters=filters).combine_chunks()
