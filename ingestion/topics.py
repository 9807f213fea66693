"""Topics as code: what each topic is for, its partitions and configuration, and their idempotent application to Kafka."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from kafka import KafkaAdminClient
from kafka import errors as kafka_errors
from kafka.admin import ConfigResource, ConfigResourceType

from lakehouse.errors import KafkaError
from lakehouse.settings import Settings

MAX_MESSAGE_BYTES = 4 * 1024 * 1024

Direction = Literal["in", "out", "control"]


@dataclass(frozen=True)
class Topic:
    """One topic. `partitions` None: as many as the setting for input topics says; `retention_hours` caps the setting's."""

    name: str
    direction: Direction
    purpose: str
    partitions: int | None = None
    retention_hours: int | None = None


TRANSACTIONS = Topic("transactions", "in", "orders, several products each; key is the user")
PRODUCT_VIEWS = Topic("product_views", "in", "product pages looked at; key is the user")
CART_EVENTS = Topic("cart_events", "in", "products put into carts and taken out; key is the user")
INVENTORY_EVENTS = Topic("inventory_events", "in", "stock changes that are not sales; key is the product")
USERS = Topic("users", "in", "user profiles; key is the user")
PRODUCTS = Topic("products", "in", "the catalogue; key is the product")
DETECTIONS = Topic("detections", "out", "raw findings of both lanes")
LIVE_EVENTS = Topic("live_events", "out", "enriched events for the live view", retention_hours=24)
ALERTS = Topic("alerts", "out", "routed alerts")
MARKERS = Topic("markers", "control", "end marks of generator runs; never an input of the books", partitions=1)

INPUT_TOPICS: tuple[Topic, ...] = (TRANSACTIONS, PRODUCT_VIEWS, CART_EVENTS, INVENTORY_EVENTS, USERS, PRODUCTS)
TOPICS: tuple[Topic, ...] = (*INPUT_TOPICS, DETECTIONS, LIVE_EVENTS, ALERTS, MARKERS)
INPUT_NAMES: tuple[str, ...] = tuple(topic.name for topic in INPUT_TOPICS)


def topic_configs(settings: Settings, topic: Topic) -> dict[str, str]:
    """The configuration of a topic. LogAppendTime because event time is in the body and may lie years apart."""
    hours = min(settings.kafka_retention_hours, topic.retention_hours or settings.kafka_retention_hours)
    return {
        "cleanup.policy": "delete",
        "max.message.bytes": str(MAX_MESSAGE_BYTES),
        "message.timestamp.type": "LogAppendTime",
        "retention.bytes": "-1",
        "retention.ms": str(hours * 3_600_000),
    }


@contextmanager
def admin_client(settings: Settings, wait_seconds: float = 5.0) -> Iterator[KafkaAdminClient]:
    """An admin client, closed at the end. Raises KafkaError where no broker answers within `wait_seconds`."""
    quiet = logging.getLogger("kafka")
    level = quiet.level
    quiet.setLevel(logging.CRITICAL)
    try:
        client = KafkaAdminClient(
            bootstrap_servers=settings.kafka_bootstrap_servers.split(","),
            bootstrap_timeout_ms=int(wait_seconds * 1000),
        )
    except (kafka_errors.KafkaError, OSError, ValueError):
        raise KafkaError(
            f"No Kafka broker answers at {settings.kafka_bootstrap_servers}. Start the stack with `globalmart up`, "
            "or set GLOBALMART_KAFKA_BOOTSTRAP_SERVERS."
        ) from None
    finally:
        quiet.setLevel(level)
    try:
        yield client
    finally:
        client.close()


def apply_topics(settings: Settings) -> list[str]:
    """Make Kafka's topics what this module says, and return what was changed, one sentence each (empty: nothing to do).

    Missing topics are created, missing partitions added, configurations corrected. Raises KafkaError where no broker
    answers, where it refuses, or where a topic has more partitions than asked for: partitions cannot be taken away.
    """
    with admin_client(settings) as client:
        try:
            return _apply(client, settings)
        except kafka_errors.KafkaError as error:
            raise KafkaError(f"Kafka refused to set up the topics: {error}. Look at the broker's log.") from error


def _apply(client: KafkaAdminClient, settings: Settings) -> list[str]:
    wanted = {topic.name: topic.partitions or settings.kafka_partitions for topic in TOPICS}
    configs = {topic.name: topic_configs(settings, topic) for topic in TOPICS}
    listed = set(client.list_topics())
    existing = [name for name in wanted if name in listed]
    changes: list[str] = []

    if existing:
        found = {topic["name"]: len(topic["partitions"]) for topic in client.describe_topics(existing)}
        for name in existing:
            if found[name] > wanted[name]:
                raise KafkaError(
                    f"Topic {name} has {found[name]} partitions and {wanted[name]} are asked for; partitions cannot be taken away. "
                    f"Set GLOBALMART_KAFKA_PARTITIONS to {found[name]}, or delete the topic."
                )
        grow = {name: wanted[name] for name in existing if found[name] < wanted[name]}
        if grow:
            client.create_partitions(grow)
            changes += [f"{name}: {found[name]} to {count} partitions" for name, count in grow.items()]
        changes += _correct_configs(client, existing, configs)

    missing = [name for name in wanted if name not in listed]
    if missing:
        client.create_topics(
            {
                name: {"num_partitions": wanted[name], "replication_factor": -1, "configs": configs[name]}
                for name in missing
            },
            wait_for_metadata=True,
        )
        changes += [f"{name}: created with {wanted[name]} partitions" for name in missing]
    return changes


def _correct_configs(client: KafkaAdminClient, names: list[str], wanted: dict[str, dict[str, str]]) -> list[str]:
    asked = [ConfigResource(ConfigResourceType.TOPIC, name, dict.fromkeys(wanted[name])) for name in names]
    described = client.describe_configs(asked, config_filter="all")["topic"]
    changes, resources = [], []
    for name in names:
        wrong = {key: value for key, value in wanted[name].items() if described[name][key]["value"] != value}
        if wrong:
            resources.append(ConfigResource(ConfigResourceType.TOPIC, name, dict(wrong)))
            changes += [f"{name}: {key} set to {value}" for key, value in wrong.items()]
    if resources:
        client.alter_configs(resources)
    return changes
