"""The view of anomalies: what each batch's orders and views say to all detectors, in one go."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from lakehouse.live.anomalies.amount_outlier import AmountOutlier, came_in
from lakehouse.live.anomalies.card_testing import CardTesting
from lakehouse.live.anomalies.facts import Orders, Visits
from lakehouse.live.anomalies.impossible_travel import ImpossibleTravel
from lakehouse.live.anomalies.purchase_burst import PurchaseBurst
from lakehouse.live.anomalies.regional_drop import RegionalDrop
from lakehouse.live.anomalies.rules import KEPT_DAYS, STATEFUL
from lakehouse.live.anomalies.saying import Saying, time_of
from lakehouse.live.anomalies.told import REMEMBERED, Told
from lakehouse.live.anomalies.view_bot import ViewBot
from lakehouse.live.base import Batch, Lake, Output
from lakehouse.live.columns import DAY, LONG_AGO, micros_of
from lakehouse.live.confirm import Confirm
from lakehouse.tables import PRODUCT_VIEWS, TRANSACTIONS, Table

_VISIT = ["user_id", "country", "timestamp"]
_ORDER = [*_VISIT, "total_amount", "payment_method"]
_NEVER_LOADED = LONG_AGO // 2  # so long ago that what is taken off it is still a number


class AnomaliesView:
    """All findings about orders and views: those that need no state (by `Confirm`, which it holds) and those that do.

    Its state is what silver and `gold/anomalies` say behind the watermark: loaded anew it is the same.
    """

    tables: tuple[Table, ...] = ()

    def __init__(self) -> None:
        self._reset()

    def _reset(self) -> None:
        self._confirm = Confirm()
        self._amounts = AmountOutlier(self._confirm.book)
        self._told = Told(rule.kind for rule in STATEFUL)
        self._purchases, self._payments, self._bots = PurchaseBurst(), CardTesting(), ViewBot()
        self._travel, self._drops = ImpossibleTravel(), RegionalDrop()
        self._watermark = _NEVER_LOADED

    def load(self, lake: Lake) -> None:
        self._reset()
        self._confirm.load(lake)
        self._amounts = AmountOutlier(self._confirm.book)
        self._told.load(lake)
        if lake.watermark is not None:
            self._watermark = micros_of(lake.watermark)
        since = self._watermark
        orders = Orders(lake.read(TRANSACTIONS, _ORDER, self._after(self._travel.edge(since))))
        views = Visits(lake.read(PRODUCT_VIEWS, _VISIT, self._after(self._travel.edge(since))))
        self._travel.add(orders)
        self._travel.add(views)
        self._purchases.add(orders, since)
        self._payments.add(orders, since)
        self._bots.add(views, since)
        self._drops.add(orders, views, since)
        self._load_amounts(lake)

    def _load_amounts(self, lake: Lake) -> None:
        columns = ["user_id", "total_amount", "ingested_at", "batch_id", "timestamp", "event_hash"]
        earliest = max(self._watermark - (KEPT_DAYS + 1) * DAY, 0)
        rows = lake.read(TRANSACTIONS, columns, pc.field("ingested_at") >= time_of(earliest))
        rows = rows.sort_by([(name, "ascending") for name in ("batch_id", "timestamp", "event_hash")])
        kept = Orders(rows)
        self._amounts.customers.add(kept.user, kept.amount, came_in(rows))

    def _after(self, edge: int) -> pc.Expression | None:
        return None if self._watermark == _NEVER_LOADED else pc.field("timestamp") >= time_of(edge)

    def apply(self, batch: Batch) -> Output:
        orders = Orders(_whole(batch.of(TRANSACTIONS)))
        views = Visits(_whole(batch.of(PRODUCT_VIEWS)))
        saying = Saying(self._told, batch.started_at)
        since = self._watermark
        stateless = self._confirm.apply(batch).findings
        findings = [
            *self._amounts.judge(orders, stateless, micros_of(batch.started_at) // DAY, saying),
            *self._purchases.judge(orders, since, saying),
            *self._payments.judge(orders, since, saying),
            *self._travel.judge(orders, views, since, saying),
            *self._bots.judge(views, since, saying),
            *self._drops.judge(orders, views, since, self._told, batch.started_at),
        ]
        if batch.watermark is not None:
            self._watermark = max(self._watermark, micros_of(batch.watermark))
            self._told.forget(micros_of(batch.watermark - REMEMBERED))
        return Output(findings=findings)


def _whole(rows: pa.Table) -> pa.Table:
    return rows.combine_chunks()
