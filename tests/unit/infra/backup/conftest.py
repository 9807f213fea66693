"""A lake on files with three batches, and the backup of it. Kafka and PostgreSQL have their part in tests/integration."""

from __future__ import annotations

from pathlib import Path

import file_lake
import pytest

from infra.backup import make as making
from infra.backup.make import Made
from infra.backup.places import Folder
from lakehouse import release
from lakehouse.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    lake = Settings(_env_file=None, state_dir=tmp_path / "state", lake_uri=(tmp_path / "lake").as_uri())
    monkeypatch.setattr(making, "load_settings", lambda _: lake)
    monkeypatch.setattr(making, "kafka_state", lambda _: ("cluster", {"transactions/0": 40, "detections/0": 7}))
    for batch_id in range(3):
        file_lake.take_batch(lake, batch_id)
    release.record(lake)
    return lake


@pytest.fixture
def target(tmp_path: Path) -> Folder:
    return Folder(tmp_path / "target")


@pytest.fixture
def made(settings: Settings, target: Folder) -> Made:
    return making.make(settings, target, file_lake.NOON, say=lambda _: None)
