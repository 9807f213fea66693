"""Gold that batch runs make: dimensions, facts and marts."""

from __future__ import annotations

import pyarrow as pa

from lakehouse.tables.base import BATCH_PROPERTIES, MONEY, USER_ID, Table, column

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
