"""The truth ledger: rows come back as they were, a part is whole or absent, and a run's folder is never written twice."""

from __future__ import annotations

from pathlib import Path

import pytest

from ingestion.labels import Label
from ingestion.truth import SCHEMA, TruthLedger, read_records, read_run


def test_rows_come_back_as_they_were(tmp_path: Path) -> None:
    ledger = TruthLedger(tmp_path / "run")
    label = Label("violation:missing.country", "quarantine", ("missing.country",), "e1", None, 5)
    ledger.add("transactions", 2, 17, b"U0000001", b"{}", label)
    ledger.flush()
    ledger.add("users", 0, None, b"U0000002", None, Label(None))
    ledger.flush()
    ledger.flush()
    assert read_records(ledger.folder).to_pylist() == [
        {
            "topic": "transactions",
            "partition": 2,
            "offset": 17,
            "key": "U0000001",
            "value": b"{}",
            "event_id": "e1",
            "fault": "violation:missing.country",
            "expected": "quarantine",
            "reason_codes": ["missing.country"],
            "of_event_id": None,
        },
        {
            "topic": "users",
            "partition": 0,
            "offset": None,
            "key": "U0000002",
            "value": None,
            "event_id": None,
            "fault": None,
            "expected": "silver",
            "reason_codes": [],
            "of_event_id": None,
        },
    ]
    assert sorted(path.name for path in ledger.folder.iterdir()) == ["records-00000.parquet", "records-00001.parquet"]


def test_large_values_are_written_before_they_fill_the_memory(tmp_path: Path) -> None:
    ledger = TruthLedger(tmp_path / "run")
    for offset in range(65):
        ledger.add("users", 0, offset, b"U0000001", bytes(1024 * 1024), Label("malformed:too_large"))
    assert read_records(ledger.folder).num_rows == 64


def test_an_empty_ledger_has_the_schema(tmp_path: Path) -> None:
    ledger = TruthLedger(tmp_path / "run")
    ledger.describe({"run_id": "run", "complete": False})
    assert read_records(ledger.folder) == SCHEMA.empty_table()
    assert read_run(ledger.folder) == {"run_id": "run", "complete": False}


def test_the_folder_of_another_run_is_not_written(tmp_path: Path) -> None:
    TruthLedger(tmp_path / "run")
    with pytest.raises(FileExistsError):
        TruthLedger(tmp_path / "run")
