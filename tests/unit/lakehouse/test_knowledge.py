"""What a restarted service knows: ids of the last days are read from silver, so a duplicate is recognised long after."""

from datetime import UTC, datetime, timedelta

import pytest
from records import event_id, kafka_table, text

from lakehouse import tables as t
from lakehouse.streams.knowledge import load_knowledge
from lakehouse.streams.sinks import Sinks
from lakehouse.transforms.parse import parse
from lakehouse.transforms.refine import Knowledge, Stamp, refine


@pytest.mark.parametrize(("ago", "is_known"), [(timedelta(hours=25), True), (timedelta(days=8), False)])
def test_a_duplicate_that_comes_25_hours_later_is_recognised_after_a_restart(spark, file_settings, ago, is_known):
    def parser(records):
        return parse(spark.createDataFrame(records)).toArrow()

    order = text("transactions", event_id=event_id(1))
    view = text("product_views", event_id=event_id(2))
    values = [("transactions", order), ("product_views", view)]
    now = datetime.now(UTC)
    first = refine(parser(kafka_table(values)), Stamp(0, now - ago, {}), Knowledge(), parser)
    sinks = Sinks(file_settings, t.TABLES)
    sinks.create_missing()
    sinks.append(first.rows, 0)

    again = refine(parser(kafka_table(values, 100)), Stamp(1, now, {}), load_knowledge(file_settings), parser)
    doubles = again.rows[t.DUPLICATES.path].to_pylist() if is_known else []
    assert [(row["offset"], row["winner_topic"], row["winner_offset"]) for row in doubles] == (
        [(100, "transactions", 0), (101, "product_views", 1)] if is_known else []
    )
    assert again.counts["accepted_count"] == (0 if is_known else 2)
