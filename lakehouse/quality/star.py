"""What the star's tables must satisfy beyond their declarations. Views that the rules name: `lakehouse.quality.views`."""

# ruff: noqa: S608 - the queries are built from names in this package alone
from __future__ import annotations

from lakehouse.contracts.base import COUNTRIES, EARLIEST_TIME, FUTURE_TOLERANCE_MINUTES, PAYMENT_METHODS
from lakehouse.contracts.cart_event import CART_EVENT
from lakehouse.contracts.product_view import PRODUCT_VIEW
from lakehouse.contracts.transaction import TRANSACTION
from lakehouse.quality.kinds import Allowed, Between, Holds, NoRows, Rule
from lakehouse.tables import (
    DIM_COUNTRY,
    DIM_DATE,
    DIM_PAYMENT_METHOD,
    DIM_PRODUCT,
    DIM_USER,
    FACT_INVENTORY_DAILY,
    FACT_SALES,
    FACT_SESSIONS,
)
from lakehouse.transforms.facts import INVENTORY_AT, SALES_AT, SESSIONS_AT
from lakehouse.transforms.scd2 import PRODUCT, USER, Member

_LATE_MINUTES = f"INTERVAL '{FUTURE_TOLERANCE_MINUTES}' MINUTE"


def _versioned(member: Member) -> tuple[Rule, ...]:
    """Rules of a slowly changing dimension; its changes are the view `silver_users` or `silver_products`."""
    key, of, view = member.key, member.id, member.changes.view
    # 64 bits in place of the columns: equal descriptions have equal hashes, and of 20 million neighbours two others with a chance of 1 in a trillion
    description = f"xxhash64({', '.join(member.describing)})"
    through_time = f"OVER (PARTITION BY {of} ORDER BY valid_from)"
    return (
        NoRows(
            f"each {of} has one current version",
            f"SELECT {of}, count_if(is_current) AS current_count FROM {{batch}} GROUP BY {of} HAVING count_if(is_current) <> 1",
        ),
        NoRows(
            "versions follow each other without gap and without overlap",
            f"SELECT {of}, valid_from, valid_to, next_from FROM (SELECT {of}, valid_from, valid_to, lead(valid_from) {through_time} "
            f"AS next_from FROM {{batch}}) WHERE valid_to IS DISTINCT FROM next_from",
        ),
        NoRows(
            "a version differs from the one before",
            f"SELECT {of}, valid_from FROM (SELECT {of}, valid_from, {description} AS now, lag({description}) {through_time} "
            f"AS before FROM {{batch}}) WHERE now <=> before",
        ),
        NoRows(
            f"each {of} of {member.changes.path} has a version",
            f"SELECT DISTINCT {of} FROM {view} LEFT ANTI JOIN (SELECT {of} FROM {{batch}} WHERE NOT is_inferred) USING ({of})",
        ),
        Holds("a version ends after it begins", "valid_to IS NULL OR valid_from < valid_to", (of, "valid_from", "valid_to")),
        Holds("is_current says that valid_to is open", "is_current = (valid_to IS NULL)", (of, "valid_from", "valid_to")),
        Holds(f"{key} is the hash of {of} and valid_from", f"{key} = xxhash64({of}, valid_from)", (key, of, "valid_from")),
        Holds(
            "an inferred row describes nothing, others everything",
            " AND ".join(f"({name} IS NULL) = is_inferred" for name in (*member.describing, "recorded_at")),
            (key, of, "is_inferred"),
        ),
        Holds(
            "an inferred row begins before all events",
            f"NOT is_inferred OR valid_from = TIMESTAMP '{EARLIEST_TIME}'",
            (key, of, "valid_from"),
        ),
        Holds(
            "no version begins in the future of its record",
            f"is_inferred OR valid_from <= recorded_at + {_LATE_MINUTES}",
            (key, of, "valid_from", "recorded_at"),
        ),
    )  # fmt: skip


def _keyed(member: Member, at: str) -> NoRows:
    """The row's key is that of the version, inferred or not, that is valid at its instant `at`."""
    key, of, view = member.key, member.id, member.dimension.view
    return NoRows(
        f"{key} is the version of its time in {member.dimension.path}",
        f"SELECT f.{of}, f.{key}, d.valid_from, d.valid_to FROM (SELECT *, {at} AS at FROM {{batch}}) f LEFT JOIN {view} d "
        f"ON f.{key} = d.{key} WHERE d.{key} IS NULL OR f.{of} <> d.{of} OR f.at < d.valid_from OR f.at >= d.valid_to",
    )


def _joined(column: str, view: str, key: str) -> NoRows:
    return NoRows(
        f"{column} is in {view.replace('gold_', 'gold/')}",
        f"SELECT DISTINCT {column} FROM {{batch}} f WHERE NOT EXISTS (SELECT 1 FROM {view} d WHERE d.{key} = f.{column})",
    )


def _complete(key: str, values: tuple[str, ...]) -> tuple[Rule, ...]:
    """The key of a small dimension has each of `values`, and nothing else."""
    return (
        Allowed(key, values),
        NoRows("no value is missing", f"SELECT count(*) AS row_count FROM {{batch}} HAVING count(*) <> {len(values)}"),
    )


STAR_RULES: dict[str, tuple[Rule, ...]] = {
    DIM_USER.path: _versioned(USER),
    DIM_PRODUCT.path: (*_versioned(PRODUCT), Holds("a price is not negative", "coalesce(price, 0) >= 0", ("product_id", "price"))),
    DIM_DATE.path: (
        Between("month", 1, 12),
        Between("weekday", 1, 7),
        Between("iso_week", 1, 53),
        Between("fiscal_quarter", 1, 4),
        NoRows(
            "no day is missing",
            "SELECT min(date), max(date), count(*) AS row_count FROM {batch} HAVING count(*) <> datediff(max(date), min(date)) + 1",
        ),
        *[
            Holds(
                f"a holiday in {code} has a name",
                f"is_holiday_{code.lower()} = (holiday_{code.lower()} IS NOT NULL)",
                ("date",),
            )
            for code in COUNTRIES
        ],
    ),
    DIM_COUNTRY.path: _complete("country", COUNTRIES),
    DIM_PAYMENT_METHOD.path: _complete("payment_method", PAYMENT_METHODS),
    FACT_SALES.path: (
        Allowed("country", COUNTRIES),
        Allowed("payment_method", PAYMENT_METHODS),
        Between("line_number", 1),
        Between("quantity", 1),
        Between("price", 0),
        Holds("line_amount is quantity x price", "line_amount = quantity * price", ("transaction_id", "line_number")),
        Holds("sales_date is the day of timestamp", "sales_date = to_date(timestamp)", ("transaction_id", "timestamp")),
        NoRows(
            "lines and their amounts equal silver/transaction_items",
            "SELECT transaction_id, line_number, f.line_amount, s.line_amount AS silver_amount FROM {batch} f "
            "FULL JOIN silver_transaction_items s USING (transaction_id, line_number) "
            "WHERE f.line_amount IS DISTINCT FROM s.line_amount OR f.quantity IS DISTINCT FROM s.quantity",
        ),
        _keyed(USER, SALES_AT),
        _keyed(PRODUCT, SALES_AT),
        _joined("sales_date", "gold_dim_date", "date"),
        _joined("country", "gold_dim_country", "country"),
        _joined("payment_method", "gold_dim_payment_method", "payment_method"),
    ),
    FACT_SESSIONS.path: (
        Allowed("country", COUNTRIES),
        Allowed("entry_kind", tuple(contract.event_type for contract in (PRODUCT_VIEW, CART_EVENT, TRANSACTION))),
        *[Between(f"{name}_count", 0) for name in ("view", "cart", "order")],
        Between("product_count", 1),
        Between("revenue", 0),
        Holds("started_date is the day of started_at", "started_date = to_date(started_at)", ("user_id", "started_at")),
        Holds("a session has an event", "view_count + cart_count + order_count > 0", ("user_id", "started_at")),
        Holds("a session ends after it begins", "started_at <= ended_at", ("user_id", "started_at", "ended_at")),
        Holds("is_converted says that it has an order", "is_converted = (order_count > 0)", ("user_id", "started_at")),
        NoRows(
            "closed sessions, their orders and revenue equal gold/sessions",
            "SELECT user_id, started_at, f.revenue, s.revenue AS live_revenue FROM {batch} f "
            "FULL JOIN gold_sessions s USING (user_id, started_at) "
            "WHERE f.revenue IS DISTINCT FROM s.revenue OR f.order_count IS DISTINCT FROM s.order_count",
        ),
        _keyed(USER, SESSIONS_AT),
        _joined("started_date", "gold_dim_date", "date"),
        _joined("country", "gold_dim_country", "country"),
    ),
    FACT_INVENTORY_DAILY.path: (
        Between("initial_stock", 0),
        Between("sold", 0),
        Holds(
            "levels and movements add up",
            "closing_level = opening_level + initial_stock + received - sold",
            ("date", "product_id", "opening_level", "closing_level"),
        ),
        *[
            NoRows(
                f"units {name} equal {path}",
                f"SELECT date, product_id, coalesce(f.{name}, 0) AS units, coalesce(s.units, 0) AS silver_units FROM {{batch}} f FULL JOIN "
                f"(SELECT to_date(timestamp) AS date, product_id, sum({units}) AS units FROM {path.replace('/', '_')} GROUP BY 1, 2) s "
                f"USING (date, product_id) WHERE coalesce(f.{name}, 0) <> coalesce(s.units, 0)",
            )
            for name, path, units in (
                ("sold", "silver/transaction_items", "quantity"),
                ("received", "silver/inventory_events", "change"),
            )
        ],
        _keyed(PRODUCT, INVENTORY_AT),
        _joined("date", "gold_dim_date", "date"),
    ),
}  # fmt: skip
