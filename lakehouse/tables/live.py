"""Gold that the streaming service keeps up to the second."""

from __future__ import annotations

import pyarrow as pa

from lakehouse.tables.base import (
    COUNTRY,
    IS_RETRACTED,
    KNOWN,
    MONEY,
    PAYMENT,
    PRODUCT_ID,
    STREAM_PROPERTIES,
    TIME,
    USER_ID,
    Table,
    column,
)


def _record(**fields: pa.DataType) -> pa.Field:
    """The element of a list of structs, nothing in it null."""
    return pa.field("element", pa.struct([pa.field(name, kind, False) for name, kind in fields.items()]), False)


SALES_BY_MINUTE = Table(
    "sales_by_minute",
    "gold",
    "streaming",
    "one partial sum per minute, country, category and micro-batch: add them up",
    (
        column("minute", TIME, "start of the minute of event time (UTC)"),
        COUNTRY,
        column("category", pa.string(), "category name"),
        column("unit_count", pa.int64(), "units sold"),
        column("line_count", pa.int64(), "order lines"),
        column("revenue", MONEY, "sum of line amounts, USD"),
        *KNOWN,
    ),
    ("minute", "country", "category", "batch_id"),
    (),
    STREAM_PROPERTIES,
    "sums",
)
ORDERS_BY_MINUTE = Table(
    "orders_by_minute",
    "gold",
    "streaming",
    "one partial sum per minute, country, payment method and micro-batch: add them up",
    (
        column("minute", TIME, "start of the minute of event time (UTC)"),
        COUNTRY,
        PAYMENT,
        column("order_count", pa.int64(), "transactions"),
        column("revenue", MONEY, "sum of total amounts, USD"),
        *KNOWN,
    ),
    ("minute", "country", "payment_method", "batch_id"),
    (),
    STREAM_PROPERTIES,
    "sums",
)
INVENTORY_LEVELS = Table(
    "inventory_levels",
    "gold",
    "streaming",
    "one product's stock after a micro-batch that changed it: the newest of a product counts",
    (
        PRODUCT_ID,
        column("category", pa.string(), "the product's newest category; `unknown` before its first record"),
        column("level", pa.int64(), "units: opening stock + changes - units sold, whatever the order; may be negative"),
        column("status", pa.string(), "ok, low or out; `low` is left only well above where it is entered"),
        column(
            "oversold_count",
            pa.int64(),
            "units sold that the stock does not cover: -`level` where that is positive, else 0",
        ),
        column(
            "ever_oversold_count",
            pa.int64(),
            "sum of all increases of `oversold_count` since the first product record, batch by batch",
        ),
        column("updated_at", TIME, "highest event time of what counts: first product record, changes, sales (UTC)"),
        column(
            "opening_count", pa.int64(), "`inventory` of the product's first record, units; null before it came", True
        ),
        column("opening_partition", pa.int32(), "partition of that record in topic `products`", True),
        column("opening_offset", pa.int64(), "offset of that record", True),
        column("changed_count", pa.int64(), "sum of restocks, returns and corrections, signed units"),
        column("sold_count", pa.int64(), "units sold"),
        column("sell_rate_per_day", pa.float64(), "units sold a day as of `updated_at`, exponentially weighted"),
        column(
            "days_of_cover", pa.float64(), "`level` / `sell_rate_per_day`, 0 below zero; null where nothing sells", True
        ),
        column(
            "alarm",
            pa.string(),
            "the worst since `status` was last ok: ok, low, out or oversold; an alert tells each step",
        ),
        column("batch_id", pa.int64(), "micro-batch that changed it"),
        column("known_at", TIME, "when the platform knew it: start of that micro-batch (UTC)"),
        IS_RETRACTED,
    ),
    ("product_id",),
    (),
    STREAM_PROPERTIES,
    "snapshots",
)
INGESTION_RATES = Table(
    "ingestion_rates",
    "gold",
    "streaming",
    "one partial sum per second of Kafka time, topic, reasons of quarantine and micro-batch: add them up",
    (
        column("second", TIME, "start of the second in which Kafka got the records (UTC)"),
        column("topic", pa.string(), "Kafka topic"),
        column(
            "reasons",
            pa.string(),
            "ids of the rules that the records break, sorted, joined by a space; empty where none",
        ),
        column("record_count", pa.int64(), "records: accepted, quarantined and duplicate together"),
        column("accepted_count", pa.int64(), "records that went to silver"),
        column("quarantined_count", pa.int64(), "records that went to quarantine"),
        column("duplicate_count", pa.int64(), "records that went to duplicates"),
        column("late_count", pa.int64(), "accepted records whose event time lay behind the watermark"),
        *KNOWN,
    ),
    ("second", "topic", "reasons", "batch_id"),
    (),
    STREAM_PROPERTIES,
    "sums",
)
MOST_SESSION_PRODUCTS = 1_000  # counted and listed of one session; a bot's visit must not grow without end
_ENTRY = (
    column("entry_topic", pa.string(), "where its earliest event is: topic"),
    column("entry_partition", pa.int32(), "where its earliest event is: partition"),
    column("entry_offset", pa.int64(), "where its earliest event is: offset"),
)
_SNAPSHOT = (
    column("batch_id", pa.int64(), "micro-batch that changed it"),
    column("known_at", TIME, "when the platform knew it: start of that micro-batch (UTC)"),
    IS_RETRACTED,
)
SESSIONS = Table(
    "sessions",
    "gold",
    "streaming",
    "one session after a micro-batch that changed it: events of one customer without a pause above the gap",
    (
        column("started_date", pa.date32(), "day of `started_at` (UTC)"),
        USER_ID,
        column("started_at", TIME, "event time of its earliest event (UTC)"),
        column("ended_at", TIME, "event time of its latest event (UTC)"),
        column("duration_seconds", pa.float64(), "`ended_at` - `started_at`, seconds; 0 for a single event"),
        column("country", pa.string(), "country of the visit at its earliest event"),
        column("view_count", pa.int64(), "product pages viewed: the depth of the visit"),
        column("cart_count", pa.int64(), "changes of carts"),
        column("order_count", pa.int64(), "transactions"),
        column("revenue", MONEY, "sum of total amounts, USD; no more than the largest decimal(18,2)"),
        column(
            "product_count",
            pa.int64(),
            "distinct products viewed, put into or out of a cart, or bought; 1,000 means 1,000 or more",
        ),
        column(
            "product_ids", pa.list_(pa.field("element", pa.string(), False)), "those products, sorted, 1,000 at most"
        ),
        column("entry_kind", pa.string(), "kind of its earliest event: product_view, cart_event or transaction"),
        column("entry_product_id", pa.string(), "product of its earliest event, of an order the first line's"),
        *_ENTRY,
        column("is_converted", pa.bool_(), "true with at least one order"),
        column("is_open", pa.bool_(), "true until the watermark is past `ended_at` and the gap"),
        *_SNAPSHOT,
    ),
    ("user_id", "started_at"),
    ("started_date",),
    STREAM_PROPERTIES | {"delta.dataSkippingStatsColumns": "started_at,ended_at,batch_id"},
    "snapshots",
)
CARTS = Table(
    "carts",
    "gold",
    "streaming",
    "one cart after a micro-batch that changed it",
    (
        column("opened_date", pa.date32(), "day of `opened_at` (UTC)"),
        column("cart_id", pa.string(), "the cart"),
        column("user_id", pa.string(), "customer of its earliest event"),
        column("country", pa.string(), "country of the visit at its earliest event"),
        column("status", pa.string(), "open, abandoned, recovered or purchased, see `lakehouse.live.carts`"),
        column("opened_at", TIME, "event time of its earliest event, a change or the purchase (UTC)"),
        column("last_activity_at", TIME, "event time of its latest event (UTC)"),
        column("abandoned_at", TIME, "when it was last left for too long before its purchase; null where never", True),
        column("purchased_at", TIME, "event time of its first transaction (UTC); null where none", True),
        column("recovered_at", TIME, "`purchased_at` where the status is recovered, else null", True),
        column("amount", MONEY, "value of what is in it, USD; no more than the largest decimal(18,2)"),
        column("unit_count", pa.int64(), "units in it"),
        column("product_count", pa.int64(), "distinct products in it"),
        column(
            "category_amounts",
            pa.list_(_record(category=pa.string(), amount=MONEY, unit_count=pa.int64())),
            "value and units in it by category, sorted; they add up to `amount` and `unit_count`",
        ),
        column(
            "items",
            pa.list_(
                _record(product_id=pa.string(), category=pa.string(), quantity=pa.int64(), price=MONEY, priced_at=TIME)
            ),
            "each product ever in it, sorted: units put in less units taken out (0 or below: none), its price when last changed",
        ),
        column(
            "active_spans",
            pa.list_(_record(from_at=TIME, to_at=TIME)),
            "its changes joined where no more than the abandonment time lies between two, in order",
        ),
        *_ENTRY,
        *_SNAPSHOT,
    ),
    ("cart_id",),
    ("opened_date",),
    STREAM_PROPERTIES | {"delta.dataSkippingStatsColumns": "opened_at,last_activity_at,batch_id"},
    "snapshots",
)
FINALITY = Table(
    "finality",
    "gold",
    "streaming",
    "one micro-batch after which the watermark had reached a further minute",
    (
        column("final_until", TIME, "periods that end here or before are final: the watermark, in whole minutes (UTC)"),
        column("batch_id", pa.int64(), "the micro-batch; what later ones add to such a period restates it"),
        column("known_at", TIME, "when they became final: start of that micro-batch (UTC)"),
    ),
    ("final_until",),
    (),
    STREAM_PROPERTIES,
)
