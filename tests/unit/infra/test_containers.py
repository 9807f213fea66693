"""The commands of containers: secrets made once for servers that are elsewhere, and health in words."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from infra import containers
from lakehouse import heartbeat
from lakehouse.settings import Settings


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("GLOBALMART_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("GLOBALMART_ENV_FILE", str(tmp_path / "secrets" / "reader.env"))
    monkeypatch.setenv("GLOBALMART_POSTGRES_HOST", "postgres")
    monkeypatch.setenv("GLOBALMART_POSTGRES_PORT", "5432")
    return tmp_path


def _run(*args: str) -> Any:
    return CliRunner().invoke(containers.app, [*args])


def test_secrets_are_made_once_and_name_servers_elsewhere(state: Path) -> None:
    assert _run("secrets").exit_code == 0
    before = {path.name: path.read_text() for path in (state / "secrets").iterdir()}
    assert _run("secrets").exit_code == 0
    assert {path.name: path.read_text() for path in (state / "secrets").iterdir()} == before
    assert "@postgres:5432/globalmart" in before["reader.env"]
    assert "@postgres:5432/dagster" in before["batch.env"]
    assert "GLOBALMART_MIRROR_HOST=postgres:5432\n" in before["grafana-server.env"]


def test_servers_of_other_images_read_theirs_by_the_group_and_nobody_else_any(state: Path) -> None:
    _run("secrets")
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (state / "secrets").iterdir()}
    assert {name for name, mode in modes.items() if mode == 0o640} == {
        "postgres-superuser",
        "grafana-server.env",
        "alertmanager-token",
    }
    assert set(modes.values()) == {0o600, 0o640}


@pytest.mark.usefixtures("state")
def test_kubernetes_gets_one_secret_per_file(state: Path) -> None:
    items = json.loads(_run("secrets", "--kubernetes").stdout)["items"]
    assert {item["kind"] for item in items} == {"Secret"}
    found = {item["metadata"]["name"]: item["stringData"] for item in items}
    files = {path.name: path.read_text() for path in (state / "secrets").iterdir()}
    assert {key: value for data in found.values() for key, value in data.items()} == files
    assert set(found["globalmart-streaming"]) == {"streaming.env"}
    assert set(found["globalmart-reader"]) == {"reader.env"}


def test_a_service_that_waits_is_alive_and_not_well(state: Path) -> None:
    settings = Settings(_env_file=None, state_dir=state)
    assert _run("health", "streaming", "--alive").exit_code == 1
    heartbeat.beat(settings, "streaming", "waiting", reason="no broker")
    alive, well = _run("health", "streaming", "--alive"), _run("health", "streaming")
    assert (alive.exit_code, well.exit_code) == (0, 1)
    assert alive.stdout.endswith("ago, waiting\n")
    assert well.stdout == "streaming: it waits: no broker\n"


@pytest.mark.usefixtures("state")
def test_a_service_that_does_not_exist_is_named() -> None:
    result = _run("run", "nonsense")
    assert result.exit_code == 1
    assert str(result.exception).startswith("There is no service 'nonsense'")
