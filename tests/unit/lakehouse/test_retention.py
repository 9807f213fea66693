"""Records that Kafka lost before the lake had them are named; what was taken before may go."""

import pytest

from lakehouse.streams.retention import LostRecordsError, OtherKafkaError, check, check_reaches, lost_records


def test_what_the_lake_has_taken_may_go():
    assert lost_records({"users/0": 10}, {"users/0": 10, "users/1": 4}) == {}
    check({"users/0": 10}, {"users/0": 9})


def test_what_it_has_not_taken_is_named_with_its_place_and_count():
    taken = {"users/0": 10, "users/1": 7, "products/0": 3}
    starts = {"users/0": 15, "users/1": 7, "products/0": 4}
    assert lost_records(taken, starts) == {"products/0": (3, 3), "users/0": (10, 14)}
    with pytest.raises(LostRecordsError, match="no longer has 6 records") as error:
        check(taken, starts)
    assert "products/0 offsets 3 to 3, users/0 offsets 10 to 14" in str(error.value)
    assert "GLOBALMART_STREAM_ACCEPT_LOSS=true" in str(error.value)


def test_a_kafka_that_does_not_say_where_it_begins_is_not_taken_for_a_loss():
    assert lost_records({"users/0": 10}, {}) == {}


def test_a_kafka_that_ends_before_the_lake_is_another_one():
    check_reaches({"users/0": 10}, {"users/0": 10, "users/1": 0})
    with pytest.raises(
        OtherKafkaError, match=r"in 2 partitions \(products/0 ends at offset 0, and the lake goes up to 3\)"
    ):
        check_reaches({"users/0": 10, "products/0": 3}, {"users/0": 9})
