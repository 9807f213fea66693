"""The Spark session of a Dagster run, as a resource type: one JVM per run, under the batch lease. No definitions here."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from contextlib import contextmanager
from datetime import date
from typing import Any

import dagster as dg
from dagster_pyspark import PySparkResource
from pydantic import Field, PrivateAttr
from pyspark.sql import DataFrame

from lakehouse import batch, release
from lakehouse.lease import Lease
from lakehouse.progress import progress
from lakehouse.session import own_session
from lakehouse.settings import Settings, load_settings
from lakehouse.sizing import session_conf
from lakehouse.streams.jvm import adopt_jvm, forget_jvm, wait_for_old_jvm
from lakehouse.tables import Table
from orchestration.runs import PARTITION_TAG, PROVISIONAL_TAG, process_tag


class LakehouseSpark(PySparkResource):
    """dagster-pyspark's resource around `lakehouse.session`; settings and secrets are those of the batch service.

    Spark's settings are those for the size of the lake; `spark_config` overrides single ones. `keeps_session` leaves the session to
    the next run of the same process. Silver is read at one cut for the whole run, so that its tables agree.
    """

    spark_config: dict[str, Any] = Field(default_factory=dict)
    keeps_session: bool = False
    _settings: Settings | None = PrivateAttr(default=None)
    _cut: dict[str, int] | None = PrivateAttr(default=None)

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> Generator[LakehouseSpark, None, None]:
        """Raises DayAheadError for a day that the stream has not come to, LeaseHeldError where another run does not end."""
        settings = load_settings("batch")
        patience, say = settings.batch_wait_minutes * 60, context.log.info if context.log else print
        with Lease(settings, "batch", patience_seconds=patience, say=say):
            release.check(settings)
            _introduce(context, settings)
            wait_for_old_jvm(settings, "batch")
            name = f"globalmart-batch {context.run.run_id if context.run else ''}"
            extra = session_conf(settings) | self.spark_config
            session = own_session(settings, name, settings.batch_memory_gb, extra, keep=self.keeps_session)
            try:
                with session as self._spark_session:
                    self._settings, self._cut = settings, None
                    adopt_jvm(settings, self._spark_session, "batch")
                    yield self
            finally:
                forget_jvm(settings, "batch")

    @property
    def settings(self) -> Settings:
        assert self._settings is not None  # noqa: S101 - Dagster hands the resource out inside yield_for_execution alone
        return self._settings

    @property
    def cut(self) -> dict[str, int]:
        """By path the versions of the streaming tables that this run reads."""
        if self._cut is None:
            self._cut = batch.cut(self.spark_session, self.settings)
        return self._cut

    def silver_version(self, table: Table) -> int:
        """The version of a streaming table that this run reads."""
        return batch.version_at(self.settings, table, self.cut)

    def versions(self, tables: Iterable[Table]) -> dict[str, int]:
        """By path the versions that this run reads: of streaming tables those of its cut, of batch tables the newest."""
        return {table.path: batch.version_at(self.settings, table, self.cut) for table in tables}

    def read(self, table: Table, version: int | None = None) -> DataFrame:
        """Rows of `table`: a streaming table at the run's cut, a batch table at its newest, or at `version`."""
        if version is None and table.owner == "streaming":
            version = self.silver_version(table)
        return batch.read(self.spark_session, self.settings, table, version)


def _introduce(context: dg.InitResourceContext, settings: Settings) -> None:
    """Write into the run which process it is, and whether its day is not over yet. Raises DayAheadError."""
    if context.run is None or context.instance is None:
        return
    tags = process_tag(context.run.run_id)
    stream, day = progress(settings), context.run.tags.get(PARTITION_TAG)
    if stream is not None and day is not None:
        stream.check_begun(date.fromisoformat(day))
        tags[PROVISIONAL_TAG] = "false" if stream.is_over(date.fromisoformat(day)) else "true"
    context.instance.add_run_tags(context.run.run_id, tags)
