"""Pages of one answer come from one version, whatever comes meanwhile: also of snapshots, and across folds."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from api.refresher import Refresher
from lakehouse import tables as t
from lakehouse.maintenance import compact_snapshots
from lakehouse.settings import Settings

from .conftest import Lake
from .gold import cart, level


@pytest.mark.parametrize("fold_rows", [2, 50_000])
def test_pages_do_not_see_what_came_after_the_first(
    client: TestClient, settings: Settings, lake: Lake, fold_rows: int
) -> None:
    refresher = Refresher(settings, fold_rows=fold_rows)
    lake.write(t.CARTS, [cart(f"c{n}", "US", "open", f"{n}.00") for n in range(6)])
    refresher.refresh()
    serving = client.app.state.serving  # type: ignore[attr-defined]
    serving.look()
    path = "/v1/carts?sort=cart_id&fields=cart_id&fields=status&limit=2"
    page = client.get(path).json()
    found = page["data"]
    for batch in range(2, 5):
        lake.write(t.CARTS, [cart(f"c{n}", "US", "purchased", "0.00", batch) for n in range(6)])
        lake.write(t.CARTS, [cart(f"c1{batch}", "US", "open", "1.00", batch)])
        refresher.refresh()
        serving.look()
        if page["next_cursor"]:
            page = client.get(f"{path}&cursor={page['next_cursor']}").json()
            assert page["table_version"] == 0
            found += page["data"]
    assert found == [{"cart_id": f"c{n}", "status": "open"} for n in range(6)]
    assert page["next_cursor"] is None
    now = client.get("/v1/carts?sort=cart_id&fields=cart_id&fields=status").json()["data"]
    assert [(row["cart_id"], row["status"]) for row in now] == [
        ("c0", "purchased"), ("c1", "purchased"), ("c12", "open"), ("c13", "open"), ("c14", "open"),
        ("c2", "purchased"), ("c3", "purchased"), ("c4", "purchased"), ("c5", "purchased"),
    ]  # fmt: skip


def test_a_compaction_of_snapshots_changes_nothing_and_loads_nothing(
    client: TestClient, settings: Settings, lake: Lake
) -> None:
    refresher = Refresher(settings)
    for batch in range(1, 4):
        lake.write(t.INVENTORY_LEVELS, [level("p1", batch, "ok", batch)])
    refresher.refresh()
    epoch = refresher.metas["inventory_levels"].epoch
    compact_snapshots(t.INVENTORY_LEVELS, lake.table(t.INVENTORY_LEVELS))
    lake.write(t.INVENTORY_LEVELS, [level("p2", 9, "ok", 4)])
    refresher.refresh()
    client.app.state.serving.look()  # type: ignore[attr-defined]
    assert refresher.metas["inventory_levels"].epoch == epoch
    found = client.get("/v1/inventory?sort=product_id").json()["data"]
    assert [(row["product_id"], row["level"]) for row in found] == [("p1", 3), ("p2", 9)]
