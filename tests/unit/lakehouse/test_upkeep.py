"""Maintenance of batch tables: few files, sorted where it pays, nothing deleted that may be read, and sizes noted. Files, no Spark."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import CommitProperties, DeltaTable, WriterProperties, write_deltalake

from lakehouse import upkeep
from lakehouse.errors import LeaseHeldError
from lakehouse.lease import Lease
from lakehouse.settings import Settings
from lakehouse.storage import delta_uri, open_table
from lakehouse.tables import CUSTOMER_RFM, DIM_COUNTRY, LEDGER_STREAMING, TABLE_SIZES, Table
from lakehouse.travel import Log, open_at

NOW = datetime(2026, 3, 15, 3, 30, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(_env_file=None, state_dir=tmp_path / "state", lake_uri=(tmp_path / "lake").as_uri())
    return made.model_copy(update={"batch_history_days": 0})  # below the floor: what is deleted must not wait for days


def write(settings: Settings, table: Table, data: pa.Table, mode: str = "overwrite", **sources: int) -> None:
    """As `lakehouse.batch` writes: with a note of what the rows were made from."""
    note = json.dumps({"sources": {name.replace("__", "/"): version for name, version in sources.items()}})
    write_deltalake(
        delta_uri(settings, table),
        data,
        mode=mode,  # type: ignore[arg-type]
        partition_by=list(table.partition_by) or None,
        configuration={"delta.enableDeletionVectors": "false"},
        commit_properties=CommitProperties(custom_metadata={"userMetadata": note}),
    )


def countries(number: int) -> pa.Table:
    columns = [pa.array([None if f.nullable else sample(f.type, number)], f.type) for f in DIM_COUNTRY.schema]
    return pa.Table.from_arrays(columns, schema=DIM_COUNTRY.schema)


def sample(kind: pa.DataType, number: int) -> object:
    if pa.types.is_string(kind):
        return f"text {number}"
    if pa.types.is_boolean(kind):
        return True
    return number


def customers(day: int, users: range) -> pa.Table:
    rows = [
        {
            "as_of_date": date(2026, 3, day),
            "user_id": f"u{user:08}",
            "recency_days": user % 365,
            "frequency": 1,
            "monetary": Decimal(user) / 100,
            **dict.fromkeys(("r_score", "f_score", "m_score"), 3),
            "segment": "loyal",
        }
        for user in users
    ]
    return pa.Table.from_pylist(rows, CUSTOMER_RFM.schema)


def test_what_a_later_table_was_made_from_stays_and_the_rest_goes(settings: Settings) -> None:
    for number in range(4):
        write(settings, DIM_COUNTRY, countries(number))
    write(settings, CUSTOMER_RFM, customers(14, range(3)), gold__dim_country=1, silver__transactions=7)
    assert upkeep.pinned(settings) == {"gold/dim_country": {1, 3}, "gold/customer_rfm": {0}}
    (kept,) = upkeep.maintain(settings, [DIM_COUNTRY])
    assert kept.pinned == (1, 3)
    assert kept.deleted == 2
    for version in (1, 3):
        assert open_at(settings, DIM_COUNTRY, version=version).delta.to_pyarrow_table().num_rows == 1
    assert not Log(settings, DIM_COUNTRY).is_readable(0)
    assert not Log(settings, DIM_COUNTRY).is_readable(2)


def test_within_the_days_of_the_setting_every_version_stays(settings: Settings) -> None:
    for number in range(4):
        write(settings, DIM_COUNTRY, countries(number))
    (kept,) = upkeep.maintain(settings.model_copy(update={"batch_history_days": 7}), [DIM_COUNTRY])
    assert kept.deleted == 0
    assert Log(settings, DIM_COUNTRY).oldest_readable() == 0


def test_history_is_at_least_seven_days() -> None:
    with pytest.raises(ValueError, match="greater than or equal to 7"):
        Settings(_env_file=None, batch_history_days=6)


def test_days_of_many_files_are_sorted_once_and_say_the_same(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "TARGET_BYTES", 4_000)
    monkeypatch.setattr(upkeep, "_WRITER", WriterProperties(max_row_group_size=200))
    for start in range(4):  # each file has users from all over
        write(settings, CUSTOMER_RFM, customers(13, range(start, 8_000, 4)), mode="append")
    write(settings, CUSTOMER_RFM, customers(14, range(100)), mode="append")
    before = sorted(open_table(settings, CUSTOMER_RFM).to_pyarrow_table().to_pylist(), key=str)
    (kept,) = upkeep.maintain(settings.model_copy(update={"batch_history_days": 7}), [CUSTOMER_RFM])
    assert kept.clustered == ("2026-03-13",)
    delta = open_table(settings, CUSTOMER_RFM)
    assert sorted(delta.to_pyarrow_table().to_pylist(), key=str) == before
    assert files_with(delta, "u00004711") == 1
    (again,) = upkeep.maintain(settings.model_copy(update={"batch_history_days": 7}), [CUSTOMER_RFM])
    assert again.clustered == ()
    assert rewrites(open_table(settings, CUSTOMER_RFM)) == rewrites(delta)


def rewrites(delta: DeltaTable) -> int:
    return sum(one["operation"] == "OPTIMIZE" for one in delta.history())


def files_with(delta: DeltaTable, user: str) -> int:
    """Files of the 13th whose statistics do not rule the user out."""
    files = pa.table(delta.get_add_actions(flatten=True)).to_pylist()
    mine = [file for file in files if str(file["partition.as_of_date"]) == "2026-03-13"]
    assert len(mine) > 1
    return sum(file["min.user_id"] <= user <= file["max.user_id"] for file in mine)


def test_an_older_tables_properties_become_those_declared(settings: Settings) -> None:
    write(settings, DIM_COUNTRY, countries(1))
    upkeep.maintain(settings, [DIM_COUNTRY])
    there = open_table(settings, DIM_COUNTRY).metadata().configuration
    assert DIM_COUNTRY.properties.items() <= there.items()
    assert "delta.logRetentionDuration" in there


def test_a_run_notes_the_size_of_every_table_under_the_lease(settings: Settings) -> None:
    for number in range(3):
        write(settings, DIM_COUNTRY, countries(number))
    write_deltalake(delta_uri(settings, LEDGER_STREAMING), LEDGER_STREAMING.schema.empty_table())
    _, sizes = upkeep.run(settings, NOW)
    found = {row["table_path"]: row for row in sizes.to_pylist()}
    assert set(found) == {DIM_COUNTRY.path, LEDGER_STREAMING.path}
    size = found[DIM_COUNTRY.path]
    assert (size["measured_at"], size["file_count"], size["row_count"]) == (NOW, 1, 1)
    delta = open_table(settings, DIM_COUNTRY)
    assert size["version"] == delta.version()
    assert size["byte_count"] == sum(Path(uri.removeprefix("file://")).stat().st_size for uri in delta.file_uris())
    assert size["oldest_version"] == 2
    assert found[LEDGER_STREAMING.path]["file_count"] == 0
    upkeep.run(settings, NOW)
    kept = open_table(settings, TABLE_SIZES).to_pyarrow_table()
    assert kept.num_rows == 2 + 3  # the second run measures the table that the first one made
    with Lease(settings, "batch"), pytest.raises(LeaseHeldError):
        upkeep.run(settings.model_copy(update={"batch_wait_minutes": 0}), NOW)


def test_a_run_waits_for_a_batch_run_that_has_the_tables_and_says_so(settings: Settings) -> None:
    write(settings, DIM_COUNTRY, countries(1))
    held, said = Lease(settings, "batch"), []
    held.acquire()

    def say(text: str) -> None:
        said.append(text)
        held.release()  # only once the other has begun to wait

    done, _ = upkeep.run(settings, NOW, say)
    assert [kept.table for kept in done] == [DIM_COUNTRY]
    (sentence,) = said
    assert sentence.startswith("Waiting for the batch lease, 1800 s at most.")
