"""Kafka: one broker that is its own controller (KRaft), from the jars that set-up fetched."""

from __future__ import annotations

import base64
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


def _folder(settings: Settings) -> Path:
    return settings.state_dir / "data" / "kafka"


def _properties(settings: Settings) -> str:
    broker, controller = settings.kafka_port, settings.kafka_controller_port
    values: dict[str, object] = {
        "process.roles": "broker,controller",
        "node.id": 1,
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": f"PLAINTEXT://127.0.0.1:{broker},CONTROLLER://127.0.0.1:{controller}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{broker}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "PLAINTEXT",
        "controller.listener.names": "CONTROLLER",
        "log.dirs": _folder(settings) / "log",
        "auto.create.topics.enable": "false",
        "offsets.topic.replication.factor": 1,
        "offsets.topic.num.partitions": 4,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "share.coordinator.state.topic.replication.factor": 1,
        "share.coordinator.state.topic.min.isr": 1,
        "message.max.bytes": _MAX_BYTES,
        "replica.fetch.max.bytes": _MAX_BYTES,
        "group.initial.rebalance.delay.ms": 0,
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


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


def prepare(settings: Settings) -> Launch:
    """Write the configuration, format the data folder once, and return the broker's command. Raises KafkaStartError."""
    folder = _folder(settings)
    properties, logging = folder / "server.properties", folder / "log4j2.properties"
    write_private(properties, _properties(settings), replace=True)
    write_private(logging, _LOGGING, replace=True)
    if not (folder / "log" / "meta.properties").exists():
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        command = _java(
            "kafka.tools.StorageTool",
            "format",
            "--ignore-formatted",
            "-t",
            cluster,
            "-c",
            str(properties),
            logging=logging,
        )
        result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode != 0:
            raise KafkaStartError(
                f"Kafka's data folder cannot be formatted: {(result.stderr or result.stdout).strip()}"
            )
    heap = ("-Xms256m", f"-Xmx{int(settings.kafka_memory_gb * 1024)}m")
    return Launch(_java("kafka.Kafka", str(properties), logging=logging, heap=heap))


def health(settings: Settings, pid: int | None) -> Health:  # noqa: ARG001 one signature for all servers
    from kafka import KafkaAdminClient
    from kafka.errors import KafkaError

    try:
        admin = KafkaAdminClient(
            bootstrap_servers=f"127.0.0.1:{settings.kafka_port}", request_timeout_ms=3000, bootstrap_timeout_ms=2000
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
    """Let empty partitions, `topic/partition`, begin at these offsets instead of 0. The broker is stopped, and has made them before.

    A partition's offsets begin where the name of its first segment says. Raises KafkaStartError, before anything is changed, where a
    partition is not there or holds records.
    """
    segments = {}
    for name, offset in offsets.items():
        folder = _folder(settings) / "log" / "-".join(name.rsplit("/", 1))
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
