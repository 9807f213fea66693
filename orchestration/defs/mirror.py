"""The PostgreSQL mirror as an asset and its job: made anew as a whole when it is asked for. The refresher keeps it day by day. No Spark."""

import time
from typing import Any

import dagster as dg

from api.mirror.plan import mirrored
from api.mirror.rebuild import drop_undeclared, rebuild
from lakehouse.settings import load_settings
from lakehouse.tables import TABLES
from orchestration.naming import MIRROR_KEY, key
from orchestration.transient import POLICY, only_transient


@dg.asset(
    key=MIRROR_KEY,
    deps=[key(table) for table in TABLES if table.layer == "gold"],
    group_name="postgres",
    owners=["team:serving"],
    kinds={"postgres"},
    retry_policy=POLICY,
    description="The mirror of gold that dashboards read: every table loaded anew, tables that gold does not have any more dropped.",
)
@only_transient
def mirror() -> dg.MaterializeResult[Any]:
    began, settings = time.monotonic(), load_settings("serving")  # the account that the mirror belongs to
    done = list(rebuild(settings, mirrored(settings)))
    shown = [one.shown for one in done if one.shown is not None]
    tables = [
        dg.TableRecord({"table": one.table_path, "version": one.delta_version, "rows": one.row_count}) for one in shown
    ]
    metadata: dict[str, Any] = {
        "dagster/row_count": sum(one.row_count for one in shown),
        "version_read": {one.table_path: one.delta_version for one in shown},
        "dropped": drop_undeclared(settings),
        "duration_seconds": round(time.monotonic() - began, 2),
    }
    return dg.MaterializeResult(metadata=metadata | ({"tables": dg.MetadataValue.table(tables)} if tables else {}))


mirror_rebuild = dg.define_asset_job(
    "mirror_rebuild",
    selection=dg.AssetSelection.assets(MIRROR_KEY),
    executor_def=dg.in_process_executor,
    description="Load the PostgreSQL mirror anew from gold, as `globalmart mirror rebuild` does.",
)
