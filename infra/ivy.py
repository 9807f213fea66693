"""The jars of Spark and Kafka, fetched by the Ivy that PySpark ships, from the one pinned manifest `infra/jars/ivy.xml`."""

from __future__ import annotations

import sys
from pathlib import Path

from infra.cache import cache_dir, content_name, make_once
from infra.java import find_java
from infra.steps import SetupError, run_step, say

MANIFEST = Path(__file__).parent / "jars" / "ivy.xml"

# Own settings and an own cache: a half-filled ~/.m2 or ~/.ivy2 makes Ivy fail with 'download failed'.
_SETTINGS = """<ivysettings>
  <settings defaultResolver="central"/>
  <resolvers><ibiblio name="central" m2compatible="true" checkmodified="false" changingPattern="none"/></resolvers>
</ivysettings>
"""


def jars_folder() -> Path:
    """Where the jars of the present manifest are, or will be: sub-folders `spark` and `kafka`."""
    return cache_dir() / content_name("jars", MANIFEST.read_bytes())


def _ivy_jar() -> Path:
    pyspark = Path(sys.prefix) / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages/pyspark"
    found = sorted(pyspark.glob("jars/ivy-*.jar"))
    if not found:
        raise SetupError("PySpark is not installed in .venv: run `make setup`.")
    return found[-1]


def _fetch(folder: Path) -> None:
    settings = folder / "ivysettings.xml"
    settings.write_text(_SETTINGS)
    command = [
        str(find_java()), "-jar", str(_ivy_jar()),
        "-settings", str(settings),
        "-cache", str(cache_dir() / "ivy"),
        "-ivy", str(MANIFEST),
        "-confs", "spark", "kafka",
        "-retrieve", str(folder / "[conf]" / "[artifact]-[revision].[ext]"),
    ]  # fmt: skip
    run_step("Jars of Spark and Kafka: fetching 119 files (2-3 minutes)", command, cache_dir() / "logs" / "jars.log")
    settings.unlink()
    for conf in ("spark", "kafka"):
        if not list((folder / conf).glob("*.jar")):
            raise SetupError(f"Ivy ended without any jar for {conf}: see {cache_dir() / 'logs' / 'jars.log'}.")


def ensure_jars() -> Path:
    """The folder with the jars, fetched if need be. Raises SetupError."""
    return make_once(jars_folder().name, _fetch, lambda: say("Jars: another set-up is fetching them, waiting …"))
