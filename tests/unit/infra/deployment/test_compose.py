"""The compose files: valid, closed by default, within the machine, and in step with the code that they start."""

import json
import re
import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from compose_files import (
    BASE,
    CLUSTER,
    FOLDER,
    is_once,
    is_writable,
    memory,
    read,
    secret_files,
    services,
    source,
    target,
)

from infra.containers import app
from infra.credentials import ensure_credentials
from infra.dashboards import server as grafana
from infra.servers import kafka, minio, postgres
from infra.services import BY_NAME
from lakehouse.settings import CHECKOUT, PREFIX, Settings

ONE = services(BASE)
SMALL_CLUSTER = services(BASE, CLUSTER)
ALL = [pytest.param(name, service, id=f"one-{name}") for name, service in ONE.items()]
ALL += [pytest.param(name, SMALL_CLUSTER[name], id=f"cluster-{name}") for name in SMALL_CLUSTER]
VERSION = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())["project"]["version"]
STATE = "/var/lib/globalmart"
SERVERS = {"kafka", "minio", "postgres", "prometheus", "alertmanager"}
GIB = 2**30


@pytest.mark.parametrize("path", [BASE, CLUSTER], ids=lambda path: path.name)
def test_it_follows_the_compose_specification(path: Path) -> None:
    schema = json.loads(files("check_jsonschema.builtin_schemas.vendor").joinpath("compose-spec.json").read_text())
    jsonschema.validate(read(path), schema)


@pytest.mark.parametrize(("name", "service"), ALL)
def test_a_container_may_do_little(name: str, service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not {"privileged", "cap_add", "pid", "ipc", "network_mode"} & set(service)
    user, _ = service["user"].split(":")
    assert int(user) > 0
    limits = service["deploy"]["resources"]["limits"]
    assert set(limits) == {"cpus", "memory", "pids"}


@pytest.mark.parametrize(("name", "service"), ALL)
def test_a_container_says_how_it_is_unless_it_ends_by_itself(name: str, service: dict[str, Any]) -> None:
    assert service["healthcheck"].get("disable", False) is is_once(service)
    if not is_once(service):
        assert service["restart"] == "unless-stopped"
        assert {"test", "interval", "timeout", "retries", "start_period"} == set(service["healthcheck"])


@pytest.mark.parametrize(("name", "service"), ALL)
def test_an_image_is_pinned(name: str, service: dict[str, Any]) -> None:
    ours = {f"globalmart:{VERSION}", f"globalmart-minio:{VERSION}"}
    pinned = re.fullmatch(r"[a-z/]+:v?\d+\.\d+[\w.-]*@sha256:[0-9a-f]{64}", service["image"])
    assert service["image"] in ours or pinned


@pytest.mark.parametrize(("name", "service"), ALL)
def test_no_secret_is_in_the_environment(name: str, service: dict[str, Any]) -> None:
    words = [
        key for key in service.get("environment") or {} if re.search(r"PASSWORD|SECRET|TOKEN|_KEY|CREDENTIAL", key)
    ]
    assert [word for word in words if not word.endswith("_FILE")] == []
    assert not re.search(r"://[^/ ]*:[^/ ]*@", str(service.get("environment")))  # an address with a password
    assert not {"env_file", "secrets"} & set(service)


@pytest.mark.parametrize(("name", "service"), ALL)
def test_ports_are_published_on_this_machine_alone(name: str, service: dict[str, Any]) -> None:
    ports = service.get("ports", [])
    assert all(re.fullmatch(r"127\.0\.0\.1:(\d+):\1", port) for port in ports)
    assert bool(ports) <= ("front" in service["networks"])
    assert "back" in service["networks"]


def test_only_what_needs_it_has_a_way_out() -> None:
    assert read(BASE)["networks"]["back"] == {"internal": True}
    assert {name for name, service in SMALL_CLUSTER.items() if "front" in service["networks"]} == {
        "api",
        "dagster-webserver",
        "grafana",
        "prometheus",
        "alertmanager",
        "desk",
    }


@pytest.mark.parametrize(("found", "gib"), [(ONE, 15.5), (SMALL_CLUSTER, 30)], ids=["one", "cluster"])
def test_it_fits_the_machine(found: dict[str, dict[str, Any]], gib: float) -> None:
    assert sum(memory(service) for service in found.values() if not is_once(service)) <= gib * GIB


@pytest.mark.parametrize(
    ("name", "heap"),
    [
        ("streaming", "streaming_memory_gb"),
        ("realtime", "realtime_memory_gb"),
        ("dagster-daemon", "batch_memory_gb"),
    ],
)
def test_a_jvm_fits_its_container_with_python_beside_it(name: str, heap: str) -> None:
    settings = _settings(ONE[name])
    assert (getattr(settings, heap) + 0.75) * GIB <= memory(ONE[name])


def _settings(service: dict[str, Any]) -> Settings:
    named = {key: value for key, value in service["environment"].items() if key.startswith(PREFIX)}
    return Settings(_env_file=None, **{key.removeprefix(PREFIX).lower(): value for key, value in named.items()})


@pytest.mark.parametrize(("name", "service"), ALL)
def test_every_setting_named_is_one_with_a_value_that_it_takes(name: str, service: dict[str, Any]) -> None:
    named = [key for key in service.get("environment") or {} if key.startswith(PREFIX)]
    assert [key for key in named if key.removeprefix(PREFIX).lower() not in Settings.model_fields] == []
    if named:
        _settings(service)


def _own(found: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: one for name, one in found.items() if one.get("command", [])[:2] == ["container", "run"]}


def test_every_service_of_the_stack_has_its_container() -> None:
    assert set(_own(ONE)) | SERVERS == {name for name, one in BY_NAME.items() if "local" in one.profiles} | SERVERS
    for name, service in _own(SMALL_CLUSTER).items():
        assert service["command"] == ["container", "run", name]
        assert service["healthcheck"]["test"] == ["CMD", "globalmart", "container", "health", name]


def test_the_commands_exist() -> None:
    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    used = {one["command"][1] for one in SMALL_CLUSTER.values() if one.get("command", [""])[0] == "container"}
    assert used == {"run", "secrets", "init"} <= commands


@pytest.mark.parametrize(("name", "service"), [pytest.param(n, s, id=n) for n, s in _own(SMALL_CLUSTER).items()])
def test_a_process_is_told_where_every_server_is(name: str, service: dict[str, Any]) -> None:
    settings = _settings(service)
    brokers = {host.split(":")[0] for host in settings.kafka_bootstrap_servers.split(",")}
    assert brokers == {other for other in SMALL_CLUSTER if other.startswith("kafka")}
    assert all(address.endswith(f":{settings.kafka_port}") for address in settings.kafka_bootstrap_servers.split(","))
    assert settings.s3_endpoint == f"http://minio:{settings.s3_port}"
    assert (settings.postgres_host, settings.postgres_port) == ("postgres", 5432)


def test_published_ports_are_those_of_the_settings() -> None:
    settings = Settings(_env_file=None)
    published = {name: int(one["ports"][0].split(":")[1]) for name, one in ONE.items() if "ports" in one}
    assert published["api"] == settings.api_port
    assert published["dagster-webserver"] == settings.dagster_port
    assert published["grafana"] == int(grafana.SETTINGS["server"]["http_port"])
    assert published["prometheus"] == settings.prometheus_port
    assert published["alertmanager"] == settings.alertmanager_port
    assert settings.api_url == ONE["api"]["environment"]["GLOBALMART_API_URL"]


def test_a_service_is_given_its_own_secrets_and_no_others(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, state_dir=tmp_path, api_key="key")
    ensure_credentials(settings)
    for name, service in _own(SMALL_CLUSTER).items():
        account = BY_NAME[name].prepare(settings).env.get("GLOBALMART_SERVICE", "reader")
        extra = ["alertmanager-token"] if name == "monitor" else []
        assert secret_files(service) == [f"{account}.env", *extra], name
    others = {name: secret_files(one) for name, one in SMALL_CLUSTER.items() if name not in _own(SMALL_CLUSTER)}
    assert {name: found for name, found in others.items() if found} == {
        "secrets": ["*"],
        "init": ["*"],
        "minio": ["minio-root.env"],
        "postgres": ["postgres-superuser"],
        "grafana": ["grafana-server.env"],
        "alertmanager": ["alertmanager-token"],
        "globalmart": ["reader.env", "operator.env"],
    }
    made = {path.name for path in settings.secrets_dir.iterdir()} | {"reader.env"}
    assert {file for one in SMALL_CLUSTER.values() for file in secret_files(one)} - {"*"} <= made


def test_only_who_makes_secrets_may_change_them() -> None:
    writers = [
        name
        for name, one in SMALL_CLUSTER.items()
        if any(source(mount) == "secrets" and is_writable(mount) for mount in one.get("volumes", []))
    ]
    assert writers == ["secrets"]


WRITES = {
    "streaming": {"run_dir", "checkpoints"},
    "realtime": {"run_dir", "realtime"},
    "refresher": {"run_dir", "serving_dir"},
    "desk": {"run_dir", "logs"},
    "api": {"run_dir", "audit_dir"},
    "monitor": {"run_dir"},
    "dagster-webserver": {"run_dir", "dagster", "quality_dir"},
    "dagster-daemon": {"run_dir", "dagster", "quality_dir"},
    # The outcome of a proof and the generator's heartbeat are for the monitor
    "globalmart": {"run_dir", "audit_dir", "truth_dir", "generator", "rebuild"},
}
READS = {"api": {"serving_dir", "quality_dir"}, "monitor": {"serving_dir"}}


@pytest.mark.parametrize("name", WRITES)
def test_what_a_process_keeps_lies_on_a_volume(name: str) -> None:
    """Below the state folder nothing else can be written: the root file system is read-only."""
    settings = Settings(_env_file=None, state_dir=Path(STATE))

    def folders(names: set[str]) -> set[str]:
        return {str(getattr(settings, one)) if one.endswith("_dir") else f"{STATE}/{one}" for one in names}

    mounts = {target(one): is_writable(one) for one in ONE[name]["volumes"] if target(one).startswith(STATE)}
    kept = {place for place, writable in mounts.items() if writable and not place.endswith("/scratch")}
    assert kept == folders(WRITES[name])
    assert {place for place, writable in mounts.items() if not writable and "/secrets/" not in place} == folders(
        READS.get(name, set())
    )


def test_every_volume_is_declared_and_used() -> None:
    volumes = {**read(BASE)["volumes"], **read(CLUSTER)["volumes"]}
    mounted = {source(one) for service in SMALL_CLUSTER.values() for one in service.get("volumes", [])}
    assert set(volumes) == {one for one in mounted if not one.startswith(".")}


def test_kafka_is_set_up_as_in_the_local_stack() -> None:
    ours = dict(line.split("=", 1) for line in kafka._properties(Settings(_env_file=None)).splitlines())
    theirs = {
        name.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
        for name, value in ONE["kafka"]["environment"].items()
        if name.startswith("KAFKA_") and name != "KAFKA_HEAP_OPTS"
    }
    places = {"controller.quorum.voters", "listeners", "advertised.listeners", "log.dirs"}
    assert {name: value for name, value in theirs.items() if name not in places} == {
        name: value for name, value in ours.items() if name not in places
    }
    assert set(theirs) == set(ours)


def test_a_broker_of_three_may_be_lost() -> None:
    brokers = {name: one["environment"] for name, one in SMALL_CLUSTER.items() if name.startswith("kafka")}
    assert {env["KAFKA_NODE_ID"]: name for name, env in brokers.items()} == {1: "kafka", 2: "kafka-2", 3: "kafka-3"}
    for name, env in brokers.items():
        assert env["KAFKA_CONTROLLER_QUORUM_VOTERS"] == "1@kafka:9093,2@kafka-2:9093,3@kafka-3:9093"
        assert env["KAFKA_ADVERTISED_LISTENERS"] == f"PLAINTEXT://{name}:9092"
        assert (env["KAFKA_DEFAULT_REPLICATION_FACTOR"], env["KAFKA_MIN_INSYNC_REPLICAS"]) == (3, 2)
        factors = {key: value for key, value in env.items() if key.endswith(("REPLICATION_FACTOR", "MIN_ISR"))}
        assert all(value == (2 if key.endswith("MIN_ISR") else 3) for key, value in factors.items())


def test_the_cluster_is_that_of_the_profile_cluster() -> None:
    settings = Settings(_env_file=None, profile="cluster")
    assert {name for name, one in BY_NAME.items() if "local" not in one.profiles} <= set(SMALL_CLUSTER)
    for name in kafka.brokers(settings):
        ours = dict(line.split("=", 1) for line in kafka._properties(settings, name).splitlines())
        theirs = {
            key.removeprefix("KAFKA_").lower().replace("_", "."): str(value)
            for key, value in SMALL_CLUSTER[name]["environment"].items()
            if key.startswith("KAFKA_") and key != "KAFKA_HEAP_OPTS"
        }
        places = {"controller.quorum.voters", "listeners", "advertised.listeners", "log.dirs"}
        of_one_machine = {"controlled.shutdown.enable"}  # supervisor stops one broker after the other
        assert set(ours) - set(theirs) == of_one_machine
        assert {key: value for key, value in theirs.items() if key not in places} == {
            key: value for key, value in ours.items() if key not in places | of_one_machine
        }
    defaults = (FOLDER / "spark-cluster" / "spark-defaults.conf").read_text()
    assert f"spark.cores.max {settings.spark_cores_max}\n" in defaults
    assert f"spark.executor.memory {settings.spark_executor_memory_gb:.0f}g\n" in defaults
    for worker in ("spark-worker-1", "spark-worker-2"):
        command = SMALL_CLUSTER[worker]["command"]
        assert command[command.index("--cores") + 1] == str(settings.spark_worker_cores)
        assert command[command.index("--memory") + 1] == f"{settings.spark_worker_memory_gb:.0f}g"


def test_minio_is_set_up_as_in_the_local_stack(tmp_path: Path) -> None:
    ours = minio.prepare(Settings(_env_file=None, state_dir=tmp_path)).env
    theirs = ONE["minio"]["environment"]
    assert set(ours) <= set(theirs)
    same = set(ours) - {"MINIO_CONFIG_ENV_FILE", "GOMEMLIMIT"}
    assert {name: theirs[name] for name in same} == {name: ours[name] for name in same}


def _tag(name: str) -> str:
    return str(ONE[name]["image"].split("@")[0].rsplit(":", 1)[1])


def test_servers_are_of_the_versions_that_the_tests_run() -> None:
    assert f'name="kafka_2.13" rev="{_tag("kafka")}"' in (CHECKOUT / "infra" / "jars" / "ivy.xml").read_text()
    assert postgres.binaries().parts[-2] == f"pginstall{_tag('postgres').split('.')[0]}"


@pytest.mark.parametrize(("name", "bound"), [("streaming", "2"), ("dagster-daemon", "2")])
def test_two_drivers_share_the_workers(name: str, bound: str) -> None:
    env = SMALL_CLUSTER[name]["environment"]
    assert env["GLOBALMART_SPARK_MASTER"] == "spark://spark-master:7077"
    conf = FOLDER / Path(env["SPARK_CONF_DIR"]).relative_to("/app/infra/docker") / "spark-defaults.conf"
    lines = dict(line.split() for line in conf.read_text().splitlines() if line and not line.startswith("#"))
    assert lines["spark.cores.max"] == bound
    workers = [one for one in SMALL_CLUSTER if one.startswith("spark-worker")]
    assert len(workers) == 2
    for worker in workers:
        command = SMALL_CLUSTER[worker]["command"]
        assert command[command.index("--cores") + 1] == "2"
        assert memory(SMALL_CLUSTER[worker]) >= 4 * GIB
