"""The partitions of daily assets: one UTC day each, today included."""

from __future__ import annotations

import dagster as dg

from lakehouse.transforms.dimensions import FIRST_DAY

# From the first day of `gold/dim_date`, to which every fact is joined.
# `end_offset=1`: the day that is under way can be materialised too, and again when it is over.
DAILY = dg.DailyPartitionsDefinition(start_date=FIRST_DAY.isoformat(), timezone="UTC", end_offset=1)
