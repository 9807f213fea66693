"""Gold that batch runs make: the star of dimensions and facts, and customer scores."""

from __future__ import annotations

import pyarrow as pa

from lakehouse.countries import COUNTRIES
from lakehouse.tables.base import (
    BATCH_PROPERTIES,
    COUNTRY,
    MONEY,
    PAYMENT,
    PRICE,
    PRODUCT_ID,
    QUANTITY,
    TIME,
    USER_ID,
    Column,
    Table,
    column,
)


def _dimension(name: str, grain: str, key: str, *columns: Column) -> Table:
    return Table(name, "gold", "batch", grain, columns, (key,), (), BATCH_PROPERTIES)


def _versioned(member: str, *describing: Column) -> Table:
    """A slowly changing dimension of type 2; `describing` are the columns whose change opens a new version."""
    return _dimension(
        f"dim_{member}",
        f"one version of a {member}: from a change of what describes it to the next; or its inferred member",
        f"{member}_key",
        column(f"{member}_key", pa.int64(), f"surrogate key: 64-bit hash of `{member}_id` and `valid_from`"),
        column(f"{member}_id", pa.string(), f"the {member}, as its records call it"),
        *describing,
        column("valid_from", TIME, "event time from which it is so, included; inferred: 2000-01-01, before all events"),
        column(
            "valid_to", TIME, "event time until which it is so, excluded; null where no later version is known", True
        ),
        column("is_current", pa.bool_(), "true where `valid_to` is null: exactly one row of each id"),
        column(
            "is_inferred",
            pa.bool_(),
            f"true for the row that stands in where facts came before the {member}'s first record, or without one",
        ),
        column(
            "recorded_at",
            TIME,
            "when the platform knew the change: start of the micro-batch that took it (UTC); null where inferred",
            True,
        ),
    )


DIM_USER = _versioned(
    "user",
    column("email", pa.string(), "e-mail address (personal data)", True),
    column("age", pa.int32(), "years (personal data)", True),
    column("country", pa.string(), "country of the profile, not of a visit", True),
    column("registration_date", TIME, "when the user registered (UTC)", True),
    column(
        "preferences",
        pa.list_(pa.field("element", pa.string(), False)),
        "names of preferred categories (personal data)",
        True,
    ),
)
DIM_PRODUCT = _versioned(
    "product",
    column("name", pa.string(), "display name", True),
    column("category", pa.string(), "category name", True),
    column("price", MONEY, "list price in USD", True),
)
DIM_DATE = _dimension(
    "dim_date",
    "one UTC day from 2001 to 2035: the years whose holidays are known for all five countries",
    "date",
    column("date", pa.date32(), "the day (UTC)"),
    column("year", pa.int32(), "calendar year"),
    column("quarter", pa.int32(), "calendar quarter, 1 to 4"),
    column("month", pa.int32(), "calendar month, 1 to 12"),
    column("month_name", pa.string(), "English name of the month"),
    column("day_of_month", pa.int32(), "1 to 31"),
    column("day_of_year", pa.int32(), "1 to 366"),
    column("iso_year", pa.int32(), "year of the ISO 8601 week: that of its Thursday"),
    column("iso_week", pa.int32(), "ISO 8601 week, 1 to 53"),
    column("weekday", pa.int32(), "ISO 8601 weekday, 1 Monday to 7 Sunday"),
    column("weekday_name", pa.string(), "English name of the weekday"),
    column("is_weekend", pa.bool_(), "true on Saturday and Sunday"),
    column("fiscal_year", pa.int32(), "fiscal year: begins on 1 February, called by the calendar year it begins in"),
    column("fiscal_quarter", pa.int32(), "fiscal quarter, 1 (February to April) to 4 (November to January)"),
    *[
        part
        for code, country in COUNTRIES.items()
        for part in (
            column(f"is_holiday_{code.lower()}", pa.bool_(), f"true on a public holiday in all of {country.name}"),
            column(
                f"holiday_{code.lower()}", pa.string(), "its English name, several joined by `; `; null on others", True
            ),
        )
    ],
)
DIM_COUNTRY = _dimension(
    "dim_country",
    "one country of operation",
    "country",
    column("country", pa.string(), "ISO 3166-1 code: US, GB, DE, IN or BR"),
    column("name", pa.string(), "English name"),
    column("currency", pa.string(), "ISO 4217 code of its own currency; prices are in USD everywhere"),
    column("time_zone", pa.string(), "IANA name of its business clock"),
    column("world_region", pa.string(), "sub-region of UN M49"),
)
DIM_PAYMENT_METHOD = _dimension(
    "dim_payment_method",
    "one payment method",
    "payment_method",
    PAYMENT,
    column("name", pa.string(), "English name"),
    column("kind", pa.string(), "card, wallet, bank or prepaid"),
)

_USER_KEY = column("user_key", pa.int64(), "version of the customer at event time, `dim_user`")
_PRODUCT_KEY = column("product_key", pa.int64(), "version of the product at event time, `dim_product`")

FACT_SALES = Table(
    "fact_sales",
    "gold",
    "batch",
    "one line of an accepted transaction",
    (
        column("sales_date", pa.date32(), "day of `timestamp` (UTC), `dim_date`"),
        column("timestamp", TIME, "event time of the order (UTC)"),
        column("transaction_id", pa.string(), "the order"),
        column("line_number", pa.int32(), "place of the line in the order, from 1"),
        _USER_KEY,
        _PRODUCT_KEY,
        USER_ID,
        PRODUCT_ID,
        column("category", pa.string(), "category as silver resolved it: the one that all sales figures use"),
        COUNTRY,
        PAYMENT,
        QUANTITY,
        PRICE,
        column("line_amount", MONEY, "quantity x price, USD"),
    ),
    ("transaction_id", "line_number"),
    ("sales_date",),
    BATCH_PROPERTIES,
)
FACT_SESSIONS = Table(
    "fact_sessions",
    "gold",
    "batch",
    "one closed session, in the day that it began",
    (
        column("started_date", pa.date32(), "day of `started_at` (UTC), `dim_date`"),
        column("user_key", pa.int64(), "version of the customer at `started_at`, `dim_user`"),
        USER_ID,
        column("started_at", TIME, "event time of its earliest event (UTC)"),
        column("ended_at", TIME, "event time of its latest event (UTC)"),
        column("duration_seconds", pa.float64(), "`ended_at` - `started_at`, seconds"),
        column("country", pa.string(), "country of the visit at its earliest event, `dim_country`"),
        column("view_count", pa.int64(), "product pages viewed"),
        column("cart_count", pa.int64(), "changes of carts"),
        column("order_count", pa.int64(), "transactions"),
        column("revenue", MONEY, "sum of total amounts, USD"),
        column("product_count", pa.int64(), "distinct products viewed, carted or bought; 1,000 means 1,000 or more"),
        column("entry_kind", pa.string(), "kind of its earliest event: product_view, cart_event or transaction"),
        column("entry_product_id", pa.string(), "product of its earliest event, of an order the first line's"),
        column("is_converted", pa.bool_(), "true with at least one order"),
    ),
    ("user_id", "started_at"),
    ("started_date",),
    BATCH_PROPERTIES,
)
FACT_INVENTORY_DAILY = Table(
    "fact_inventory_daily",
    "gold",
    "batch",
    "one product and day on which its stock moved, or which it began without stock; on other days the last "
    "`closing_level` holds",
    (
        column("date", pa.date32(), "the day (UTC), `dim_date`"),
        column("product_key", pa.int64(), "version of the product at the end of the day, `dim_product`"),
        PRODUCT_ID,
        column("opening_level", pa.int64(), "units at the start of the day; counts from 0 before the first record"),
        column("initial_stock", pa.int64(), "`inventory` of the product's first record where it is of this day, units"),
        column("received", pa.int64(), "sum of restocks, returns and corrections, signed units"),
        column("sold", pa.int64(), "units sold"),
        column("closing_level", pa.int64(), "`opening_level` + `initial_stock` + `received` - `sold`, may be negative"),
        column(
            "is_stock_out",
            pa.bool_(),
            "true where the level was 0 or below at some time of the day, from the product's first record on",
        ),
    ),
    ("date", "product_id"),
    ("date",),
    BATCH_PROPERTIES,
)
CUSTOMER_RFM = Table(
    "customer_rfm",
    "gold",
    "batch",
    "one customer with a purchase in the 365 days up to `as_of_date`",
    (
        column("as_of_date", pa.date32(), "last day of the 365 looked at (UTC day)"),
        USER_ID,
        column("recency_days", pa.int32(), "days from the last purchase's date to `as_of_date`"),
        column("frequency", pa.int64(), "transactions"),
        column("monetary", MONEY, "sum of total amounts, USD"),
        column("r_score", pa.int32(), "1 to 5, 5 is most recent"),
        column("f_score", pa.int32(), "1 to 5, 5 is most frequent"),
        column("m_score", pa.int32(), "1 to 5, 5 is most money"),
        column("segment", pa.string(), "named segment, see `lakehouse.transforms.rfm`"),
    ),
    ("as_of_date", "user_id"),
    ("as_of_date",),
    BATCH_PROPERTIES,
)
