"""The Spark session: jars, S3A, Delta and sizes in one place, and the check that the pinned libraries fit each other."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import pyspark
from pyspark.sql import SparkSession

from lakehouse.errors import SettingsError, VersionMismatchError
from lakehouse.settings import CHECKOUT, Settings

_SCALA = "2.13"
JAVA_OPTIONS = "-Xss8m -XX:+UseParallelGC -Duser.timezone=UTC"


def check_versions(jars: list[str]) -> None:
    """Raise VersionMismatchError unless PySpark, the Delta wheel, the Delta jar and the Kafka source jar agree."""
    spark, delta = version("pyspark"), version("delta-spark")
    spark_line = ".".join(spark.split(".")[:2])
    expected = {
        f"delta-spark_{spark_line}_{_SCALA}-{delta}.jar": f"the Delta wheel {delta} on Spark {spark}",
        f"spark-sql-kafka-0-10_{_SCALA}-{spark}.jar": f"PySpark {spark}",
    }
    names = {Path(jar).name for jar in jars}
    for jar, reason in expected.items():
        if jar not in names:
            stem = re.sub(r"-[^-]*\.jar$", "", jar)
            found = sorted(name for name in names if name.startswith(stem)) or ["none"]
            raise VersionMismatchError(f"{reason} needs {jar}, but found {', '.join(found)}: run `make setup`.")


def spark_jars(settings: Settings) -> list[str]:
    """Paths of the jars beside PySpark's own. Raises SettingsError when set-up has not fetched them."""
    folder = settings.jars_dir
    jars = sorted(str(jar) for jar in folder.glob("*.jar")) if folder else []
    if not jars:
        raise SettingsError(f"No Spark jars in {folder or 'GLOBALMART_JARS_DIR, which is not set'}: run `make setup`.")
    return jars


def build_session(settings: Settings, name: str, memory_gb: float, extra: dict[str, str] | None = None) -> SparkSession:
    """A session called `name` with a heap of `memory_gb` GiB, Delta and the lake's S3; `extra` overrides any setting.

    Raises SettingsError (no jars) and VersionMismatchError.
    """
    jars = spark_jars(settings)
    check_versions(jars)
    is_of_stack = settings.profile == "cluster" and settings.spark_master.startswith("spark://")
    is_here = is_of_stack or settings.spark_master.startswith("local")
    conf = {
        "spark.driver.memory": f"{int(memory_gb * 1024)}m",
        "spark.driver.extraJavaOptions": JAVA_OPTIONS,
        "spark.executor.extraJavaOptions": JAVA_OPTIONS,
        "spark.driver.host": "127.0.0.1" if is_here else "",
        "spark.driver.bindAddress": "127.0.0.1" if is_here else "",
        "spark.jars": ",".join(jars),
        "spark.ui.enabled": "false",
        # Each query's plan is written out for pages that nobody sees, with adaptive execution after each of its stages; this is the short form
        "spark.sql.ui.explainMode": "simple",
        "spark.ui.showConsoleProgress": "false",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.ansi.enabled": "true",
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.adaptive.enabled": "true",
        "spark.sql.execution.arrow.pyspark.enabled": "true",
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.databricks.delta.snapshotPartitions": "2",
        # A day without events was made too: its commit says so
        "spark.databricks.delta.skipRecordingEmptyCommits": "false",
        "spark.hadoop.fs.s3a.endpoint": settings.s3_endpoint,
        "spark.hadoop.fs.s3a.endpoint.region": settings.s3_region,
        "spark.hadoop.fs.s3a.path.style.access": "true",
        "spark.hadoop.fs.s3a.connection.ssl.enabled": str(settings.s3_endpoint.startswith("https://")).lower(),
        "spark.hadoop.fs.s3a.attempts.maximum": "5",
        **(_of_stack(settings) if is_of_stack else {}),
        **(extra or {}),
    }
    if is_of_stack:
        os.environ["SPARK_CONF_DIR"] = str(settings.spark_dir / "conf")  # the cluster's secret: not for a command line
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # Python workers have the packages that the driver has
    builder = SparkSession.builder.appName(name).master(settings.spark_master)
    for key, value in conf.items():
        if value:
            builder = builder.config(key, value)
    session = builder.getOrCreate()
    # Settings of a new session are on its JVM's command line, which others on the machine can read. From here they go to the tasks.
    hadoop = session.sparkContext._jsc.hadoopConfiguration()
    hadoop.set("fs.s3a.access.key", settings.s3_access_key)
    hadoop.set("fs.s3a.secret.key", settings.s3_secret_key.get_secret_value())
    session.sparkContext.setLogLevel("ERROR")
    return session


def _of_stack(settings: Settings) -> dict[str, str]:
    """For the Spark cluster of the profile `cluster`: its executors see the same folders as the driver, so nothing is copied to them."""
    # PySpark's own first: of libraries that both have, Netty above all, the older would not do
    jars = f"{Path(pyspark.__file__).parent / 'jars' / '*'}{os.pathsep}{settings.jars_dir}/*"
    return {
        "spark.jars": "",
        "spark.driver.extraClassPath": jars,
        "spark.executor.extraClassPath": jars,
        "spark.executorEnv.PYTHONPATH": str(CHECKOUT),  # what is sent to Python workers names the project's packages
        "spark.cores.max": str(settings.spark_cores_max),
        "spark.executor.cores": "1",
        "spark.executor.memory": f"{int(settings.spark_executor_memory_gb * 1024)}m",
    }


@contextmanager
def own_session(
    settings: Settings, name: str, memory_gb: float, extra: dict[str, str] | None = None, *, keep: bool = False
) -> Iterator[SparkSession]:
    """As `build_session`, and stopped in the end; a session that was there before stays, and so does one to `keep`."""
    was_running = SparkSession.getActiveSession() is not None
    session = build_session(settings, name, memory_gb, extra)
    try:
        yield session
    finally:
        if not was_running and not keep:
            session.stop()
