"""The Kafka source of the streaming query: all input topics as one DataFrame of records."""

from __future__ import annotations

import json

from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F
from pyspark.sql.streaming.readwriter import DataStreamReader

from lakehouse.contracts import CONTRACTS
from lakehouse.contracts.product import PRODUCT
from lakehouse.settings import Settings
from lakehouse.streams.markers import MARKERS

EVENT_TOPICS = (*(topic for topic in CONTRACTS if topic != PRODUCT.topic), MARKERS)
TASKS_PER_CORE = 2
ALL_TOPICS = (*EVENT_TOPICS, PRODUCT.topic)


def read_records(
    spark: SparkSession, settings: Settings, start_offsets: dict[str, int], partitions: dict[str, int]
) -> DataFrame:
    """Stream the records of all topics with the columns of `lakehouse.transforms.parse.RECORD_COLUMNS`.

    Products come through a source of their own without a limit, and after the others: whatever was listed before a sale
    is in the sale's batch or an earlier one, so that its category is known.
    """
    events = _topic_source(spark, settings, EVENT_TOPICS, start_offsets, partitions)
    events = events.option("maxOffsetsPerTrigger", settings.stream_max_offsets)
    products = _topic_source(spark, settings, (PRODUCT.topic,), start_offsets, partitions)
    # a task sets up the whole parse anew, which costs more than a small batch's records: few tasks, not one per partition
    tasks = spark.sparkContext.defaultParallelism * TASKS_PER_CORE
    return _records(events.load()).unionByName(_records(products.load())).coalesce(tasks)


def _topic_source(
    spark: SparkSession,
    settings: Settings,
    topics: tuple[str, ...],
    start_offsets: dict[str, int],
    partitions: dict[str, int],
) -> DataStreamReader:
    starts = {
        topic: {str(p): start_offsets.get(f"{topic}/{p}", 0) for p in range(partitions[topic])} for topic in topics
    }
    return (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", settings.kafka_bootstrap_servers)
        .option("subscribe", ",".join(topics))
        .option("startingOffsets", json.dumps(starts) if start_offsets else "earliest")
        .option("includeHeaders", "true")
        .option("failOnDataLoss", "true")
        .option("kafka.fetch.max.wait.ms", "20")  # what is to be read is there: never wait for more
        .option("kafka.request.timeout.ms", "20000")
        .option("kafka.default.api.timeout.ms", "20000")
    )


def _records(raw: DataFrame) -> DataFrame:
    return raw.select("topic", "partition", "offset", "key", "value", "headers", F.col("timestamp").alias("kafka_at"))
