"""What silver's tables must satisfy beyond their declarations and contracts. Views that the rules name: `lakehouse.quality.views`."""

from __future__ import annotations

from lakehouse.contracts import CONTRACTS
from lakehouse.contracts.base import COUNTRIES, FUTURE_TOLERANCE_MINUTES, PAYMENT_METHODS
from lakehouse.quality.kinds import Allowed, Between, Holds, NoRows, Rule
from lakehouse.tables import BY_PATH, DUPLICATES, QUARANTINE, TRANSACTION_ITEMS, TRANSACTIONS, Table

_NOT_FUTURE = f"timestamp <= kafka_at + INTERVAL '{FUTURE_TOLERANCE_MINUTES}' MINUTE"


def _event(table: Table) -> tuple[Rule, ...]:
    """Rules of all tables that keep one record per row."""
    return (
        NoRows(
            "a Kafka record gives one row",
            "SELECT topic, partition, offset, count(*) AS row_count FROM {batch} GROUP BY topic, partition, offset HAVING count(*) > 1",
            ("topic", "partition", "offset"),
        ),
        Holds(
            "timestamp is not in the future of its arrival",
            _NOT_FUTURE,
            (*table.key, "timestamp", "kafka_at"),
        ),
    )


_OF_TRANSACTIONS: tuple[Rule, ...] = (
    NoRows(
        "transaction_id is unique",
        "SELECT transaction_id, count(*) AS row_count FROM {batch} GROUP BY transaction_id HAVING count(*) > 1",
        ("transaction_id",),
    ),
    Holds(
        "total_amount is the sum of its lines",
        "total_amount = aggregate(products, CAST(0 AS DECIMAL(38,2)), "
        "(total, line) -> CAST(total + line.quantity * line.price AS DECIMAL(38,2)))",
        ("transaction_id", "total_amount"),
    ),
    Holds("an order has a line", "size(products) >= 1", ("transaction_id",)),
    Holds(
        "each line has units and no negative price",
        "forall(products, line -> line.quantity >= 1 AND line.price >= 0)",
        ("transaction_id",),
    ),
)
_OF_ITEMS: tuple[Rule, ...] = (
    Allowed("country", COUNTRIES),
    Allowed("payment_method", PAYMENT_METHODS),
    Between("line_number", 1),
    Between("quantity", 1),
    Between("price", 0),
    Holds("line_amount is quantity x price", "line_amount = quantity * price", ("transaction_id", "line_number")),
    Holds(
        "timestamp is not in the future of its arrival",
        _NOT_FUTURE,
        ("transaction_id", "line_number", "timestamp", "kafka_at"),
    ),
    NoRows(
        "lines are numbered from 1 without a gap",
        "SELECT transaction_id FROM {batch} GROUP BY transaction_id HAVING max(line_number) <> count(*)",
        ("transaction_id",),
    ),
    NoRows(
        "the lines of an order add up to its total in silver/transactions",
        "SELECT transaction_id, i.amount, t.total_amount FROM (SELECT transaction_id, sum(line_amount) AS amount "
        "FROM {batch} GROUP BY transaction_id) i FULL JOIN silver_transactions t USING (transaction_id) "
        "WHERE i.amount IS DISTINCT FROM t.total_amount",
        ("transaction_id",),
    ),
)
_OF_QUARANTINE: tuple[Rule, ...] = (
    Allowed("topic", tuple(CONTRACTS)),
    Between("contract_version", 1),
    Holds("a record in quarantine has a reason", "size(reason_codes) >= 1", QUARANTINE.key),
    Holds("reasons are sorted and different", "reason_codes = array_sort(array_distinct(reason_codes))", QUARANTINE.key),
    NoRows(
        "no record is a duplicate as well",
        "SELECT topic, partition, offset FROM {batch} JOIN silver_duplicates USING (topic, partition, offset)",
    ),
)  # fmt: skip
_OF_DUPLICATES: tuple[Rule, ...] = (
    Allowed("topic", tuple(CONTRACTS)),
    Allowed("winner_topic", tuple(CONTRACTS)),
    Holds(
        "of two records of a partition the earlier one wins",
        "(winner_topic, winner_partition) <> (topic, partition) OR winner_offset < offset",
        (*DUPLICATES.key, "winner_offset"),
    ),
)

SILVER_RULES: dict[str, tuple[Rule, ...]] = {
    **{f"silver/{topic}": _event(BY_PATH[f"silver/{topic}"]) for topic in CONTRACTS},
    TRANSACTIONS.path: (*_event(TRANSACTIONS), *_OF_TRANSACTIONS),
    TRANSACTION_ITEMS.path: _OF_ITEMS,
    QUARANTINE.path: _OF_QUARANTINE,
    DUPLICATES.path: _OF_DUPLICATES,
}
