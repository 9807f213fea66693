"""Topics: what design.md names, and the configuration that the books rely on."""

from __future__ import annotations

from ingestion import topics
from lakehouse.contracts import CONTRACTS
from lakehouse.settings import Settings


def test_there_is_an_input_topic_per_contract() -> None:
    assert set(topics.INPUT_NAMES) == set(CONTRACTS)


def test_all_topics_are_the_inputs_the_outputs_and_the_markers() -> None:
    directions = {topic.name: topic.direction for topic in topics.TOPICS}
    assert directions == dict.fromkeys(topics.INPUT_NAMES, "in") | {
        "detections": "out",
        "live_events": "out",
        "alerts": "out",
        "markers": "control",
    }


def test_configuration_follows_the_settings() -> None:
    settings = Settings(_env_file=None, kafka_retention_hours=2)  # type: ignore[call-arg]
    assert topics.topic_configs(settings, topics.DETECTIONS) == {
        "cleanup.policy": "delete",
        "max.message.bytes": "4194304",
        "message.timestamp.type": "LogAppendTime",
        "retention.bytes": "-1",
        "retention.ms": "7200000",
    }


def test_live_events_are_not_kept_for_longer_than_a_day() -> None:
    hours = {2: "7200000", 8760: "86400000"}
    for setting, kept in hours.items():
        settings = Settings(_env_file=None, kafka_retention_hours=setting)  # type: ignore[call-arg]
        assert topics.topic_configs(settings, topics.LIVE_EVENTS)["retention.ms"] == kept
