"""The star: dimensions, facts by day, and their checks."""

from __future__ import annotations

import dagster as dg

from lakehouse.star import DIMENSIONS, FACTS, FIXED
from lakehouse.tables import BY_PATH
from orchestration.star import dimension_asset, dimension_check, fact_asset, fact_check, fixed_asset, fixed_check


@dg.definitions
def star() -> dg.Definitions:
    fixed = [BY_PATH[path] for path in FIXED]
    return dg.Definitions(
        assets=[*map(fixed_asset, fixed), *map(dimension_asset, DIMENSIONS), *map(fact_asset, FACTS)],
        asset_checks=[*map(fixed_check, fixed), *map(dimension_check, DIMENSIONS), *map(fact_check, FACTS)],
    )
