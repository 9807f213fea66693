"""Days are asked for by the watermark, each once and none left out; streaming tables are observed from the ledger."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from ledger_rows import append, commit, entry

from lakehouse.progress import DayAheadError, Progress, of_entry, progress
from lakehouse.settings import Settings, load_settings
from lakehouse.tables import INVENTORY_EVENTS, TRANSACTIONS
from orchestration.days import due
from orchestration.definitions import defs
from orchestration.defs.sensors import day_is_over, stream_tables

# The day before is over half an hour, a session's gap, past midnight.
JUST_NOT, JUST = "2026-03-15T00:29:59+00:00", "2026-03-15T00:30:00+00:00"


@pytest.fixture
def lake(tmp_path: Path, jars_dir: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of an empty lake on files, in the environment as a sensor finds them."""
    values = {
        "ENV_FILE": tmp_path / "none.env",
        "LAKE_URI": (tmp_path / "lake").as_uri(),
        "STATE_DIR": tmp_path / "state",
        "JARS_DIR": jars_dir,
    }
    for name, value in values.items():
        monkeypatch.setenv(f"GLOBALMART_{name}", str(value))
    return load_settings("batch")


def at(watermark: str | None, waiting: int = 0) -> Progress:
    return of_entry(entry(1, watermark, waiting=waiting), Settings(_env_file=None))


@pytest.mark.parametrize(
    ("watermark", "last", "expected"),
    [
        (JUST_NOT, None, ["2026-03-13"]),
        (JUST, None, ["2026-03-14"]),
        (JUST, "2026-03-13", ["2026-03-14"]),
        (JUST, "2026-03-10", ["2026-03-11", "2026-03-12", "2026-03-13", "2026-03-14"]),
        (JUST_NOT, "2026-03-13", "the run of 2026-03-13 was asked for"),
        (JUST, "2026-03-20", "the run of 2026-03-20 was asked for"),
        (None, None, "not taken an event yet"),
        ("2001-01-02T00:30:00+00:00", None, ["2001-01-01"]),
        ("2001-01-02T00:29:59+00:00", None, "before the first day"),
    ],
)
def test_days_are_due_once_the_watermark_has_passed_them(
    watermark: str | None, last: str | None, expected: list[str] | str
) -> None:
    found = due(at(watermark), last, 1_000)
    if isinstance(expected, str):
        assert expected in str(found)
    else:
        assert [str(day) for day in found] == expected


def test_a_stream_without_a_batch_is_waited_for() -> None:
    assert due(None, None, 1_000) == "The stream has not taken an event yet."


def test_a_stream_that_works_off_a_backlog_is_waited_for() -> None:
    assert due(at(JUST, waiting=1_001), None, 1_000) == (
        "1,001 records wait for the stream: days are asked for when it has caught up."
    )
    assert due(at(JUST, waiting=1_000), None, 1_000) == [date(2026, 3, 14)]


def test_a_year_that_was_missed_is_asked_for_a_month_at_a_time() -> None:
    first = due(at(JUST), "2025-03-14", 1_000)
    assert (len(first), first[0], first[-1]) == (31, date(2025, 3, 15), date(2025, 4, 14))


def test_what_the_stream_has_not_come_to_is_refused_and_what_it_is_in_is_not() -> None:
    stream = at("2026-03-14T23:49:59+00:00")  # the newest event was ten minutes later: before midnight
    stream.check_begun(date(2026, 3, 14))
    with pytest.raises(
        DayAheadError, match=r"2026-03-15 has not begun for the stream, which has come to 2026-03-14 23:59 UTC"
    ):
        stream.check_begun(date(2026, 3, 15))
    assert not stream.is_over(date(2026, 3, 14))
    assert stream.is_over(date(2026, 3, 13))


def test_the_sensor_asks_for_each_day_once(lake: Settings) -> None:
    def ask(cursor: str | None) -> tuple[list[tuple[Any, ...]], str | None]:
        context = dg.build_sensor_context(cursor=cursor, repository_def=defs().get_repository_def())
        data = day_is_over.evaluate_tick(context)
        return [(one.run_key, one.partition_key) for one in data.run_requests], data.cursor

    assert ask(None)[0] == []
    commit(lake, entry(1, JUST_NOT))
    asked, cursor = ask(None)
    assert (asked, cursor) == ([("2026-03-13", "2026-03-13")], "2026-03-13")
    assert ask(cursor)[0] == []
    commit(lake, entry(2, "2026-03-17T01:00:00+00:00"))  # nothing came on the 15th and the 16th
    asked, cursor = ask(cursor)
    assert [day for day, _ in asked] == ["2026-03-14", "2026-03-15", "2026-03-16"]
    assert ask(cursor)[0] == []
    assert progress(lake).batch_id == 2


def test_streaming_tables_are_observed_when_they_changed_and_said_to_be_fresh_with_each_batch(lake: Settings) -> None:
    def see(cursor: str | None) -> tuple[dict[tuple[str, str], dict[str, Any]], str | None]:
        data = stream_tables.evaluate_tick(dg.build_sensor_context(cursor=cursor))
        events = {
            (type(one).__name__, one.asset_key.to_user_string()): {
                "version": one.tags["dagster/data_version"],
                **{name: value.value for name, value in one.metadata.items()},
            }
            for one in data.asset_events
        }
        return events, data.cursor

    assert see(None)[0] == {}
    for table in (TRANSACTIONS, INVENTORY_EVENTS):
        append(lake, table, [])
    commit(lake, entry(1, JUST, {TRANSACTIONS.path: 0, INVENTORY_EVENTS.path: 0}))
    events, cursor = see(None)
    paths = [INVENTORY_EVENTS.path, TRANSACTIONS.path, "ops/ledger_streaming"]
    assert sorted(events) == [(kind, p) for kind in ("AssetMaterialization", "AssetObservation") for p in sorted(paths)]
    assert see(cursor)[0] == {}

    when = entry(1, JUST).started_at
    change = {"product_id": "p1", "change": 5, "reason": "restock", "event_id": "e1", "event_type": "inventory_event"}
    place = {"topic": "inventory_events", "partition": 0, "offset": 1, "batch_id": 2, "schema_version": 1}
    times = dict.fromkeys(("timestamp", "kafka_at", "ingested_at"), when)
    hashes = {column.name: 1 for column in INVENTORY_EVENTS.columns if "hash" in column.name}
    append(lake, INVENTORY_EVENTS, [{**change, **place, **times, **hashes, "is_late": False}])
    commit(lake, entry(2, JUST, {TRANSACTIONS.path: 0, INVENTORY_EVENTS.path: 1}))
    events, cursor = see(cursor)
    assert [path for kind, path in events if kind == "AssetMaterialization"] == sorted(paths)
    assert sorted(path for kind, path in events if kind == "AssetObservation") == [
        "ops/ledger_streaming",
        INVENTORY_EVENTS.path,
    ]
    seen = events["AssetObservation", INVENTORY_EVENTS.path]
    assert {
        name: seen[name] for name in ("version", "delta_version", "batch_id", "dagster/row_count", "file_count")
    } == {
        "version": "1",
        "delta_version": 1,
        "batch_id": 2,
        "dagster/row_count": 1,
        "file_count": 1,
    }
