"""docs/dashboards.md has each panel, rule, file and variable of the environment under its name, and none that is not there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from infra.credentials import ensure_credentials, grafana_server_file, read_pairs
from infra.dashboards import health
from infra.dashboards.alerting import WATCHES
from infra.dashboards.board import Board
from infra.dashboards.build import MOUNT, boards, files, mirror_boards
from lakehouse.settings import CHECKOUT, Settings
from lakehouse.tables import TABLES

TEXT = (CHECKOUT / "docs/dashboards.md").read_text(encoding="utf-8")
SECTIONS = {part.split("\n", 1)[0]: part for part in re.split(r"^## ", TEXT, flags=re.M)}
BOARDS = {board.title: board for board in boards()}


def rows(section: str) -> list[list[str]]:
    """Of the section's table: the cells of each row whose first is bold, that one without its stars."""
    found = re.findall(r"^\| \*\*(.+?)\*\* \| (.*) \|$", SECTIONS[section], flags=re.M)
    return [[first, *rest.split(" | ")] for first, rest in found]


@pytest.mark.parametrize("title", sorted(BOARDS))
def test_each_panel_is_documented_in_the_order_in_which_it_is_seen(title: str) -> None:
    board = BOARDS[title]
    assert [row[0] for row in rows(title)] == [panel.build().title for _, panels in board.rows for panel in panels]
    assert f"`{board.uid}`, folder {board.folder}" in SECTIONS[title]


@pytest.mark.parametrize("title", [board.title for board in mirror_boards()])
def test_each_panel_is_documented_with_the_tables_that_it_reads(title: str) -> None:
    for name, sql in queries(BOARDS[title]).items():
        read = set(re.findall(r"\b(?:FROM|JOIN)\s+([a-z_]+)", sql)) & ({table.name for table in TABLES} | {"versions"})
        if "versions" in read and "first_day" in sql and len(read) > 1:
            read -= {"versions"}  # it says how far back the mirror goes, and gives no figure
        (row,) = [one for one in rows(title) if one[0] == name]
        assert read == set(re.findall(r"`([a-z_]+)`", row[-1])) - {"all"}, name


def test_each_panel_of_health_is_documented_with_the_metrics_that_it_reads() -> None:
    documented = {row[0]: set(re.findall(r"`([A-Za-z_:0-9]+)`", row[-1])) for row in rows("System health")}
    built = [panel.build() for _, panels in health.board().rows for panel in panels]
    asked = {str(panel.title): panel.targets[0].expr for panel in built}  # type: ignore[index,union-attr,attr-defined]
    assert documented == {
        title: set(re.findall(r"\b(?:globalmart_\w+|slo:[\w:]+|ALERTS)", expression))
        for title, expression in asked.items()
    }


def queries(board: Board) -> dict[str, str]:
    built = [panel.build() for _, panels in board.rows for panel in panels]
    return {str(panel.title): panel.targets[0].raw_sql for panel in built}  # type: ignore[index,union-attr,attr-defined]


def test_each_rule_is_documented_with_its_patience_and_severity() -> None:
    found = {row[0]: (row[2], row[3]) for row in rows("Alert rules")}
    patience = {0: "at once"}
    assert found == {
        watch.title: (patience.get(watch.for_minutes, f"{watch.for_minutes} minutes"), watch.severity)
        for watch in WATCHES
    }


def test_each_file_and_each_variable_of_the_environment_is_documented(tmp_path: Path) -> None:
    settings = Settings(_env_file=None, state_dir=tmp_path)
    ensure_credentials(settings)
    for name in read_pairs(grafana_server_file(settings)):
        assert f"`{name}`" in TEXT or f"`{name}=" in TEXT, name
    for path in files(settings):
        assert f"`{re.sub(r'/globalmart-[a-z]+.json', '/*.json', path)}`" in TEXT, path
    assert MOUNT in TEXT


def test_the_service_of_the_compose_file_is_given_the_folder_and_its_secrets() -> None:
    service = yaml.safe_load((CHECKOUT / "infra/docker/docker-compose.yml").read_text())["services"]["grafana"]
    assert service["environment"]["GF_PATHS_CONFIG"] == f"{MOUNT}/grafana.ini"
    assert service["environment"]["GF_PATHS_PROVISIONING"] == f"{MOUNT}/provisioning"
    mounted = {one["volume"]["subpath"]: one["target"] for one in service["volumes"] if isinstance(one, dict)}
    assert mounted["grafana"] == MOUNT
    name = grafana_server_file(Settings(_env_file=None)).name
    assert f". {mounted[name]} " in service["entrypoint"][-1]
