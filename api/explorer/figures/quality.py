"""Figures about data quality: the newest judgements of Great Expectations, and what went to quarantine this week."""

from __future__ import annotations

import json
import re
from pathlib import Path

from api.explorer.figures.reading import Row, rows
from api.serving import Generation
from lakehouse.tables import QUARANTINE

_RUN = re.compile(r"[\w-]{1,100}")


def judgements(site: Path) -> tuple[str, list[Row]]:
    """The id of the newest run and what it said of each table, failed ones first (`lakehouse.quality.docs` writes them)."""
    newest: tuple[str, str, list[Row]] = ("", "", [])
    for path in (site / "runs").glob("*/results.jsonl"):
        lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line]
        at = max((line["at"] for line in lines), default="")
        if lines and _RUN.fullmatch(path.parent.name) and at > newest[0]:
            newest = (at, path.parent.name, lines)
    return newest[1], sorted(newest[2], key=lambda line: (line["passed"], line["table"]))


def by_reason(generation: Generation) -> list[Row]:
    """Records in quarantine by topic and reason code, most first; one with several codes counts for each."""
    columns = ["topic", "reason", "count(*) AS record_count", "max(kafka_at) AS newest_at"]
    rest = """FROM (SELECT topic, unnest(reason_codes) AS reason, kafka_at FROM quarantine)
              GROUP BY topic, reason ORDER BY record_count DESC, topic, reason LIMIT 200"""
    return rows(generation, [QUARANTINE], columns, rest)


def newest(generation: Generation, limit: int = 20) -> list[Row]:
    """The newest records in quarantine: where they are in Kafka, and why they are there. Never what they hold."""
    columns = ["topic", '"partition"', '"offset"', "kafka_at", "reason_codes"]
    rest = 'FROM quarantine ORDER BY kafka_at DESC, topic, "partition", "offset" LIMIT ?'
    found = rows(generation, [QUARANTINE], columns, rest, [limit])
    return [{name.strip('"'): value for name, value in row.items()} for row in found]
