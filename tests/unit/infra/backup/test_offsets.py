"""What is done about Kafka after a restore."""

from __future__ import annotations

import pytest

from infra.backup.manifest import BackupError
from infra.backup.offsets import plan

NEXT = {"transactions/0": 100, "users/0": 5}


def test_the_same_kafka_goes_on_beyond_the_point() -> None:
    found = plan(
        True, NEXT, {}, {"transactions/0": 0, "users/0": 0}, {"transactions/0": 130, "users/0": 5, "detections/0": 9}
    )
    assert (found.way, found.waiting_count, found.lost_count, found.begin) == ("goes on", 30, 0, {})


def test_what_its_retention_took_is_counted_and_said() -> None:
    found = plan(True, NEXT, {}, {"transactions/0": 120, "users/0": 0}, {"transactions/0": 130, "users/0": 5})
    assert (found.waiting_count, found.lost_count) == (10, 20)
    assert "GLOBALMART_STREAM_ACCEPT_LOSS=true" in found.sentence()


def test_an_empty_kafka_begins_where_the_lake_ends() -> None:
    zeros = dict.fromkeys((*NEXT, "detections/0"), 0)
    found = plan(False, NEXT, {"detections/0": 7, "alerts/0": 0}, zeros, zeros)
    assert (found.way, found.begin) == ("begins anew", {"transactions/0": 100, "users/0": 5, "detections/0": 7})


def test_another_kafka_with_records_below_the_point_is_refused() -> None:
    with pytest.raises(BackupError, match="not the one that the backup was made beside"):
        plan(False, NEXT, {}, {"transactions/0": 0, "users/0": 0}, {"transactions/0": 130, "users/0": 5})


def test_another_kafka_that_begins_where_the_lake_ends_is_taken() -> None:
    starts = {"transactions/0": 100, "users/0": 5}
    assert plan(False, NEXT, {}, starts, {"transactions/0": 104, "users/0": 5}).waiting_count == 4


def test_the_same_kafka_that_has_lost_records_at_its_end_is_refused() -> None:
    with pytest.raises(BackupError, match=r"transactions/0 has offsets 0 to 90, and the lake would end at 100"):
        plan(True, NEXT, {}, {"transactions/0": 0, "users/0": 0}, {"transactions/0": 90, "users/0": 5})


def test_a_new_kafka_with_fewer_partitions_is_refused() -> None:
    with pytest.raises(BackupError, match="no partition users/0"):
        plan(False, NEXT, {}, {"transactions/0": 0}, {"transactions/0": 0})


def test_one_that_was_cut_short_half_way_does_the_rest() -> None:
    found = plan(False, NEXT, {}, {"transactions/0": 100, "users/0": 0}, {"transactions/0": 100, "users/0": 0})
    assert found.begin == {"users/0": 5}
