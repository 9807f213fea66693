"""What each table's rows must satisfy, as data: derived from its declaration and its contract, plus rules of its own.

Rules know nothing of Great Expectations; `lakehouse.quality.suites` turns them into a suite. What can be said of one row is a condition:
all conditions of a table are judged in one pass. What takes several rows is a query that finds the offenders: `{batch}` is the table under
test, and a rule over several tables names their views (see `lakehouse.quality.check`).
"""

# ruff: noqa: S608 - the queries are built from names in this package alone
from __future__ import annotations

from lakehouse.contracts import CONTRACTS
from lakehouse.contracts.base import COUNTRIES, FUTURE_TOLERANCE_MINUTES, PAYMENT_METHODS
from lakehouse.quality.kinds import Allowed, Between, Holds, NoRows, Rule
from lakehouse.quality.star import STAR_RULES
from lakehouse.tables import CUSTOMER_RFM, TRANSACTION_ITEMS, TRANSACTIONS, Table
from lakehouse.transforms.rfm import SCORES, SEGMENTS, WINDOW_DAYS

# Columns whose values are not shown in a quality report
PERSONAL_COLUMNS = frozenset({"user_id", "email", "age", "preferences", "key", "value"})

_OWN: dict[str, tuple[Rule, ...]] = {
    **STAR_RULES,
    TRANSACTIONS.path: (
        NoRows(
            "transaction_id is unique",
            "SELECT transaction_id, count(*) AS row_count FROM {batch} GROUP BY transaction_id HAVING count(*) > 1",
        ),
        NoRows(
            "a Kafka record gives one row",
            "SELECT partition, offset, count(*) AS row_count FROM {batch} GROUP BY topic, partition, offset HAVING count(*) > 1",
        ),
        Holds(
            "total_amount is the sum of its lines",
            "total_amount = aggregate(products, CAST(0 AS DECIMAL(38,2)), "
            "(total, line) -> CAST(total + line.quantity * line.price AS DECIMAL(38,2)))",
            ("transaction_id", "total_amount"),
        ),
        Holds("an order has a line", "size(products) >= 1", ("transaction_id",)),
        Holds(
            "timestamp is not in the future of its arrival",
            f"timestamp <= kafka_at + INTERVAL '{FUTURE_TOLERANCE_MINUTES}' MINUTE",
            ("transaction_id", "timestamp", "kafka_at"),
        ),
    ),
    TRANSACTION_ITEMS.path: (
        Allowed("country", COUNTRIES),
        Allowed("payment_method", PAYMENT_METHODS),
        Between("line_number", 1),
        Between("quantity", 1),
        Between("price", 0),
        Holds("line_amount is quantity x price", "line_amount = quantity * price", ("transaction_id", "line_number")),
        NoRows(
            "lines are numbered from 1 without a gap",
            "SELECT transaction_id FROM {batch} GROUP BY transaction_id HAVING max(line_number) <> count(*)",
        ),
        NoRows(
            "the lines of an order add up to its total in silver/transactions",
            "SELECT transaction_id, i.amount, t.total_amount FROM (SELECT transaction_id, sum(line_amount) AS amount "
            "FROM {batch} GROUP BY transaction_id) i FULL JOIN silver_transactions t USING (transaction_id) "
            "WHERE i.amount IS DISTINCT FROM t.total_amount",
        ),
    ),
    CUSTOMER_RFM.path: (
        Between("recency_days", 0, WINDOW_DAYS - 1),
        Between("frequency", 1),
        Between("monetary", 0),
        *[Between(f"{measure}_score", 1, SCORES) for measure in "rfm"],
        Allowed("segment", tuple(sorted({name for row in SEGMENTS.values() for name in row}))),
        *[
            NoRows(
                f"customers with equal {value} share their {score}",
                f"SELECT {value} FROM {{batch}} GROUP BY {value} HAVING min({score}) <> max({score})",
            )
            for value, score in (("recency_days", "r_score"), ("frequency", "f_score"), ("monetary", "m_score"))
        ],
        NoRows(
            "transactions, customers and money equal silver/transactions",
            "SELECT * FROM (SELECT coalesce(sum(frequency), 0) AS frequency, coalesce(sum(monetary), 0) AS monetary, "
            "count(*) AS customer_count FROM {batch}) CROSS JOIN (SELECT count(*) AS silver_frequency, "
            "coalesce(sum(total_amount), 0) AS silver_monetary, count(DISTINCT user_id) AS silver_customer_count "
            "FROM silver_transactions) WHERE frequency <> silver_frequency OR monetary <> silver_monetary "
            "OR customer_count <> silver_customer_count",
        ),
    ),
}


def rules(table: Table) -> tuple[Rule, ...]:
    """All rules of `table` beyond columns, types and nulls, which `lakehouse.tables` holds."""
    keys = ", ".join(table.key)
    unique = NoRows(
        f"{keys} is unique",
        f"SELECT {keys}, count(*) AS row_count FROM {{batch}} GROUP BY {keys} HAVING count(*) > 1",
    )
    return (unique, *_from_contract(table), *_OWN.get(table.path, ()))


def _from_contract(table: Table) -> list[Rule]:
    """Enumerations and limits of the record that `table` keeps, if it keeps one."""
    if table.layer != "silver" or table.name not in CONTRACTS:
        return []
    found: list[Rule] = []
    for field in CONTRACTS[table.name].fields:
        if field.values:
            found.append(Allowed(field.name, field.values))
        if field.minimum is not None or field.maximum is not None:
            found.append(Between(field.name, field.minimum, field.maximum))
    return found
