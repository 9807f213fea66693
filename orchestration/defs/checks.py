"""Asset checks: every table of silver and every table that batch makes is judged by Great Expectations, and a failure blocks."""

from __future__ import annotations

import dagster as dg

from lakehouse.quality.views import JUDGED
from orchestration.quality import table_check


@dg.definitions
def checks() -> dg.Definitions:
    return dg.Definitions(asset_checks=[table_check(table) for table in JUDGED])
