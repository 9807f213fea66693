"""Stock equals a replay of all movements, however they are cut and ordered; what is told about it is told once, with its cause."""

import math
import time
from collections import defaultdict
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from live_batches import MemoryLake, at, batch

from lakehouse.catalogue import Catalogue
from lakehouse.live.base import Lake
from lakehouse.live.inventory import InventoryView
from lakehouse.storage import delta_uri
from lakehouse.tables import INVENTORY_EVENTS, INVENTORY_LEVELS, PRODUCTS, TIME, TRANSACTION_ITEMS, TRANSACTIONS
from lakehouse.transforms.stock import StockRules

RULES = StockRules(low_units=5, low_days=1, recovery_factor=2, rate_days=7)
KNOWN = datetime(2026, 3, 14, 12, tzinfo=UTC)
MIDNIGHT, ONE, TWO = at(0), at(1), at(2)
PLACE = {"partition": 0, "kafka_at": KNOWN}
COUNTS = ("level", "opening_count", "changed_count", "sold_count", "oversold_count")


def listed(offset, product_id, inventory, when=MIDNIGHT, category="Coffee"):
    return PLACE | {
        "event_id": f"p{offset}", "offset": offset, "product_id": product_id, "inventory": inventory, "timestamp": when,
        "category": category,
    }  # fmt: skip


def changed(offset, product_id, change, when=ONE):
    return PLACE | {
        "event_id": f"i{offset}", "offset": offset, "product_id": product_id, "change": change, "timestamp": when
    }  # fmt: skip


def sold(offset, product_id, quantity, when=TWO):
    return PLACE | {
        "event_id": f"t{offset}", "offset": offset, "product_id": product_id, "quantity": quantity, "timestamp": when
    }  # fmt: skip


class Shop:
    """A view with its lake: batches go in one after the other, and the view can be restarted."""

    def __init__(self, rules=RULES):
        self.rules, self.lake, self.catalogue, self.batch_id = rules, MemoryLake(), Catalogue(), 0
        self.view = InventoryView(rules)

    def restart(self):
        self.view = InventoryView(self.rules)
        self.view.load(self.lake)

    def take(self, products=(), changes=(), sales=()):
        self.catalogue.add(
            [r["product_id"] for r in products], [r["category"] for r in products], [r["timestamp"] for r in products]
        )
        self.batch_id += 1
        tables = {
            PRODUCTS.path: products,
            INVENTORY_EVENTS.path: changes,
            TRANSACTION_ITEMS.path: sales,
            TRANSACTIONS.path: sales,
        }
        output = self.view.apply(batch(self.batch_id, tables, KNOWN, catalogue=self.catalogue))
        self.lake.write(output)
        return output

    def levels(self):
        return {row["product_id"]: row for row in self.lake.current(INVENTORY_LEVELS).to_pylist()}

    def status(self):
        return self.levels()["A"]["status"]


def told(output):
    return [(finding.kind, finding.severity, finding.product_id, finding.event_id) for finding in output.findings]


def test_a_row_says_all_about_a_product():
    output = Shop().take([listed(0, "A", 100)], [changed(0, "A", -10)], [sold(0, "A", 14)])
    assert output.rows[INVENTORY_LEVELS.path].to_pylist() == [
        {
            "product_id": "A",
            "category": "Coffee",
            "level": 76,
            "status": "ok",
            "oversold_count": 0,
            "ever_oversold_count": 0,
            "updated_at": at(2),
            "opening_count": 100,
            "opening_partition": 0,
            "opening_offset": 0,
            "changed_count": -10,
            "sold_count": 14,
            "sell_rate_per_day": 2.0,
            "days_of_cover": 38.0,
            "alarm": "ok",
            "batch_id": 1,
            "known_at": KNOWN,
            "is_retracted": False,
        }
    ]
    assert output.rows[INVENTORY_LEVELS.path].schema == INVENTORY_LEVELS.schema
    assert output.findings == []


def test_a_sale_before_the_first_record_counts_once_it_is_there():
    shop = Shop()
    first = shop.take(sales=[sold(0, "A", 3)])
    row = shop.levels()["A"]
    assert [row[name] for name in (*COUNTS, "category", "alarm")] == [-3, None, 0, 3, 3, "unknown", "ok"]
    assert told(first) == []
    shop.restart()
    shop.take([listed(9, "A", 20)])
    row = shop.levels()["A"]
    assert [row[name] for name in (*COUNTS, "status", "ever_oversold_count")] == [17, 20, 0, 3, 0, "ok", 0]


def test_the_record_with_the_lowest_offset_opens_and_later_ones_only_inform():
    shop = Shop()
    shop.take([listed(8, "A", 70), listed(7, "A", 50), listed(9, "A", 90)])
    assert shop.levels()["A"]["level"] == 50
    shop.restart()
    assert shop.take([listed(10, "A", 10)]).rows == {}
    output = shop.take([listed(11, "A", 10, category="Tents")])
    row = shop.levels()["A"]
    assert [row[name] for name in ("level", "category", "opening_offset", "updated_at")] == [50, "Tents", 7, at(0)]
    assert len(output.rows[INVENTORY_LEVELS.path]) == 1


def test_a_batch_that_moves_no_stock_says_nothing():
    output = Shop().take()
    assert (output.rows, output.findings) == ({}, [])


def test_the_catalogue_alone_alerts_nobody():
    shop = Shop()
    output = shop.take([listed(0, "A", 0), listed(1, "B", 3), listed(2, "C", 30)])
    assert {name: row["status"] for name, row in shop.levels().items()} == {"A": "out", "B": "low", "C": "ok"}
    assert told(output) == []


def test_stock_that_runs_down_is_told_step_by_step_with_the_sale_that_did_it():
    shop = Shop()
    shop.take([listed(0, "A", 20)])
    assert told(shop.take(sales=[sold(0, "A", 1), sold(1, "A", 14), sold(2, "A", 1)])) == [
        ("low_stock", "warning", "A", "t1")
    ]
    shop.restart()
    assert told(shop.take(sales=[sold(3, "A", 4)])) == [("out_of_stock", "critical", "A", "t3")]
    assert told(shop.take(sales=[sold(4, "A", 2)])) == [("oversold", "warning", "A", "t4")]
    shop.restart()
    assert told(shop.take(sales=[sold(5, "A", 1)])) == []
    row = shop.levels()["A"]
    assert [row[name] for name in (*COUNTS, "status", "alarm", "ever_oversold_count")] == [
        -3, 20, 0, 23, 3, "out", "oversold", 3,
    ]  # fmt: skip
    shop.restart()
    assert told(shop.take(changes=[changed(0, "A", 60)])) == [("back_in_stock", "info", "A", "i0")]
    row = shop.levels()["A"]
    assert [row[name] for name in (*COUNTS, "status", "alarm", "ever_oversold_count")] == [
        57, 20, 60, 23, 0, "ok", "ok", 3,
    ]  # fmt: skip


def test_a_fall_in_one_batch_skips_what_it_passes_and_names_each_cause():
    shop = Shop()
    shop.take([listed(0, "A", 20)])
    output = shop.take(sales=[sold(0, "A", 16), sold(1, "A", 4), sold(2, "A", 3)])
    assert told(output) == [("out_of_stock", "critical", "A", "t1"), ("oversold", "warning", "A", "t2")]


def test_a_finding_has_its_figures_and_an_id_made_of_its_cause():
    shop = Shop()
    shop.take([listed(0, "A", 20)])
    finding = shop.take(sales=[sold(3, "A", 15)]).findings[0]
    again = Shop()
    again.take([listed(0, "A", 20)], sales=[sold(1, "A", 1), sold(2, "A", 2)])
    assert again.take(sales=[sold(3, "A", 12), sold(4, "A", 1)]).findings[0].finding_id == finding.finding_id
    assert finding.title == "Low stock: A, 5 units"
    assert finding.detail == (
        "A (Coffee) has 5 units: 20 at the opening, +0 by changes, 15 sold. It sells 2.14 units a day and lasts 2.3 days."
    )
    assert (finding.event_at, finding.detected_at, finding.fingerprint) == (at(2), KNOWN, "stock|A")
    assert finding.evidence == {
        "level": 5,
        "opening_count": 20,
        "changed_count": 0,
        "sold_count": 15,
        "oversold_count": 0,
        "sell_rate_per_day": pytest.approx(15 / 7),
        "days_of_cover": pytest.approx(7 / 3),
        "category": "Coffee",
        "cause": {"topic": "transactions", "partition": 0, "offset": 3},
    }
    assert b'"kind":"low_stock"' in finding.to_json()


def test_a_level_that_swings_around_a_threshold_does_not_flap():
    shop = Shop()
    shop.take([listed(0, "A", 20)])
    statuses, findings = [], []
    for turn, change in enumerate([-14, -1, 1, -1, 2, -2, 4, -4, 5, 1, -1]):  # levels 6 5 6 5 7 5 9 5 10 11 10
        findings += told(shop.take(changes=[changed(turn, "A", change)]))
        statuses.append(shop.status())
        shop.restart()
    assert statuses == ["ok", *["low"] * 8, "ok", "ok"]
    assert [kind for kind, *_ in findings] == ["low_stock", "back_in_stock"]


def test_stock_that_swings_around_nothing_is_told_once_until_it_is_well():
    shop = Shop()
    shop.take([listed(0, "A", 20)])
    statuses, findings = [], []
    for turn, change in enumerate([-20, 1, -1, 1, -2, 3, 20]):
        findings += told(shop.take(changes=[changed(turn, "A", change)]))
        statuses.append(shop.status())
        shop.restart()
    assert statuses == ["out", "low", "out", "low", "out", "low", "ok"]
    assert [kind for kind, *_ in findings] == ["out_of_stock", "oversold", "back_in_stock"]


def test_stock_that_sells_fast_is_low_with_many_units_left():
    shop = Shop()
    shop.take([listed(0, "A", 2000)])
    assert told(shop.take(sales=[sold(0, "A", 1700), sold(1, "A", 60)])) == [("low_stock", "warning", "A", "t1")]
    row = shop.levels()["A"]
    assert row["status"] == "low"
    assert (row["level"], row["days_of_cover"]) == (240, pytest.approx(240 * 7 / 1760))


def test_the_sell_rate_fades_and_takes_late_sales_at_their_age():
    shop = Shop()
    shop.take([listed(0, "A", 1000)], sales=[sold(0, "A", 70, at(0, day=14))])
    assert shop.levels()["A"]["sell_rate_per_day"] == pytest.approx(10)
    shop.take(changes=[changed(0, "A", 1, at(0, day=21))])
    assert shop.levels()["A"]["sell_rate_per_day"] == pytest.approx(10 * math.exp(-1))
    shop.restart()
    shop.take(sales=[sold(1, "A", 7, at(0, day=14))])
    row = shop.levels()["A"]
    assert row["sell_rate_per_day"] == pytest.approx(11 * math.exp(-1))
    assert row["updated_at"] == at(0, day=21)


def test_a_sale_of_long_ago_leaves_no_rate_to_reckon_with():
    shop = Shop()
    for years in (0.25, 13.6, 26):
        product = f"P{years}"
        shop.take([listed(0, product, 9)], sales=[sold(0, product, 1, MIDNIGHT - timedelta(days=365 * years))])
    rows = shop.levels()
    assert [rows[f"P{years}"]["days_of_cover"] for years in (0.25, 13.6, 26)] == [
        pytest.approx(8 * 7 * math.exp(365 * 0.25 / 7)), None, None
    ]  # fmt: skip


def test_a_batch_that_is_tried_again_after_a_restart_says_the_same():
    shop = Shop()
    shop.take([listed(n, f"P{n}", 12) for n in range(50)], sales=[sold(n, f"P{n}", 3) for n in range(40)])
    tables = {
        TRANSACTION_ITEMS.path: [sold(100 + n, f"P{n % 50}", 1 + n % 4) for n in range(200)],
        INVENTORY_EVENTS.path: [changed(n, f"P{n}", 7 - n) for n in range(30)],
    }
    once = shop.view.apply(batch(2, tables, KNOWN, catalogue=shop.catalogue))
    shop.restart()
    again = shop.view.apply(batch(2, tables, KNOWN, catalogue=shop.catalogue))
    assert again.rows == once.rows
    assert again.findings == once.findings
    assert len(once.findings) > 20


def test_the_order_of_rows_within_a_batch_changes_nothing():
    rng = np.random.default_rng(3)
    products = [listed(n, f"P{n}", 90) for n in range(9)]
    sales = [
        sold(n // 2, f"P{rng.integers(9)}", int(rng.integers(1, 9)), at(float(rng.uniform(0, 99)))) for n in range(300)
    ]
    changes = [
        changed(n, f"P{rng.integers(9)}", int(rng.integers(-9, 9)), at(float(rng.uniform(0, 99)))) for n in range(99)
    ]
    once, again = Shop().take(products, changes, sales), Shop().take(products[::-1], changes[::-1], sales[::-1])
    assert again.rows == once.rows
    assert again.findings == once.findings
    assert len(once.findings) > 5


def test_the_state_survives_a_delta_table(file_settings):
    shop = Shop()
    output = shop.take([listed(5, "A", 9)], [changed(0, "A", 3)], [sold(0, "B", 2)])
    write_deltalake(delta_uri(file_settings, INVENTORY_LEVELS), output.rows[INVENTORY_LEVELS.path])
    write_deltalake(delta_uri(file_settings, INVENTORY_LEVELS), output.rows[INVENTORY_LEVELS.path], mode="append")
    loaded = InventoryView(RULES)
    loaded.load(Lake(file_settings, {INVENTORY_LEVELS.path: 1}))
    tables = {TRANSACTION_ITEMS.path: [sold(1, "A", 1), sold(2, "B", 1)]}
    assert loaded.apply(batch(2, tables, KNOWN, catalogue=shop.catalogue)).rows == (
        shop.view.apply(batch(2, tables, KNOWN, catalogue=shop.catalogue)).rows
    )


def plain_replay(products, changes, sales):
    """The oracle: every record one after the other, in plain Python."""
    opening, level_changes, units, updated, sells = {}, defaultdict(int), defaultdict(int), {}, defaultdict(list)
    for record in sorted(products, key=lambda record: record["offset"]):
        opening.setdefault(record["product_id"], record)
    for record in opening.values():
        updated[record["product_id"]] = record["timestamp"]
    for record, total, name in [(r, level_changes, "change") for r in changes] + [
        (r, units, "quantity") for r in sales
    ]:
        total[record["product_id"]] += record[name]
        updated[record["product_id"]] = max(updated.get(record["product_id"], record["timestamp"]), record["timestamp"])
    for record in sales:
        sells[record["product_id"]].append(record)
    expected = {}
    for product_id, when in updated.items():
        opened = opening[product_id]["inventory"] if product_id in opening else None
        level = (opened or 0) + level_changes[product_id] - units[product_id]
        rate = sum(
            record["quantity"] * math.exp(-((when - record["timestamp"]) / timedelta(days=7))) / 7
            for record in sells[product_id]
        )
        expected[product_id] = {
            "level": level,
            "opening_count": opened,
            "changed_count": level_changes[product_id],
            "sold_count": units[product_id],
            "oversold_count": max(0, -level),
            "updated_at": when,
            "sell_rate_per_day": pytest.approx(rate, rel=1e-9, abs=1e-300),
        }
    return expected


@pytest.mark.parametrize("seed", range(8))
def test_any_cut_of_any_stream_equals_a_replay_of_all_events(seed):
    rng = np.random.default_rng(seed)
    count = 400

    def when():
        return at(float(rng.uniform(-72, 72)))

    products = [listed(n, f"P{rng.integers(40)}", int(rng.integers(0, 30)), when()) for n in range(60)]
    changes = [changed(n, f"P{rng.integers(45)}", int(rng.integers(-5, 9)), when()) for n in range(count)]
    sales = [sold(n, f"P{rng.integers(45)}", int(rng.integers(1, 4)), when()) for n in range(count)]
    shop = Shop()
    left = {"products": products, "changes": changes, "sales": sales}
    while any(left.values()):
        # Each topic comes at a pace of its own, in the order of its offsets.
        take = {name: int(rng.integers(0, 60)) for name in left}
        shop.take(**{name: records[: take[name]] for name, records in left.items()})
        left = {name: records[take[name] :] for name, records in left.items()}
        if rng.random() < 0.3:
            shop.restart()
    expected = plain_replay(products, changes, sales)
    names = next(iter(expected.values()))
    levels = shop.levels()
    assert {product: {name: row[name] for name in names} for product, row in levels.items()} == expected
    assert all((row["status"] == "out") == (row["level"] <= 0) for row in levels.values())


def test_all_250_000_products_equal_a_replay_and_a_batch_is_quick():
    rng = np.random.default_rng(5)
    count = 250_000
    ids = np.array([f"P{n:07d}" for n in range(count)])

    def table(kind, column, product, units, offsets, seconds):
        us = pa.array(seconds.astype(np.int64) * 1_000_000).cast(TIME)
        number = len(product)
        return pa.table(
            {
                "event_id": pa.array(np.char.add(kind, offsets.astype(str))),
                "product_id": pa.array(ids[product]),
                column: pa.array(units.astype(np.int32)),
                "timestamp": us,
                "kafka_at": us,
                "partition": pa.array(np.zeros(number, np.int32)),
                "offset": pa.array(offsets),
            }
        )

    opening = rng.integers(1, 200, count)
    listing = table("p", "inventory", np.arange(count), opening, np.arange(count), np.full(count, 1_700_000_000))
    catalogue = Catalogue()
    catalogue.add(ids.tolist(), ["Coffee"] * count, [KNOWN] * count)
    lake, view = MemoryLake(), InventoryView(RULES)
    lake.write(view.apply(batch(1, {PRODUCTS.path: listing}, KNOWN, catalogue=catalogue)))
    changes, sales = np.zeros(count, np.int64), np.zeros(count, np.int64)
    times = []
    for number in range(2, 12):
        size = 2_500
        seconds = 1_700_000_000 + rng.integers(0, 86_400 * 30, size)
        moved, went = rng.integers(0, count, size), rng.integers(0, count // 50, size)
        change, quantity = rng.integers(-20, 60, size), rng.integers(1, 9, size)
        np.add.at(changes, moved, change)
        np.add.at(sales, went, quantity)
        offsets = np.arange(number * size, (number + 1) * size)
        sale = table("t", "quantity", went, quantity, offsets, seconds)
        given = batch(
            number,
            {
                INVENTORY_EVENTS.path: table("i", "change", moved, change, offsets, seconds),
                TRANSACTION_ITEMS.path: sale,
                TRANSACTIONS.path: sale,
            },
            KNOWN,
            catalogue=catalogue,
        )
        started = time.process_time()
        lake.write(view.apply(given))
        times.append(time.process_time() - started)
    started = time.process_time()
    view.load(lake)
    loading = time.process_time() - started
    rows = lake.current(INVENTORY_LEVELS)
    rows = rows.sort_by("product_id")
    assert rows["product_id"].to_pylist() == ids.tolist()
    level = opening + changes - sales
    for name, expected in (
        ("level", level),
        ("changed_count", changes),
        ("sold_count", sales),
        ("oversold_count", np.maximum(-level, 0)),
    ):
        assert (rows[name].to_numpy() == expected).all(), name
    assert min(times) < 0.1
    assert loading < 3
