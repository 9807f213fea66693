"""The marts by day, but `customer_rfm`, which has an asset of its own."""

from __future__ import annotations

import dagster as dg

from lakehouse.daily import MARTS
from orchestration.marts import mart_asset


@dg.definitions
def marts() -> dg.Definitions:
    return dg.Definitions(assets=[mart_asset(mart) for mart in MARTS])
