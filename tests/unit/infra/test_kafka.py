"""An empty partition's first offset is the name of its first segment."""

from pathlib import Path

import pytest

from infra.servers.kafka import KafkaStartError, begin_at
from lakehouse.settings import Settings


@pytest.fixture
def partition(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "kafka" / "log" / "transactions-0"
    folder.mkdir(parents=True)
    for kind in ("log", "index", "timeindex"):
        (folder / f"{0:020d}.{kind}").touch()
    return folder


def test_an_empty_partition_begins_where_it_is_told(tmp_path: Path, partition: Path) -> None:
    begin_at(Settings(_env_file=None, state_dir=tmp_path), {"transactions/0": 1234})
    assert [file.name for file in partition.iterdir()] == ["00000000000000001234.log"]


def test_a_partition_with_records_or_none_at_all_is_refused_and_nothing_is_changed(
    tmp_path: Path, partition: Path
) -> None:
    settings = Settings(_env_file=None, state_dir=tmp_path)
    with pytest.raises(KafkaStartError, match="users/3 of Kafka cannot begin at offset 7, for it is not there"):
        begin_at(settings, {"transactions/0": 1234, "users/3": 7})
    (partition / f"{0:020d}.log").write_bytes(b"record")
    with pytest.raises(KafkaStartError, match="holds records"):
        begin_at(settings, {"transactions/0": 1234})
    assert len(list(partition.iterdir())) == 3
