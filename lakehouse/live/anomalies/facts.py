"""A batch's orders and views as the detectors look at them: numpy columns, with the texts at hand for what is found."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.contracts.base import COUNTRIES
from lakehouse.live.anomalies.keyed import hashes
from lakehouse.live.columns import Ints, cents, ints

_NAMES = pa.array(COUNTRIES)


class Visits:
    """Rows of `silver/transactions` or `silver/product_views`. Times are microseconds since 1970 (UTC)."""

    def __init__(self, rows: pa.Table) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def at(self) -> Ints:
        return ints(self.rows["timestamp"])

    @cached_property
    def user(self) -> Ints:
        """Hash of each customer's id."""
        return hashes(self.rows["user_id"])

    @cached_property
    def country(self) -> Ints:
        """Index into COUNTRIES."""
        return np.asarray(pc.index_in(self.rows["country"], value_set=_NAMES).to_numpy().astype(np.int64))

    def text(self, name: str, row: int) -> str:
        return str(self.rows[name][int(row)].as_py())


class Orders(Visits):
    """Rows of `silver/transactions`."""

    @cached_property
    def amount(self) -> Ints:
        """Cents."""
        return cents(self.rows["total_amount"])

    @cached_property
    def is_by_card(self) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
        cards = pa.array(["credit_card", "debit_card", "gift_card"])
        return np.asarray(pc.is_in(self.rows["payment_method"], value_set=cards).to_numpy())

    def row_of(self, event_id: str) -> int:
        """The row of the event, which must be there."""
        return int(pc.index(self.rows["event_id"], event_id).as_py())
