"""Resources and the executor: what assets and checks are given to work with."""

from __future__ import annotations

import dagster as dg

from orchestration.spark import LakehouseSpark


@dg.definitions
def resources() -> dg.Definitions:
    # In process: the default executor would start a process, and so a JVM, per step.
    return dg.Definitions(resources={"spark": LakehouseSpark()}, executor=dg.in_process_executor)
