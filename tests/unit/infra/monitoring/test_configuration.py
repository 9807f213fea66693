"""The configuration of Prometheus and Alertmanager is what their own tools accept, on the loopback, without a secret in it."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path

import pytest

from infra.credentials import alert_token_file, ensure_credentials
from infra.monitoring import programs
from infra.monitoring.configuration import prometheus, targets, write
from infra.servers import monitoring
from infra.services import BY_NAME, SERVICES, choose
from lakehouse.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    made = Settings(
        _env_file=None, state_dir=tmp_path, monitor_port=12345, alert_webhook_url="https://shop.example/hook"
    )
    ensure_credentials(made)
    return made


def test_every_service_with_metrics_is_scraped(settings: Settings) -> None:
    ports = {getattr(settings, one.metrics_port) for one in SERVICES if one.metrics_port}
    addresses = set(targets(settings).values())
    assert {f"127.0.0.1:{port}" for port in ports} <= addresses
    assert "127.0.0.1:12345" in addresses
    assert {one["job_name"] for one in prometheus(settings)["scrape_configs"]} == set(targets(settings))


def test_files_are_private_and_hold_no_token(settings: Settings) -> None:
    token = alert_token_file(settings).read_text()
    for path in write(settings):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert token not in path.read_text()
    assert stat.S_IMODE(alert_token_file(settings).stat().st_mode) == 0o600


def test_what_the_desk_sees_itself_is_not_told_twice_and_what_it_cannot_tell_goes_past_it(settings: Settings) -> None:
    content = json.loads(write(settings)[1].read_text())
    by_matcher = {one["matchers"][0]: one["receiver"] for one in content["route"]["routes"]}
    assert by_matcher == {'route="past the desk"': "past the desk", 'route="seen by the desk"': "nobody"}
    receivers = {one["name"]: one.get("webhook_configs", []) for one in content["receivers"]}
    assert [one["url"] for one in receivers["desk"]] == ["http://127.0.0.1:12345/alerts"]
    assert [one["url"] for one in receivers["past the desk"]] == ["https://shop.example/hook"]
    assert receivers["nobody"] == []


@pytest.mark.parametrize(
    ("program", "arguments", "place"),
    [(programs.PROMTOOL, ("check", "config"), 0), (programs.AMTOOL, ("check-config",), 1)],
)
def test_their_own_tools_accept_it(settings: Settings, program: str, arguments: tuple[str, ...], place: int) -> None:
    found = programs.find(program)
    if found is None:
        pytest.skip(f"{program} is not on this machine: `make setup` fetches it where Debian's packages are to be had")
    result = subprocess.run([str(found), *arguments, str(write(settings)[place])], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr


def test_where_they_are_not_installed_the_stack_starts_without(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    monkeypatch.setenv("GLOBALMART_CACHE_DIR", str(settings.state_dir))
    monkeypatch.setenv("PATH", str(settings.state_dir))
    assert {"prometheus", "alertmanager"} & {one.name for one in choose()} == set()
    assert [one.name for one in choose(only=["prometheus"])] == ["prometheus"]
    with pytest.raises(monitoring.NotInstalledError, match=r"run `make setup`"):
        BY_NAME["prometheus"].prepare(settings)


def test_they_listen_on_the_loopback_alone(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (programs.PROMETHEUS, programs.ALERTMANAGER):
        (tmp_path / name).touch(mode=0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("prometheus", "alertmanager"):
        command = BY_NAME[name].prepare(settings).command
        (address,) = [one for one in command if one.startswith("--web.listen-address=")]
        assert address.startswith("--web.listen-address=127.0.0.1:")
    assert "--cluster.listen-address=" in command
