"""The scorecard counts what it says, and its rows of silver are those of the records."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import orjson
import pytest

from ingestion import silver_rows
from ingestion.scorecard import Score
from ingestion.scorecard_table import append, rows
from lakehouse.settings import Settings
from lakehouse.storage import open_table
from lakehouse.tables import DETECTOR_SCORECARD

AT = datetime(2026, 5, 29, 12, tzinfo=UTC)


def test_precision_recall_and_f1() -> None:
    one = Score("view_bot", anomaly_count=10, found_count=6, false_count=2, crossed_count=3, seconds=1.5)
    assert (one.precision, one.recall) == (0.75, 0.6)
    assert one.f1 == pytest.approx(2 * 0.75 * 0.6 / 1.35)


def test_who_says_nothing_is_never_wrong_and_finds_nothing() -> None:
    silent = Score("view_bot", 4, 0, 0, 0, None)
    assert (silent.precision, silent.recall, silent.f1) == (1.0, 0.0, 0.0)


def test_rows_of_silver_are_what_the_records_say() -> None:
    value = orjson.dumps(
        {
            "event_id": "e1",
            "timestamp": "2026-05-29T12:00:00.123Z",
            "user_id": "U0000001",
            "session_id": "s",
            "country": "BR",
            "products": [
                {"product_id": "P1", "quantity": 3, "price": 0.29},
                {"product_id": "P2", "quantity": 1, "price": 1234567.89},
            ],
            "total_amount": 1234568.76,
            "payment_method": "paypal",
        }
    )
    [row] = silver_rows.orders([value]).to_pylist()
    assert {name: row[name] for name in ("timestamp", "total_amount", "products", "offset", "country")} == {
        "timestamp": datetime(2026, 5, 29, 12, 0, 0, 123_000, tzinfo=UTC),
        "total_amount": Decimal("1234568.76"),
        "products": [
            {"product_id": "P1", "quantity": 3, "price": Decimal("0.29")},
            {"product_id": "P2", "quantity": 1, "price": Decimal("1234567.89")},
        ],
        "offset": 0,
        "country": "BR",
    }
    assert silver_rows.views([]).num_rows == 0


def test_scores_are_appended_to_their_table(tmp_path) -> None:  # type: ignore[no-untyped-def]
    settings = Settings(_env_file=None, lake_uri=tmp_path.as_uri())
    added = rows([Score("overall", 4, 3, 1, 0, None)], (101, 102), AT)
    assert [append(settings, added), append(settings, added)] == [1, 2]
    assert open_table(settings, DETECTOR_SCORECARD).to_pyarrow_table().to_pylist() == 2 * [
        {
            "scored_at": AT,
            "seeds": [101, 102],
            "detector": "overall",
            "anomaly_count": 4,
            "found_count": 3,
            "false_count": 1,
            "crossed_count": 0,
            "precision": 0.75,
            "recall": 0.75,
            "f1": 0.75,
            "seconds_to_detect": None,
        }
    ]
