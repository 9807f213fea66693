"""What a Grafana server is given: data source, providers, rules and settings, in a folder that is ours alone."""

from __future__ import annotations

import configparser
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from infra.credentials import ensure_credentials, grafana_server_file, read_pairs
from infra.dashboards import command, metrics_source, server
from infra.dashboards.build import MARK, DashboardsError, as_json, boards, build, files
from infra.dashboards.source import KIND, UID
from lakehouse.settings import Settings

SETTINGS = Settings(_env_file=None, api_url="https://shop.example")
FILES = files(SETTINGS, "/mnt/grafana")


def provisioned(name: str) -> dict[str, Any]:
    text = FILES[f"provisioning/{name}/globalmart.yaml"]
    content = yaml.safe_load(text)
    assert content == json.loads(text)  # JSON is a part of YAML, and must be the same in both
    assert content["apiVersion"] == 1
    return dict(content)


def names_of_environment(value: Any) -> set[str]:
    return set(re.findall(r"\$\{?(\w+)", json.dumps(value)))


def test_the_data_source_is_the_mirror_read_only_and_without_a_secret(tmp_path: Path) -> None:
    source, metrics = provisioned("datasources")["datasources"]
    assert (source["uid"], source["type"], source["user"]) == (UID, KIND, "grafana")
    assert source["editable"] is False
    assert source["jsonData"]["database"] == SETTINGS.mirror_database
    assert source["jsonData"]["maxOpenConns"] < 20  # the role's limit
    settings = SETTINGS.model_copy(update={"state_dir": tmp_path})
    ensure_credentials(settings)
    given = set(read_pairs(grafana_server_file(settings)))
    assert (metrics["uid"], metrics["type"], metrics["editable"]) == (metrics_source.UID, metrics_source.KIND, False)
    assert names_of_environment([source, metrics]) == {name for name in given if name.startswith("GLOBALMART_")}
    assert given - names_of_environment([source, metrics]) == set(server.SECRETS)
    password = read_pairs(grafana_server_file(settings))["GLOBALMART_MIRROR_PASSWORD"]
    assert not any(password in text for text in files(settings).values())


def test_dashboards_are_loaded_from_folders_called_like_grafanas(tmp_path: Path) -> None:
    (provider,) = provisioned("dashboards")["providers"]
    assert provider["options"] == {"path": "/mnt/grafana/dashboards", "foldersFromFilesStructure": True}
    assert provider["allowUiUpdates"] is False
    expected = {f"dashboards/{board.folder}/{board.uid}.json" for board in boards()}
    assert {path for path in FILES if path.startswith("dashboards/")} == expected
    assert {board.folder for board in boards()} == {"Business", "Platform"}


def test_rules_have_what_grafana_asks_for_and_name_no_variable_of_the_environment() -> None:
    (group,) = provisioned("alerting")["groups"]
    assert (group["orgId"], group["folder"], group["interval"]) == (1, "Platform", "60s")
    uids = [rule["uid"] for rule in group["rules"]]
    assert len(set(uids)) == len(uids) == 6
    boards_of = {
        json.loads(text)["uid"]: json.loads(text) for path, text in FILES.items() if path.startswith("dashboards/")
    }
    for rule in group["rules"]:
        assert set(rule) == {
            "annotations", "condition", "dashboardUid", "data", "execErrState", "for", "labels", "noDataState", "panelId",
            "title", "uid",
        }  # fmt: skip
        assert re.fullmatch(r"\d+m", rule["for"])
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert names_of_environment([rule["annotations"], rule["labels"], rule["title"]]) == set()
        query, threshold = rule["data"]
        assert query["datasourceUid"] == query["model"]["datasource"]["uid"] == UID
        assert threshold["datasourceUid"] == threshold["model"]["datasource"]["type"] == "__expr__"
        assert rule["condition"] == threshold["refId"] == threshold["model"]["refId"]
        assert threshold["model"]["expression"] == query["refId"]
        assert query["relativeTimeRange"]["from"] >= 600
        panel = [one for one in boards_of[rule["dashboardUid"]]["panels"] if one["id"] == rule["panelId"]]
        assert len(panel) == 1
        assert rule["annotations"]["__panelId__"] == str(rule["panelId"])


def test_nobody_gets_in_without_a_password_of_their_own() -> None:
    ini = configparser.ConfigParser(interpolation=None)
    ini.read_string(FILES["grafana.ini"])
    assert not ini.getboolean("auth.anonymous", "enabled")
    assert not ini.getboolean("users", "allow_sign_up")
    assert not ini.getboolean("public_dashboards", "enabled")
    assert not ini.getboolean("snapshots", "external_enabled")
    assert ini["users"]["auto_assign_org_role"] == "Viewer"
    assert "admin_password" not in ini["security"]
    assert "secret_key" not in ini["security"]
    home = ini["dashboards"]["default_home_dashboard_path"].removeprefix("/mnt/grafana/")
    assert home in FILES


def test_links_follow_the_address_of_the_api() -> None:
    text = FILES["dashboards/Business/globalmart-sales.json"]
    assert "https://shop.example/explorer/live" in text
    assert "127.0.0.1" not in text


def test_building_again_replaces_all_and_keeps_the_folder(tmp_path: Path) -> None:
    out = tmp_path / "grafana"
    first = build(SETTINGS, out)
    node = out.stat().st_ino  # a container has this folder mounted
    (out / "dashboards" / "Business" / "of-an-older-release.json").write_text("{}")
    (out / "grafana.ini").write_text("changed by hand")
    assert build(SETTINGS, out) == first
    assert {str(path.relative_to(out)): path.read_text() for path in first} == files(SETTINGS)
    assert {path.name for path in out.iterdir()} == {"dashboards", "provisioning", "grafana.ini", MARK}
    assert not (out / "dashboards" / "Business" / "of-an-older-release.json").exists()
    assert out.stat().st_ino == node
    assert [path.name for path in tmp_path.iterdir()] == ["grafana"]


def test_a_folder_of_somebody_elses_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(DashboardsError, match="holds other files"):
        build(SETTINGS, tmp_path)
    with pytest.raises(DashboardsError, match="holds other files"):
        build(SETTINGS, tmp_path / "thesis.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    (tmp_path / "empty").mkdir()
    assert build(SETTINGS, tmp_path / "empty")


def test_where_nothing_can_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DashboardsError, match=r"cannot be written: Not a directory\.$"):
        build(SETTINGS, tmp_path / "file" / "grafana")


def test_the_command_builds_into_the_state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = SETTINGS.model_copy(update={"state_dir": tmp_path})
    monkeypatch.setattr(command, "load_settings", lambda: settings)
    run = CliRunner().invoke(command.app, ["build", "--json"])
    assert run.exit_code == 0, run.output
    said = json.loads(run.output)
    assert said["folder"] == str(tmp_path / "grafana")
    assert set(said["files"]) == set(FILES)
    assert set(said["dashboards"]) == {board.uid for board in boards()}
    run = CliRunner().invoke(command.app, ["build", "--out", str(tmp_path / "other"), "--mount", "/srv"])
    assert run.exit_code == 0
    assert str(tmp_path / "other") in run.output
    assert '"/srv/dashboards"' in (tmp_path / "other/provisioning/dashboards/globalmart.yaml").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["grafana", "other"]


def test_help_has_an_example() -> None:
    run = CliRunner().invoke(command.app, ["build", "--help"])
    assert run.exit_code == 0
    assert "Example: globalmart dashboards build" in run.output


def test_files_are_text_that_ends_with_a_line() -> None:
    assert all(text.endswith("\n") for text in FILES.values())
    assert as_json({"b": 1, "a": 2}).startswith('{\n  "a"')
