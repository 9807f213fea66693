"""Kafka: brokers that are controllers too (KRaft), from the jars that set-up fetched: one, or three in the profile `cluster`."""

from __future__ import annotations

import base64
import re
import subprocess
import uuid
from pathlib import Path

from infra.envfile import write_private
from infra.ivy import jars_folder
from infra.java import find_java
from infra.servers.base import Health, Launch
from lakehouse.errors import GlobalMartError
from lakehouse.settings import Settings

# A record of 1 MiB is bad input that must reach quarantine, so the broker has to let it pass with room to spare.
_MAX_BYTES = 4 * 2**20


class KafkaStartError(GlobalMartError):
    """Kafka's data folder cannot be prepared."""


def brokers(settings: Settings) -> dict[str, tuple[int, int, int]]:
    """Of each broker of the profile, by the name of its service: node number, port, port of its controller."""
    found = {"kafka": (1, settings.kafka_port, settings.kafka_controller_port)}
    if settings.profile == "cluster":
        found["kafka-2"] = (2, settings.kafka_2_port, settings.kafka_2_controller_port)
        found["kafka-3"] = (3, settings.kafka_3_port, settings.kafka_3_controller_port)
    return found


def _folder(settings: Settings, name: str = "kafka") -> Path:
    return settings.state_dir / "data" / name


def _properties(settings: Settings, name: str = "kafka") -> str:
    all_of_them = brokers(settings)
    node, broker, controller = all_of_them[name]
    copies, in_step = (3, 2) if len(all_of_them) == 3 else (1, 1)
    values: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": node,
        "controller.quorum.voters": ",".join(f"{one}@127.0.0.1:{port}" for one, _, port in all_of_them.values()),
        "listeners": f"PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{broker}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": _folder(settings, name) / "log",
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": copies,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": in_step,
        "share.coordinator.state.topic.replication.factor": copies,
        "share.coordinator.state.topic.min.isr": in_step,
        "message.max.bytes": _MAX_BYTES,
        "replica.fetch.max.bytes": _MAX_BYTES,
        "group.initial.rebalance.delay.ms": 0,
    }
    if copies > 1:
        values |= {
            "default.replication.factor": copies,
            "min.insync.replicas": in_step,
            # Stopped one after the other, the last would wait minutes for a controller that is gone
            "controlled.shutdown.enable": "false",
        }
    return "".join(f"{key}={value}\n" for key, value in values.items())


_LOGGING = """status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601}{UTC}Z %p %c{1}: %m%n
rootLogger.level = warn
rootLogger.appenderRef.console.ref = console
logger.server.name = kafka.server.KafkaRaftServer
logger.server.level = info
"""


def _java(main: str, *args: str, logging: Path, heap: tuple[str, ...] = ()) -> list[str]:
    classpath = jars_folder() / "kafka" / "*"
    return [
        str(find_java()), *heap, "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true", "-Duser.timezone=UTC",
        f"-Dlog4j2.configurationFile={logging}", "-cp", str(classpath), main, *args,
    ]  # fmt: skip


def check_data(settings: Settings) -> None:
    """Raise KafkaStartError where Kafka's data were made for another number of brokers than the profile has.

    The voters of a quorum cannot be changed in its configuration, and the partitions of one broker have no copies.
    """
    wanted = len(brokers(settings))
    for name in ("kafka", "kafka-2", "kafka-3"):
        folder = _folder(settings, name)
        made_for = _made_for(folder) if (folder / "log" / "meta.properties").exists() else wanted
        if made_for != wanted:
            raise KafkaStartError(
                f"Kafka's data in {folder} are those of {made_for} broker{'s' if made_for > 1 else ''} and the profile {settings.profile} "
                f"has {wanted}: one does not turn into the other. Name another folder in GLOBALMART_STATE_DIR and another file in "
                "GLOBALMART_ENV_FILE; `globalmart backup` and `globalmart restore` bring the data there."
            )


def _made_for(folder: Path) -> int:
    """How many brokers the folder's last configuration was for."""
    properties = folder / "server.properties"
    text = properties.read_text("utf-8") if properties.exists() else ""
    voters = re.search(r"^controller\.quorum\.voters=(.*)$", text, re.M)
    return len(voters[1].split(",")) if voters else 1


def prepare(settings: Settings, name: str = "kafka") -> Launch:
    """Write the configuration of the broker `name`, format its folder once, and return its command. Raises KafkaStartError."""
    check_data(settings)
    folder = _folder(settings, name)
    properties, logging = folder / "server.properties", folder / "log4j2.properties"
    write_private(properties, _properties(settings, name), replace=True)
    write_private(logging, _LOGGING, replace=True)
    if not (folder / "log" / "meta.properties").exists():
        options = ("--ignore-formatted", "-t", _cluster_id(settings), "-c", str(properties))
        command = _java("kafka.tools.StorageTool", "format", *options, logging=logging)
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            raise KafkaStartError(
                f"Kafka's data folder cannot be formatted: {(result.stderr or result.stdout).strip()}"
            )
    heap = ("-Xms256m", f"-Xmx{int(settings.kafka_memory_gb * 1024)}m")
    return Launch(_java("kafka.Kafka", str(properties), logging=logging, heap=heap))


def _cluster_id(settings: Settings) -> str:
    """The one of the brokers that have it, else one that the first to ask makes for all."""
    for name in brokers(settings):
        meta = _folder(settings, name) / "log" / "meta.properties"
        found = re.search(r"^cluster\.id=(.+)$", meta.read_text("utf-8"), re.M) if meta.exists() else None
        if found:
            return found[1]
    note = settings.state_dir / "data" / "kafka-cluster-id"
    write_private(note, base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("="))
    return note.read_text("utf-8")


def health(settings: Settings, pid: int | None, name: str = "kafka") -> Health:  # noqa: ARG001 one signature for all servers
    """Whether this one broker answers; whatever the others do."""
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    port = brokers(settings)[name][1]
    try:
        admin = KafkaAdminClient(
            bootstrap_servers=f"127.0.0.1:{port}", request_timeout_ms=3000, bootstrap_timeout_ms=2000
        )
    except (KafkaError, OSError, ValueError) as error:
        return Health(False, f"does not answer ({type(error).__name__})")
    try:
        topics = admin.list_topics()
    except (KafkaError, OSError) as error:
        return Health(False, f"does not answer ({type(error).__name__})")
    finally:
        admin.close()
    return Health(True, f"answers, {len(topics)} topics")


def begin_at(settings: Settings, offsets: dict[str, int]) -> None:
    """Let empty partitions, `topic/partition`, begin at these offsets instead of 0. The brokers are stopped, and have made them before.

    A partition's offsets begin where the name of its first segment says. Raises KafkaStartError, before anything is changed, where a
    partition is not there or holds records.
    """
    segments = {}
    for broker in brokers(settings):
        for name, offset in offsets.items():
            folder = _folder(settings, broker) / "log" / "-".join(name.rsplit("/", 1))
            found = sorted(folder.glob("*.log"))
            if len(found) != 1 or found[0].stat().st_size:
                what = "holds records" if found else "is not there: set GLOBALMART_KAFKA_PARTITIONS as it was"
                raise KafkaStartError(f"The partition {name} of Kafka cannot begin at offset {offset}, for it {what}.")
            segments[found[0]] = offset
    for segment, offset in segments.items():
        for kind in ("*.index", "*.timeindex", "*.snapshot"):  # made anew at the start
            for file in segment.parent.glob(kind):
                file.unlink()
        segment.rename(segment.with_name(f"{offset:020d}.log"))
