"""The detectors' scorecard as an asset: made when it is asked for, from runs of its own. No Spark."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg

from ingestion.scorecard import TEST_SEEDS, score
from ingestion.scorecard_table import append, rows
from lakehouse.settings import load_settings
from lakehouse.tables import DETECTOR_SCORECARD
from orchestration.naming import batch_asset


@batch_asset(DETECTOR_SCORECARD, engine="python")
def detector_scorecard(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
    scores = score(TEST_SEEDS, say=context.log.info)
    version = append(load_settings("batch"), rows(scores, TEST_SEEDS, datetime.now(UTC)))
    records = [dg.TableRecord({"detector": one.detector, "f1": round(one.f1, 3)}) for one in scores]
    return dg.MaterializeResult(
        metadata={
            "dagster/row_count": len(scores),
            "version_written": version,
            "scores": dg.MetadataValue.table(records),
        }
    )
