"""The live views of the streaming service, and one batch taken through all of them."""

from __future__ import annotations

from lakehouse.live.anomalies.view import AnomaliesView
from lakehouse.live.base import Batch, Lake, Output, View
from lakehouse.live.carts import CartsView
from lakehouse.live.finality import FinalityView
from lakehouse.live.inventory import InventoryView
from lakehouse.live.rates import RatesView
from lakehouse.live.sessions import SessionsView
from lakehouse.settings import Settings
from lakehouse.tables import ALERTS, ANOMALIES
from lakehouse.transforms.findings import alert_rows, anomaly_rows
from lakehouse.transforms.stock import StockRules


def views(settings: Settings) -> list[View]:
    """All views, not loaded yet, in the order in which they take a batch."""
    return [
        RatesView(),
        FinalityView(),
        SessionsView(settings),
        CartsView(settings),
        InventoryView(StockRules.of(settings)),
        AnomaliesView(),
    ]


def load(settings: Settings, lake: Lake) -> list[View]:
    """All views as they were at the ledger entry of `lake`."""
    loaded = views(settings)
    for view in loaded:
        view.load(lake)
    return loaded


def apply(loaded: list[View], batch: Batch) -> Output:
    """What all views add for `batch`; the rows of findings are among it."""
    outputs = [view.apply(batch) for view in loaded]
    findings = [finding for output in outputs for finding in output.findings]
    rows = {path: table for output in outputs for path, table in output.rows.items() if len(table)}
    if findings:
        rows[ALERTS.path] = alert_rows(findings, batch.batch_id)
        rows[ANOMALIES.path] = anomaly_rows(findings, batch.batch_id)
    return Output({path: table for path, table in rows.items() if len(table)}, findings)
