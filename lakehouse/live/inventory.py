"""Inventory: every product's stock, kept by summing its movements. Table `gold/inventory_levels`; rules in `transforms/stock`."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from lakehouse.catalogue import UNKNOWN_CATEGORY
from lakehouse.dedup import NO_POSITION, OFFSET_BITS, pack_position
from lakehouse.live.base import Batch, Lake, Output
from lakehouse.live.movements import CHANGE, OPENING, SALE, Movements, movements_of
from lakehouse.live.stock_alerts import stock_findings
from lakehouse.tables import INVENTORY_LEVELS, TIME, Table
from lakehouse.transforms import stock
from lakehouse.transforms.stock import ALARMS, STATUSES, Int64s, StockRules

# One element per product. `opened` is the packed position of the record that gave the opening stock.
STATE = np.dtype(
    [
        ("opening", np.int64),
        ("opened", np.int64),
        ("changed", np.int64),
        ("sold", np.int64),
        ("ever_oversold", np.int64),
        ("rate", np.float64),
        ("updated_us", np.int64),
        ("status", np.int8),
        ("alarm", np.int8),
        ("category", np.int32),
    ]
)
State = NDArray[np.void]
_NEW = np.array((0, NO_POSITION, 0, 0, 0, 0.0, np.iinfo(np.int64).min, stock.OK, stock.OK, 0), STATE)


def level_of(state: State) -> Int64s:
    return np.asarray(state["opening"] + state["changed"] - state["sold"])


class InventoryView:
    """Stock of all products. Opening stock is the `inventory` of a product's record with the lowest position; later records
    are informative. A product that sells before its first record has a negative level and raises no alert.
    """

    tables: tuple[Table, ...] = (INVENTORY_LEVELS,)

    def __init__(self, rules: StockRules) -> None:
        self._rules = rules
        self._forget()

    def _forget(self) -> None:
        self._ids = pa.array([], pa.string())
        self._places: dict[str, int] = {}
        self._state: State = np.empty(0, STATE)
        self._categories = [UNKNOWN_CATEGORY]
        self._codes = {UNKNOWN_CATEGORY: 0}

    def __len__(self) -> int:
        """Products in memory."""
        return len(self._state)

    def load(self, lake: Lake) -> None:
        self._forget()
        rows = lake.current(INVENTORY_LEVELS)
        self._place(rows["product_id"])
        state = self._state
        partition, offset = (rows[name].fill_null(0).to_numpy() for name in ("opening_partition", "opening_offset"))
        is_open = rows["opening_count"].is_valid().to_numpy()
        state["opened"] = np.where(is_open, pack_position(0, partition, offset), NO_POSITION)
        state["opening"] = rows["opening_count"].fill_null(0).to_numpy()
        for field, name in (("changed", "changed_count"), ("sold", "sold_count"), ("rate", "sell_rate_per_day")):
            state[field] = rows[name].to_numpy()
        state["ever_oversold"] = rows["ever_oversold_count"].to_numpy()
        state["updated_us"] = rows["updated_at"].cast(pa.int64()).to_numpy()
        state["status"] = _codes(rows["status"], STATUSES)
        state["alarm"] = _codes(rows["alarm"], ALARMS)
        state["category"] = self._category_codes(rows["category"].to_pylist())

    def apply(self, batch: Batch) -> Output:
        moves = movements_of(batch, self._place)
        if not len(moves.product):
            return Output()
        recategorised = self._categorise(batch, np.unique(moves.product[moves.is_a(OPENING)]))
        moves = moves.with_lowest_openings(self._state["opened"])
        touched = np.unique(np.concatenate([moves.product, recategorised]))
        if not len(touched):
            return Output()
        before = self._state[touched]
        after, baseline = self._after(before, moves.of(touched))
        self._state[touched] = after
        rows = self._rows(batch, self._ids.take(pa.array(touched)), after)
        findings = []
        turned = np.flatnonzero(after["alarm"] != baseline)
        if len(turned):
            findings = stock_findings(
                batch,
                self._rules,
                rows.take(turned),
                baseline[turned].tolist(),
                level_of(before[turned]).tolist(),
                moves.of(touched[turned]),
            )
        return Output({INVENTORY_LEVELS.path: rows.sort_by("product_id")}, findings)

    def _after(self, before: State, moves: Movements) -> tuple[State, stock.Codes]:
        """The state after `moves`, and the alarm to compare with: a product's first record by itself alerts nobody."""
        rules, after, at = self._rules, before.copy(), moves.product
        changes, openings, sales = (moves.is_a(kind) for kind in (CHANGE, OPENING, SALE))
        np.add.at(after["changed"], at[changes], moves.units[changes])
        np.add.at(after["sold"], at[sales], -moves.units[sales])
        after["opening"][at[openings]] = moves.units[openings]
        after["opened"][at[openings]] = moves.position[openings]
        np.maximum.at(after["updated_us"], at, moves.at_us)

        now = after["updated_us"]
        sold = moves.take(sales)
        sold = sold.take(np.lexsort((sold.units, sold.position)))  # floats add up alike only in the same order
        weights = rules.weights(now[sold.product] - sold.at_us)
        fresh = np.bincount(sold.product, -sold.units * weights, len(after)) / rules.rate_days
        # Only what has a rate has a time to age it from: a product's very first movement has none.
        elapsed = np.subtract(now, before["updated_us"], out=np.zeros_like(now), where=before["rate"] > 0)
        after["rate"] = before["rate"] * rules.weights(elapsed) + fresh

        level = level_of(after)
        was_open, is_open = before["opened"] != NO_POSITION, after["opened"] != NO_POSITION
        status_before = np.where(was_open, before["status"], stock.OK)
        after["status"] = rules.status(level, rules.cover(level, after["rate"]), status_before)
        at_opening = rules.status(after["opening"], np.full(len(after), np.inf), np.zeros(len(after), np.int8))
        baseline = np.where(was_open, before["alarm"], np.where(is_open, at_opening, stock.OK))
        after["alarm"] = np.where(is_open, stock.alarm(after["status"], level, baseline), stock.OK)
        short_before = np.where(was_open, stock.oversold(level_of(before)), 0)
        after["ever_oversold"] += np.where(is_open, np.maximum(stock.oversold(level) - short_before, 0), 0)
        return after, baseline

    def _rows(self, batch: Batch, product_ids: pa.Array, state: State) -> pa.Table:
        level, is_open = level_of(state), state["opened"] != NO_POSITION
        cover = self._rules.cover(level, state["rate"])
        partition, offset = np.divmod(state["opened"], 1 << OFFSET_BITS)  # as packed for topic 0
        count = len(state)
        columns = {
            "product_id": product_ids,
            "category": _texts(state["category"], self._categories),
            "level": level,
            "status": _texts(state["status"], STATUSES),
            "oversold_count": stock.oversold(level),
            "ever_oversold_count": state["ever_oversold"],
            "updated_at": pa.array(state["updated_us"]).cast(TIME),
            "opening_count": pa.array(state["opening"], mask=~is_open),
            "opening_partition": pa.array(partition.astype(np.int32), mask=~is_open),
            "opening_offset": pa.array(offset, mask=~is_open),
            "changed_count": state["changed"],
            "sold_count": state["sold"],
            "sell_rate_per_day": state["rate"],
            "days_of_cover": pa.array(cover, mask=np.isinf(cover)),
            "alarm": _texts(state["alarm"], ALARMS),
            "batch_id": np.full(count, batch.batch_id),
            "known_at": pa.repeat(pa.scalar(batch.started_at, TIME), count),
            "is_retracted": np.zeros(count, bool),
        }
        schema = INVENTORY_LEVELS.schema
        return pa.table([pa.array(columns[name]) for name in schema.names], schema=schema)

    def _place(self, product_ids: pa.ChunkedArray) -> Int64s:
        """Where each product is in the state; one that is new gets a place."""
        encoded = product_ids.combine_chunks().dictionary_encode()
        places = self._places
        names = encoded.dictionary.to_pylist()
        found = np.array([places.get(name, -1) for name in names], np.int64)
        is_new = found < 0
        if is_new.any():
            new = encoded.dictionary.filter(pa.array(is_new))
            found[is_new] = np.arange(len(places), len(places) + len(new))
            places.update(zip(new.to_pylist(), found[is_new].tolist(), strict=True))
            self._ids = pa.concat_arrays([self._ids, new])
            self._state = np.concatenate([self._state, np.full(len(new), _NEW, STATE)])
        placed: Int64s = found[encoded.indices.to_numpy()]
        return placed

    def _categorise(self, batch: Batch, listed: Int64s) -> Int64s:
        """Take the categories of products with a record in the batch; returns where they are new."""
        names = self._ids.take(pa.array(listed)).to_pylist()
        codes = self._category_codes(batch.catalogue.categories(names, [batch.started_at] * len(names)))
        changed: Int64s = listed[codes != self._state["category"][listed]]
        self._state["category"][listed] = codes
        return changed

    def _category_codes(self, names: list[str]) -> NDArray[np.int32]:
        codes = self._codes
        for name in set(names) - codes.keys():
            codes[name] = len(self._categories)
            self._categories.append(name)
        return np.fromiter((codes[name] for name in names), np.int32, len(names))


def _codes(column: pa.ChunkedArray, names: tuple[str, ...]) -> stock.Codes:
    encoded = column.combine_chunks().dictionary_encode()
    order = np.array([names.index(name) for name in encoded.dictionary.to_pylist()], np.int8)
    return np.asarray(order[encoded.indices.to_numpy()])


def _texts(codes: NDArray[np.integer], names: tuple[str, ...] | list[str]) -> pa.Array:
    return pa.array(names, pa.string()).take(pa.array(codes))
