"""A table judged outside a batch run: in a Spark session of its own, which reads and never writes."""

from __future__ import annotations

from datetime import date

from lakehouse import batch
from lakehouse.quality.check import Report, validate
from lakehouse.quality.views import look
from lakehouse.session import own_session
from lakehouse.settings import Settings
from lakehouse.sizing import session_conf
from lakehouse.tables import Table


def judge(settings: Settings, table: Table, day: date | None) -> tuple[Report, date | None]:
    """The report on `table`, and the day that was judged: of daily tables `day`, or the last one made where it is None; and with it the
    days that were made again in the same commit.

    Silver is read at the last micro-batch that every sink has committed. Raises NotMadeError and TableMissingError.
    """
    if table.owner == "streaming" or not table.partition_by:
        day = None
    elif day is None:
        day = batch.last_day(settings, table)
    extra = session_conf(settings)
    with own_session(settings, f"globalmart-quality {table.path}", settings.batch_memory_gb, extra) as spark:
        rows, views = look(spark, settings, table, day, batch.cut(spark, settings))
        return validate(rows, table, views), day
