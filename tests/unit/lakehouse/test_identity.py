"""First wins, the same again is a duplicate, the same id with another body is a conflict: in a batch, across batches, on a retry."""

import numpy as np
import pyarrow as pa

from lakehouse.transforms.identity import Indexes, decide


def views(*rows):
    """(offset, event, body) of product views, partition 0."""
    return _table(rows, lambda r: {"event_hash": r[1], "event_hash2": -r[1], "body_hash": r[2]})


def orders(*rows):
    """(offset, event, transaction, body, order body) of transactions, partition 0."""
    return _table(
        rows,
        lambda r: {
            "event_hash": r[1], "event_hash2": -r[1], "body_hash": r[3],
            "transaction_hash": r[2], "transaction_hash2": -r[2], "order_hash": r[4],
        },
    )  # fmt: skip


def _table(rows, hashes):
    schema = {"partition": pa.int32(), "offset": pa.int64()}
    records = [{"partition": 0, "offset": r[0], **hashes(r)} for r in rows]
    columns = records[0]
    return pa.table({name: pa.array([r[name] for r in records], schema.get(name, pa.int64())) for name in columns})


def outcome(tables, topic, indexes):
    result = decide(tables, indexes)[topic]
    return result.accepted.tolist(), result.duplicates, result.conflicts


def test_distinct_records_are_accepted():
    assert outcome({"product_views": views((0, 1, 10), (1, 2, 10))}, "product_views", Indexes()) == (
        [True, True],
        {},
        {},
    )


def test_lowest_offset_wins_whatever_the_order_of_rows():
    rows = views((7, 1, 10), (3, 1, 10), (5, 1, 10))
    expected = ([False, True, False], {0: ("product_views", 0, 3), 2: ("product_views", 0, 3)}, {})
    assert outcome({"product_views": rows}, "product_views", Indexes()) == expected


def test_same_id_with_another_body_is_a_conflict_with_the_first():
    rows = views((0, 1, 10), (1, 1, 11), (2, 1, 10), (3, 1, 11))
    expected = (
        [True, False, False, False],
        {2: ("product_views", 0, 0)},
        {1: ("conflict.event_id",), 3: ("conflict.event_id",)},
    )
    assert outcome({"product_views": rows}, "product_views", Indexes()) == expected


def test_a_later_batch_knows_the_earlier_one():
    indexes = Indexes()
    decide({"product_views": views((0, 1, 10))}, indexes)
    rows = views((1, 1, 10), (2, 1, 11), (3, 2, 10))
    expected = ([False, False, True], {0: ("product_views", 0, 0)}, {1: ("conflict.event_id",)})
    assert outcome({"product_views": rows}, "product_views", indexes) == expected


def test_a_retried_batch_decides_as_before():
    indexes = Indexes()
    rows = views((0, 1, 10), (1, 1, 10), (2, 1, 11), (3, 2, 10))
    first = outcome({"product_views": rows}, "product_views", indexes)
    assert outcome({"product_views": rows}, "product_views", indexes) == first
    assert first == ([True, False, False, True], {1: ("product_views", 0, 0)}, {2: ("conflict.event_id",)})


def test_same_order_under_a_new_event_id_is_a_duplicate():
    rows = orders((0, 1, 100, 10, 20), (1, 2, 100, 11, 20))
    assert outcome({"transactions": rows}, "transactions", Indexes()) == (
        [True, False],
        {1: ("transactions", 0, 0)},
        {},
    )


def test_same_order_id_with_another_body_is_a_conflict():
    rows = orders((0, 1, 100, 10, 20), (1, 2, 100, 11, 21))
    assert outcome({"transactions": rows}, "transactions", Indexes()) == (
        [True, False],
        {},
        {1: ("conflict.transaction_id",)},
    )


def test_both_ids_with_another_body_name_both():
    rows = orders((0, 1, 100, 10, 20), (1, 1, 100, 11, 21))
    codes = ("conflict.event_id", "conflict.transaction_id")
    assert outcome({"transactions": rows}, "transactions", Indexes()) == ([True, False], {}, {1: codes})


def test_ids_of_a_refused_record_stay_free():
    rows = orders((0, 1, 100, 10, 20), (1, 1, 200, 11, 21), (2, 3, 200, 12, 22))
    assert outcome({"transactions": rows}, "transactions", Indexes()) == (
        [True, False, True],
        {},
        {1: ("conflict.event_id",)},
    )


def test_an_event_id_is_one_across_topics():
    tables = {"transactions": orders((0, 1, 100, 10, 20)), "product_views": views((0, 1, 30))}
    result = decide(tables, Indexes())
    assert result["transactions"].accepted.tolist() == [True]
    assert result["product_views"].conflicts == {0: ("conflict.event_id",)}


def test_one_id_many_times_has_one_winner():
    rows = views(*((n, 1, 10) for n in range(1000)))
    result = decide({"product_views": rows}, Indexes())["product_views"]
    assert np.flatnonzero(result.accepted).tolist() == [0]
    assert len(result.duplicates) == 999
