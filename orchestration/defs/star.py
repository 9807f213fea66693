"""The star: dimensions, and facts by day."""

from __future__ import annotations

import dagster as dg

from lakehouse.star import DIMENSIONS, FACTS, FIXED
from lakehouse.tables import BY_PATH
from orchestration.star import dimension_asset, fact_asset, fixed_asset


@dg.definitions
def star() -> dg.Definitions:
    fixed = [BY_PATH[path] for path in FIXED]
    return dg.Definitions(assets=[*map(fixed_asset, fixed), *map(dimension_asset, DIMENSIONS), *map(fact_asset, FACTS)])
