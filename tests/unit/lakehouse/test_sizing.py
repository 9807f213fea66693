"""`lakehouse.sizing`: rows are counted by the log alone, and a lake of either size says all that one of the other had set."""

from __future__ import annotations

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from star_rows import arrow, line, user

from lakehouse import sizing
from lakehouse.settings import Settings
from lakehouse.sizing import row_count, session_conf
from lakehouse.storage import delta_uri, open_table
from lakehouse.tables import TRANSACTION_ITEMS, USERS, Table


def add(settings: Settings, table: Table, rows: pa.Table) -> None:
    write_deltalake(delta_uri(settings, table), rows, mode="append")


def test_rows_are_those_of_the_version_and_none_where_there_is_no_table(file_settings: Settings) -> None:
    assert row_count(file_settings, USERS) == 0
    add(file_settings, USERS, arrow(USERS, [user(1, "13 00:00", "ada"), user(2, "13 00:00", "bob")]))
    add(file_settings, USERS, arrow(USERS, [user(3, "13 00:00", "eve")]))
    assert [row_count(file_settings, USERS, version) for version in (0, 1, None)] == [2, 3, 3]
    open_table(file_settings, USERS).delete()
    assert row_count(file_settings, USERS) == 0


def test_plans_are_compiled_and_shuffles_split_once_there_are_many_rows(
    file_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(file_settings, USERS, arrow(USERS, [user(1, "13 00:00", "ada")]))
    add(file_settings, TRANSACTION_ITEMS, arrow(TRANSACTION_ITEMS, [line(n, "13 09:00", "ada", "pen") for n in (2, 3)]))
    hardly = session_conf(file_settings)
    monkeypatch.setattr(sizing, "HARDLY_ROWS", 2)
    few = session_conf(file_settings)
    monkeypatch.setattr(sizing, "FEW_ROWS", 2)
    many = session_conf(file_settings)
    assert hardly.keys() == few.keys() == many.keys()
    names = ("spark.sql.codegen.wholeStage", "spark.sql.adaptive.enabled", "spark.sql.shuffle.partitions")
    assert [hardly[name] for name in names] == ["false", "false", "2"]
    assert [few[name] for name in names] == ["true", "false", "4"]
    assert [many[name] for name in names] == ["true", "true", "4"]
    monkeypatch.setattr(sizing, "_ROWS_PER_TASK", 0.5)
    assert session_conf(file_settings)["spark.sql.shuffle.partitions"] == "6"
    assert "TieredStopAtLevel" in few["spark.driver.extraJavaOptions"]
    assert "TieredStopAtLevel" not in many["spark.driver.extraJavaOptions"]
