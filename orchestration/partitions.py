"""The partitions of daily assets: one UTC day each, today included."""

from __future__ import annotations

import dagster as dg

# `end_offset=1`: the day that is under way can be materialised too, and again when it is over.
DAILY = dg.DailyPartitionsDefinition(start_date="2024-01-01", timezone="UTC", end_offset=1)
