"""The real-time lane's start: how old a checkpoint is, and how many slots the query gets."""

import os

from lakehouse.settings import Settings
from lakehouse.streams.realtime import _age_seconds, _with_slots


def test_a_checkpoint_is_as_old_as_its_newest_offsets_or_commit(tmp_path):
    assert _age_seconds(tmp_path / "none") is None
    for name, age in (("sources/0/0", 500), ("commits/0", 300), ("commits/1", 100), ("offsets/2", 1), ("metadata", 0)):
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
        at = file.stat().st_mtime - age
        os.utime(file, (at, at))
    assert 100 <= _age_seconds(tmp_path) < 110


def test_a_local_query_gets_a_slot_per_partition_and_a_cluster_is_left_as_it_is(file_settings):
    assert _with_slots(file_settings, 16).spark_master == "local[16]"
    cluster = file_settings.model_copy(update={"spark_master": "spark://master:7077"})
    assert _with_slots(cluster, 16).spark_master == "spark://master:7077"


def test_beside_a_cluster_of_few_slots_the_query_keeps_a_jvm_of_its_own(tmp_path):
    settings = Settings(_env_file=None, state_dir=tmp_path, profile="cluster")
    assert settings.spark_master.startswith("spark://")
    assert _with_slots(settings, 16).spark_master == "local[16]"
