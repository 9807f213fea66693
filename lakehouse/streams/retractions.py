"""Wires `lakehouse.live.retract` to Kafka and the lake: hears `detections`, looks at the ledger, says what is withdrawn."""

from __future__ import annotations

import logging
import time
from datetime import datetime

import pyarrow as pa
import pyarrow.compute as pc
from deltalake import DeltaTable
from deltalake.exceptions import DeltaError
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError as ClientKafkaError

from lakehouse.errors import KafkaError
from lakehouse.findings import DETECTIONS, Finding
from lakehouse.ledger import last_entry
from lakehouse.live.price_book import PriceBook
from lakehouse.live.retract import Claims, priced_products, retraction
from lakehouse.settings import Settings
from lakehouse.storage import open_table
from lakehouse.tables import ANOMALIES, LEDGER_STREAMING, PRODUCTS

log = logging.getLogger(__name__)

_POLL_MS = 100
_PATIENCE = {"request_timeout_ms": 10_000, "bootstrap_timeout_ms": 10_000}


class Retractions:
    """`step` withdraws what has become due. Hears `detections` from `since_seconds` ago on. Raises KafkaError where no broker answers.

    The order of looking is what makes it sound: the ledger first, then `detections` to its end. The durable path tells its findings before it
    writes the ledger, so what it has found about records below the ledger's offsets has been heard by then. A finding from before
    `since_seconds`, as when a record comes again a day later, is looked up in `gold/anomalies`.
    """

    def __init__(self, settings: Settings, since_seconds: float) -> None:
        self._settings = settings
        self._claims = Claims()
        self._ledger: DeltaTable | None = None
        servers = settings.kafka_bootstrap_servers.split(",")
        try:
            self._consumer = KafkaConsumer(
                bootstrap_servers=servers, group_id=None, enable_auto_commit=False, **_PATIENCE
            )
            self._producer = KafkaProducer(
                bootstrap_servers=servers, acks="all", delivery_timeout_ms=20_000, **_PATIENCE
            )
            places = [TopicPartition(DETECTIONS, p) for p in self._consumer.partitions_for_topic(DETECTIONS) or ()]
            self._consumer.assign(places)
            since = int((time.time() - since_seconds) * 1000)
            ends = self._consumer.end_offsets(places)
            for place, found in self._consumer.offsets_for_times(dict.fromkeys(places, since)).items():
                self._consumer.seek(place, ends[place] if found is None else found.offset)
        except ClientKafkaError as error:
            raise KafkaError(
                f"Kafka at {settings.kafka_bootstrap_servers} does not let detections be read ({type(error).__name__})."
            ) from error

    @property
    def open_count(self) -> int:
        """Findings of the real-time lane that the durable path has not spoken on yet."""
        return len(self._claims.open)

    def step(self) -> int:
        """Withdraw what is due; returns how many findings. A lake that does not answer leaves them open. Raises KafkaError."""
        try:
            self._hear()
            if not self._claims.open:
                return 0
            entry = self._entry()
            if entry is None:
                return 0
            next_offsets, committed_at = entry
            self._hear()
            due = self._claims.due(next_offsets)
            if not due:
                return 0
            found = self._durable_ids(due)
            self._claims.settle(found)
            withdrawn = [claim for claim in due if claim.finding_id not in found]
            self._tell(withdrawn, committed_at)
            return len(withdrawn)
        except ClientKafkaError as error:
            raise KafkaError(f"Kafka stopped answering ({type(error).__name__}).") from error
        except (DeltaError, OSError) as error:
            log.warning("findings stay open, since the lake does not answer: %s", error)
            return 0

    def _hear(self) -> None:
        """Read `detections` to where it ends now."""
        places = list(self._consumer.assignment())
        ends = self._consumer.end_offsets(places)
        while any(self._consumer.position(place) < ends[place] for place in places):
            for messages in self._consumer.poll(timeout_ms=_POLL_MS).values():
                for message in messages:
                    self._claims.hear(message.value)

    def _entry(self) -> tuple[dict[str, int], datetime] | None:
        if self._ledger is None:
            self._ledger = open_table(self._settings, LEDGER_STREAMING)
        self._ledger.update_incremental()
        entry = last_entry(self._ledger)
        return None if entry is None else (entry.next_offsets, entry.committed_at)

    def _durable_ids(self, due: list[Finding]) -> set[str]:
        """Which of the findings the durable path has made, whenever that was."""
        times = [claim.event_at for claim in due]
        wanted = pa.array([claim.finding_id for claim in due])
        near = (pc.field("event_at") >= min(times)) & (pc.field("event_at") <= max(times))
        rows = (
            open_table(self._settings, ANOMALIES)
            .to_pyarrow_dataset()
            .to_table(columns=["anomaly_id"], filter=near & pc.field("anomaly_id").isin(wanted), use_threads=False)
        )
        return set(rows["anomaly_id"].to_pylist())

    def _tell(self, claims: list[Finding], at: datetime) -> None:
        prices = PriceBook()
        products = priced_products(claims)
        if products:
            table = open_table(self._settings, PRODUCTS).to_pyarrow_dataset()
            columns = ["product_id", "timestamp", "offset", "price", "category"]
            of_these = pc.field("product_id").isin(pa.array(sorted(products)))
            prices.add(table.to_table(columns=columns, filter=of_these, use_threads=False))
        said = [retraction(claim, prices, at) for claim in claims]
        sent = [self._producer.send(DETECTIONS, key=one.finding_id.encode(), value=one.to_json()) for one in said]
        for future in sent:
            future.get(timeout=30)
        self._claims.settle(one.finding_id for one in said)
