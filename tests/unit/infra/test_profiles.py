"""The profile `cluster`: which services it has, the settings that follow from it, its brokers and its Spark; no server runs here."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from infra import envfile, stack
from infra.servers import kafka, spark
from infra.servers.kafka import KafkaStartError
from infra.services import SERVICES, UnknownServiceError, choose
from infra.supervision import StackError
from lakehouse.errors import SettingsError
from lakehouse.settings import PREFIX, Settings, load_settings

OF_CLUSTER = ["kafka-2", "kafka-3", "spark-master", "spark-worker-1", "spark-worker-2"]


def cluster(tmp_path: Path, **values: object) -> Settings:
    return Settings(_env_file=None, state_dir=tmp_path / "state", profile="cluster", **values)  # type: ignore[arg-type]


@pytest.fixture
def env_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in Settings.model_fields:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)
    monkeypatch.setenv("GLOBALMART_ENV_FILE", str(tmp_path / ".env"))
    envfile.ensure_env(tmp_path / "state", envfile.random_ports())
    return tmp_path / ".env"


def names(services: list) -> list[str]:
    return [service.name for service in services]


def test_the_cluster_has_three_brokers_and_two_workers_and_leaves_out_what_it_does_not_need() -> None:
    assert names(choose(profile="cluster")) == [
        "kafka", "kafka-2", "kafka-3", "minio", "postgres", "spark-master", "spark-worker-1", "spark-worker-2", "streaming",
        "refresher", "api",
    ]  # fmt: skip


def test_the_local_stack_has_nothing_of_the_cluster() -> None:
    assert names(choose(without=["prometheus", "alertmanager"])) == [
        "kafka", "minio", "postgres", "streaming", "realtime", "refresher", "desk", "api", "monitor", "dagster-webserver",
        "dagster-daemon",
    ]  # fmt: skip
    assert [service.name for service in SERVICES if "local" not in service.profiles] == OF_CLUSTER


def test_one_broker_brings_the_others_but_those_left_out() -> None:
    assert names(choose(only=["kafka"], profile="cluster")) == ["kafka", "kafka-2", "kafka-3"]
    assert names(choose(only=["kafka"], without=["kafka-3"], profile="cluster")) == ["kafka", "kafka-2"]
    assert names(choose(only=["kafka"])) == ["kafka"]


@pytest.mark.parametrize("name", OF_CLUSTER)
def test_what_only_the_cluster_has_is_refused_elsewhere(name: str) -> None:
    with pytest.raises(
        UnknownServiceError, match=f"The profile local has no {name}: `globalmart up --profile cluster`"
    ):
        choose(only=[name])


def test_what_the_cluster_leaves_out_may_be_asked_for_by_name() -> None:
    assert names(choose(only=["dagster-daemon", "desk"], profile="cluster")) == ["desk", "dagster-daemon"]


def test_addresses_follow_from_the_profile(tmp_path: Path) -> None:
    settings = cluster(tmp_path, spark_master_port=7, kafka_port=1, kafka_2_port=2, kafka_3_port=3)
    assert settings.spark_master == "spark://127.0.0.1:7"
    assert settings.kafka_bootstrap_servers == "127.0.0.1:1,127.0.0.1:2,127.0.0.1:3"


def test_addresses_that_are_named_stay(tmp_path: Path) -> None:
    settings = cluster(tmp_path, spark_master="local[2]", kafka_bootstrap_servers="a:1,b:1")
    assert (settings.spark_master, settings.kafka_bootstrap_servers) == ("local[2]", "a:1,b:1")


def test_the_first_broker_as_set_up_writes_it_becomes_all_three(env_path: Path) -> None:
    before = load_settings()
    assert before.kafka_bootstrap_servers == f"127.0.0.1:{before.kafka_port}"
    envfile.put("profile", "cluster")
    after = load_settings()
    ports = (after.kafka_port, after.kafka_2_port, after.kafka_3_port)
    assert after.kafka_bootstrap_servers == ",".join(f"127.0.0.1:{port}" for port in ports)
    assert after.spark_master == f"spark://127.0.0.1:{after.spark_master_port}"


def test_the_profile_is_the_one_line_of_env_that_changes(env_path: Path) -> None:
    before = env_path.read_text()
    envfile.put("profile", "cluster")
    assert env_path.read_text() == f"{before}GLOBALMART_PROFILE=cluster\n"
    envfile.put("profile", "local")
    assert env_path.read_text() == f"{before}GLOBALMART_PROFILE=local\n"
    assert stat.S_IMODE(env_path.stat().st_mode) == 0o600


def test_a_wrong_profile_is_a_sentence_with_the_right_ones(env_path: Path) -> None:
    with pytest.raises(StackError, match=r"There is no profile 'clutser': the profiles are local, cluster\."):
        stack.up(profile="clutser", say=lambda _: None)
    envfile.put("profile", "clutser")
    with pytest.raises(SettingsError, match="GLOBALMART_PROFILE is not usable: Input should be 'local' or 'cluster'"):
        load_settings()


def test_a_profile_of_the_environment_is_not_overruled_in_silence(
    env_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLOBALMART_PROFILE", "local")
    with pytest.raises(
        StackError, match="GLOBALMART_PROFILE=local of the environment is stronger than --profile cluster"
    ):
        stack.up(profile="cluster", say=lambda _: None)
    assert "GLOBALMART_PROFILE" not in env_path.read_text()


def formatted(settings: Settings, *brokers: str) -> None:
    """Leave what a broker leaves that has run."""
    for name in brokers:
        folder = settings.state_dir / "data" / name
        (folder / "log").mkdir(parents=True)
        (folder / "log" / "meta.properties").write_text("version=1\ncluster.id=the-one\n")
        (folder / "server.properties").write_text(kafka._properties(settings, name))


def test_data_of_one_broker_are_no_data_of_three(env_path: Path) -> None:
    settings = load_settings()
    formatted(settings, "kafka")
    kafka.check_data(settings)
    with pytest.raises(
        KafkaStartError, match=r"are those of 1 broker and the profile cluster has 3.*GLOBALMART_STATE_DIR"
    ):
        stack.up(profile="cluster", say=lambda _: None)
    assert "GLOBALMART_PROFILE" not in env_path.read_text()


@pytest.mark.parametrize("left", [("kafka", "kafka-2", "kafka-3"), ("kafka-3",)])
def test_data_of_three_brokers_are_no_data_of_one(tmp_path: Path, left: tuple[str, ...]) -> None:
    settings = cluster(tmp_path)
    formatted(settings, *left)
    kafka.check_data(settings)
    with pytest.raises(KafkaStartError, match="are those of 3 brokers and the profile local has 1"):
        kafka.check_data(Settings(_env_file=None, state_dir=settings.state_dir))


def test_a_broker_that_lost_its_disk_joins_the_cluster_of_the_others(tmp_path: Path) -> None:
    settings = cluster(tmp_path)
    made = kafka._cluster_id(settings)
    assert kafka._cluster_id(settings) == made
    formatted(settings, "kafka-3")
    assert kafka._cluster_id(settings) == "the-one"


def properties(settings: Settings, name: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in kafka._properties(settings, name).splitlines())


def test_brokers_of_the_cluster_differ_in_their_places_alone(tmp_path: Path) -> None:
    settings = cluster(tmp_path)
    found = [properties(settings, name) for name in kafka.brokers(settings)]
    assert [one["node.id"] for one in found] == ["1", "2", "3"]
    places = {"node.id", "listeners", "advertised.listeners", "log.dirs"}
    same = [{key: value for key, value in one.items() if key not in places} for one in found]
    assert same[0] == same[1] == same[2]
    assert same[0]["controller.quorum.voters"] == "1@127.0.0.1:9093,2@127.0.0.1:9095,3@127.0.0.1:9097"
    assert (same[0]["default.replication.factor"], same[0]["min.insync.replicas"]) == ("3", "2")
    assert all(len({one[place] for one in found}) == 3 for place in places)


def test_the_secret_of_spark_is_kept_and_is_in_its_file_alone(tmp_path: Path) -> None:
    settings = cluster(tmp_path)
    launches = [spark.prepare_master(settings), *(spark.prepare_worker(settings, name) for name in spark.WORKERS)]
    path = settings.spark_dir / "conf" / "spark-defaults.conf"
    secret = next(line.split()[1] for line in path.read_text().splitlines() if line.startswith("spark.authenticate.s"))
    assert len(secret) >= 40
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert not [one for launch in launches for one in (*launch.command, *launch.env.values()) if secret in one]
    assert secret not in path.with_name("log4j2.properties").read_text()
    other = cluster(tmp_path / "other")
    spark.configure(other)
    assert secret not in (other.spark_dir / "conf" / "spark-defaults.conf").read_text()


def test_spark_listens_on_the_loopback_and_workers_have_ports_of_their_own(tmp_path: Path) -> None:
    settings = cluster(tmp_path, spark_worker_cores=3, spark_worker_memory_gb=2.5)
    master, *workers = [
        spark.prepare_master(settings),
        *(spark.prepare_worker(settings, name) for name in spark.WORKERS),
    ]
    for launch in (master, *workers):
        assert launch.command[launch.command.index("--host") + 1] == "127.0.0.1"
        assert launch.env["SPARK_LOCAL_IP"] == "127.0.0.1"
        assert Path(launch.command[0]).is_file()
    assert [one.command[one.command.index("--webui-port") + 1] for one in (master, *workers)] == [
        "7080",
        "7081",
        "7082",
    ]
    assert all(one.command[-1] == "spark://127.0.0.1:7077" for one in workers)
    assert all({"3", "2560m"} <= set(one.command) for one in workers)
