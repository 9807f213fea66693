"""Notices to the Kafka topic `alerts`, keyed by fingerprint."""

from __future__ import annotations

from typing import Any

import orjson
from kafka import KafkaProducer
from kafka.errors import KafkaError

from api.desk.channels.base import ChannelDownError
from lakehouse.settings import Settings

TOPIC = "alerts"


class TopicChannel:
    """Waits for the broker's acknowledgement; a repeat has the same `notice_id`."""

    def __init__(self, settings: Settings, timeout_seconds: float) -> None:
        self._servers = settings.kafka_bootstrap_servers
        self._timeout_ms = int(timeout_seconds * 1000)
        self._producer: KafkaProducer | None = None

    def send(self, message: dict[str, Any]) -> None:
        key = str(message.get("fingerprint") or message["moment"]).encode()
        try:
            future = self._connected().send(TOPIC, key=key, value=orjson.dumps(message))
            future.get(timeout=self._timeout_ms / 1000 + 1)
        except (KafkaError, OSError) as error:
            self.close()
            raise ChannelDownError(f"Kafka at {self._servers} did not take it ({type(error).__name__})") from None

    def _connected(self) -> KafkaProducer:
        if self._producer is None:
            self._producer = KafkaProducer(
                bootstrap_servers=self._servers.split(","),
                client_id="globalmart-desk",
                acks="all",
                linger_ms=0,
                request_timeout_ms=self._timeout_ms,
                delivery_timeout_ms=self._timeout_ms + 500,
                bootstrap_timeout_ms=self._timeout_ms,
                max_block_ms=self._timeout_ms,
                metrics_enabled=False,
            )
        return self._producer

    def close(self) -> None:
        if self._producer is not None:
            self._producer.close(timeout=0)
            self._producer = None
