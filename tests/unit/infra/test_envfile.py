"""`.env` is written once, private, with free ports."""

import socket
import stat
from pathlib import Path

import pytest

from infra.envfile import PORTS, choose_ports, ensure_env, random_ports
from lakehouse.errors import SettingsError
from lakehouse.settings import PREFIX, Settings, load_settings


@pytest.fixture
def env_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in Settings.model_fields:
        monkeypatch.delenv(PREFIX + name.upper(), raising=False)
    monkeypatch.setenv("GLOBALMART_ENV_FILE", str(tmp_path / ".env"))
    return tmp_path / ".env"


def test_new_file_is_private_and_holds_usable_settings(env_path: Path, tmp_path: Path) -> None:
    ports = random_ports()
    assert ensure_env(tmp_path / "state", ports)[0].startswith(
        f"{env_path} written with fresh secrets; a usual port is taken"
    )
    assert stat.S_IMODE(env_path.stat().st_mode) == 0o600
    settings = load_settings()
    assert {name: getattr(settings, name) for name in PORTS} == ports
    assert settings.state_dir == tmp_path / "state"
    assert settings.kafka_bootstrap_servers == f"127.0.0.1:{ports['kafka_port']}"
    assert settings.s3_endpoint == f"http://127.0.0.1:{ports['s3_port']}"
    assert settings.s3_access_key == "reader"
    assert len(settings.api_key.get_secret_value()) >= 40


def test_existing_file_is_never_overwritten(env_path: Path) -> None:
    env_path.write_text("GLOBALMART_API_PORT=1234\n")
    assert ensure_env() == []
    assert env_path.read_text() == "GLOBALMART_API_PORT=1234\n"


def test_two_files_share_no_secret(env_path: Path) -> None:
    ensure_env()
    first = load_settings()
    env_path.unlink()
    ensure_env()
    second = load_settings()
    assert first.api_key != second.api_key
    assert first.s3_secret_key != second.s3_secret_key
    assert first.postgres_url != second.postgres_url


def test_a_taken_port_moves_the_whole_set(env_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    free = choose_ports()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", free["s3_port"]))
        taken.listen()
        moved = choose_ports()
    distances = {moved[name] - free[name] for name in PORTS}
    assert len(distances) == 1
    assert distances.pop() >= 100


def test_a_port_named_in_the_environment_is_kept(env_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOBALMART_API_PORT", "12345")
    assert choose_ports()["api_port"] == 12345
    monkeypatch.setenv("GLOBALMART_API_PORT", "many")
    with pytest.raises(SettingsError, match="GLOBALMART_API_PORT=many is not a port number"):
        choose_ports()
