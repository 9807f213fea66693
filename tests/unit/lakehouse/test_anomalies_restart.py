"""After a restart the detectors know what they knew: from any ledger entry on, the same batches give the same findings."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from deltalake import write_deltalake
from shop import SHELF, after, batch, order, products, rows, view

from lakehouse.live.anomalies.view import AnomaliesView
from lakehouse.live.base import Lake
from lakehouse.settings import Settings
from lakehouse.storage import delta_uri
from lakehouse.tables import ANOMALIES, PRODUCT_VIEWS, PRODUCTS, TRANSACTIONS
from lakehouse.transforms.findings import anomaly_rows

BATCH_SECONDS = 300.0
BATCHES = 40
DELAY = 600.0


@pytest.fixture(scope="module")
def batches():
    """Three hours of a small shop with much that is odd: few customers in a hurry, all over the world, some hours late."""
    rng = np.random.default_rng(5)
    made = [batch(0, with_products=True)]
    for number in range(1, BATCHES + 1):
        began = BATCH_SECONDS * number
        late = 3_600.0 * rng.integers(0, 5, 400) * (rng.random(400) < 0.1)
        at = began + rng.random(400) * BATCH_SECONDS - late
        who = [f"u{n}" for n in rng.zipf(1.6, 400) % 500]
        where = rng.choice(["US", "GB", "DE", "IN", "BR"], 400, p=[0.6, 0.1, 0.1, 0.1, 0.1])
        numbers = 1_000 * number + np.arange(400)
        orders = [
            order(n, t, (str(rng.choice(list(SHELF))), int(rng.zipf(1.5)) % 200 + 1), user_id=user, country=country)
            for n, t, user, country in zip(numbers[:80].tolist(), at, who, where, strict=False)
        ]
        orders = [one | {"ingested_at": after(began + BATCH_SECONDS), "batch_id": number} for one in orders]
        views = [
            view(n, t, user_id=user, country=country)
            for n, t, user, country in zip(numbers[80:].tolist(), at[80:], who[80:], where[80:], strict=True)
            if country != "US" or not 20 <= number < 26
        ]
        made.append(
            batch(number, orders, views, seconds=began + BATCH_SECONDS, watermark=began + BATCH_SECONDS - DELAY)
        )
    return made


@pytest.fixture(scope="module")
def said(batches):
    """The findings of each batch, without a restart."""
    anomalies = AnomaliesView()
    return [anomalies.apply(one).findings for one in batches]


def lake_after(folder, batches, said, count):
    """The lake as the first `count` batches left it."""
    settings = Settings(_env_file=None, lake_uri=folder.as_uri())
    parts = [
        (PRODUCTS, [rows(PRODUCTS, products())]),
        (TRANSACTIONS, [one.of(TRANSACTIONS) for one in batches[:count]]),
        (PRODUCT_VIEWS, [one.of(PRODUCT_VIEWS) for one in batches[:count]]),
        (ANOMALIES, [anomaly_rows(findings, number) for number, findings in enumerate(said[:count])]),
    ]
    for table, written in parts:
        write_deltalake(delta_uri(settings, table), written[0].slice(0, 0))
        write_deltalake(delta_uri(settings, table), pa.concat_tables(written), mode="append")
    return Lake(settings, {table.path: 1 for table, _ in parts}, batches[count - 1].watermark)


def test_much_is_found(said):
    kinds = {one.kind for findings in said for one in findings}
    assert kinds == {
        "amount_outlier", "card_testing", "impossible_travel", "purchase_burst", "quantity_burst", "regional_drop", "view_bot",
    }  # fmt: skip


@pytest.mark.parametrize("count", [2, 15, 22, 38])
def test_a_view_loaded_from_the_lake_says_what_the_one_before_would_have_said(tmp_path, batches, said, count):
    anomalies = AnomaliesView()
    anomalies.load(lake_after(tmp_path, batches, said, count))
    again = [anomalies.apply(one).findings for one in batches[count:]]
    assert again == said[count:]


def test_a_retried_batch_says_the_same(tmp_path, batches, said):
    lake = lake_after(tmp_path, batches, said, 22)
    anomalies = AnomaliesView()
    for _ in range(2):
        anomalies.load(lake)
        assert anomalies.apply(batches[22]).findings == said[22]


def test_an_empty_lake_is_a_start(tmp_path):
    settings = Settings(_env_file=None, lake_uri=tmp_path.as_uri())
    anomalies = AnomaliesView()
    anomalies.load(Lake(settings, {}))
    assert anomalies.apply(batch(1, [order(1, 0.0, ("pen", 60))])).findings[0].kind == "quantity_burst"
    assert anomalies.apply(batch(2)).findings == []
