"""`lakehouse.streams.jvm`: a driver that has many files open is still called by its JVM."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from lakehouse.settings import CHECKOUT

DRIVER = """
import os, resource, sys, threading
from lakehouse.session import build_session
from lakehouse.settings import load_settings
from lakehouse.streams.jvm import listen_for_batches

_, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
resource.setrlimit(resource.RLIMIT_NOFILE, (2048, hard))
spark = build_session(load_settings(), "test", 0.5)
listen_for_batches(spark)
opened = [os.open(os.devnull, os.O_RDONLY) for _ in range(1100)]
called = threading.Event()
rows = spark.readStream.format("rate").load()
writer = rows.writeStream.foreachBatch(lambda batch, number: called.set()).option("checkpointLocation", sys.argv[1])
query = writer.start()
print("called" if called.wait(60) else "not called", flush=True)
os._exit(0)
"""


def test_spark_calls_a_driver_with_more_than_a_thousand_open_files(tmp_path: Path, jars_dir: Path) -> None:
    own = {
        "ENV_FILE": tmp_path / "none.env",
        "LAKE_URI": (tmp_path / "lake").as_uri(),
        "STATE_DIR": tmp_path / "state",
        "JARS_DIR": jars_dir,
        "SPARK_MASTER": "local[2]",
    }
    env = {**os.environ, **{f"GLOBALMART_{name}": str(value) for name, value in own.items()}}
    command = [sys.executable, "-c", DRIVER, str(tmp_path / "checkpoint")]
    done = subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True, timeout=240, check=False)
    assert done.stdout.splitlines()[-1:] == ["called"], done.stderr[-2000:]
