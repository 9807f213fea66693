"""The peer of the freshness benchmark: bronze, silver and gold in a row, as tutorials build it, with Spark's defaults.

A program of its own: `python -m infra.bench.serial FOLDER BROKERS JARS`. It appends to FOLDER/visible.jsonl, per MERGE into gold,
the time of its end and the Kafka times of the sales in it (seconds since 1970). No validation, no duplicates, no books.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from delta.tables import DeltaTable
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from lakehouse.contracts import CONTRACTS

_RECORD = (
    "event_id string, event_type string, timestamp timestamp, user_id string, country string, "
    "products array<struct<product_id: string, quantity: int, price: decimal(18,2)>>"
)


def main(folder: Path, brokers: str, jars: str) -> None:
    spark = (
        SparkSession.builder.appName("serial")
        .master("local[*]")
        .config("spark.jars", ",".join(str(jar) for jar in sorted(Path(jars).glob("*.jar"))))
        .config("spark.driver.memory", "3g")
        .config("spark.driver.extraJavaOptions", "-Xss8m -Duser.timezone=UTC")
        .config("spark.sql.session.timeZone", "UTC")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.extensions", "io.delta.sql.DeltaSparkSessionExtension")
        .config("spark.sql.catalog.spark_catalog", "org.apache.spark.sql.delta.catalog.DeltaCatalog")
        .getOrCreate()
    )
    bronze, silver, gold = (str(folder / name) for name in ("bronze", "silver", "gold"))
    raw = (
        spark.readStream.format("kafka")
        .option("kafka.bootstrap.servers", brokers)
        .option("subscribe", ",".join(CONTRACTS))
        .option("startingOffsets", "earliest")
        .load()
    )
    empty = spark.range(0)
    empty.selectExpr(
        "CAST(NULL AS STRING) AS topic", "CAST(NULL AS BINARY) AS value", "CAST(NULL AS TIMESTAMP) AS kafka_at"
    ).write.format("delta").save(bronze)
    parsed = F.from_json(F.col("value").cast("string"), _RECORD)
    empty.select(
        F.lit(None).cast("string").alias("topic"),
        F.lit(None).cast("timestamp").alias("kafka_at"),
        F.from_json(F.lit("{}"), _RECORD).alias("record"),
    ).write.format("delta").save(silver)
    empty.selectExpr(
        "CAST(NULL AS TIMESTAMP) AS hour", "CAST(NULL AS STRING) AS country", "CAST(NULL AS STRING) AS product_id",
        "CAST(NULL AS BIGINT) AS unit_count", "CAST(NULL AS DECIMAL(18,2)) AS revenue",
    ).write.format("delta").save(gold)  # fmt: skip
    visible = (folder / "visible.jsonl").open("a")

    def merge(batch: DataFrame, _number: int) -> None:
        sums = (
            batch.select("record.timestamp", "record.country", F.explode("record.products").alias("line"))
            .groupBy(F.date_trunc("hour", "timestamp").alias("hour"), "country", "line.product_id")
            .agg(
                F.sum("line.quantity").alias("unit_count"),
                F.sum(F.col("line.quantity") * F.col("line.price")).cast("decimal(18,2)").alias("revenue"),
            )
        )
        same = "g.hour = s.hour AND g.country = s.country AND g.product_id = s.product_id"
        added = {"unit_count": "g.unit_count + s.unit_count", "revenue": "g.revenue + s.revenue"}
        target = DeltaTable.forPath(spark, gold).alias("g")
        target.merge(sums.alias("s"), same).whenMatchedUpdate(set=added).whenNotMatchedInsertAll().execute()
        done = time.time()
        times = [row[0].timestamp() for row in batch.select("kafka_at").collect()]
        visible.write(json.dumps({"at": done, "kafka_at": times}) + "\n")
        visible.flush()

    queries = [
        raw.select("topic", "value", F.col("timestamp").alias("kafka_at"))
        .writeStream.format("delta").option("checkpointLocation", f"{folder}/c1").start(bronze),
        spark.readStream.format("delta").load(bronze).select("topic", "kafka_at", parsed.alias("record"))
        .writeStream.format("delta").option("checkpointLocation", f"{folder}/c2").start(silver),
        spark.readStream.format("delta").load(silver).where("topic = 'transactions' AND record.products IS NOT NULL")
        .writeStream.foreachBatch(merge).option("checkpointLocation", f"{folder}/c3").start(),
    ]  # fmt: skip
    for query in queries:
        query.awaitTermination()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3])
