"""Secret files: private, each service its own, made once."""

import hashlib
import stat
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from infra.credentials import SERVICES, ensure_credentials, read_pairs
from lakehouse.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(_env_file=None, state_dir=tmp_path, api_key="key", postgres_port=5999)


def test_files_and_folder_are_private(settings: Settings) -> None:
    ensure_credentials(settings)
    assert stat.S_IMODE(settings.secrets_dir.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in settings.secrets_dir.iterdir()}
    names = {
        "streaming.env",
        "batch.env",
        "serving.env",
        "api.env",
        "operator.env",
        "desk.env",
        "monitor.env",
        "alertmanager-token",
        "grafana.env",
        "grafana-server.env",
        "minio-root.env",
        "postgres-superuser",
    }
    assert modes == dict.fromkeys(names, 0o600)


def test_each_service_has_its_own_account(settings: Settings) -> None:
    ensure_credentials(settings)
    pairs = {service: read_pairs(settings.secrets_dir / f"{service}.env") for service in SERVICES}
    assert {service: pair["GLOBALMART_S3_ACCESS_KEY"] for service, pair in pairs.items()} == {s: s for s in SERVICES}
    assert len({pair["GLOBALMART_S3_SECRET_KEY"] for pair in pairs.values()}) == len(SERVICES)
    assert pairs["batch"]["GLOBALMART_POSTGRES_URL"].endswith("@127.0.0.1:5999/dagster")
    assert pairs["api"]["GLOBALMART_API_KEY_SHA256"] == hashlib.sha256(b"key").hexdigest()
    assert [service for service in SERVICES if "GLOBALMART_API_KEY_SHA256" in pairs[service]] == ["api"]


def test_dashboards_get_an_address_of_the_mirror_and_no_other_secret(settings: Settings) -> None:
    ensure_credentials(settings)
    pairs = read_pairs(settings.secrets_dir / "grafana.env")
    assert set(pairs) == {"GLOBALMART_MIRROR_URL"}
    url = urlsplit(pairs["GLOBALMART_MIRROR_URL"])
    assert (url.username, url.port, url.path) == ("grafana", 5999, "/mirror")
    others = {
        urlsplit(read_pairs(settings.secrets_dir / f"{s}.env")["GLOBALMART_POSTGRES_URL"]).password for s in SERVICES
    }
    assert url.password
    assert url.password not in others


def test_a_grafana_server_gets_random_secrets_of_its_own_and_the_mirror(settings: Settings, tmp_path: Path) -> None:
    ensure_credentials(settings)
    pairs = read_pairs(settings.secrets_dir / "grafana-server.env")
    mirror = urlsplit(read_pairs(settings.secrets_dir / "grafana.env")["GLOBALMART_MIRROR_URL"])
    assert (pairs["GLOBALMART_MIRROR_HOST"], pairs["GLOBALMART_MIRROR_SSLMODE"]) == ("127.0.0.1:5999", "disable")
    assert pairs["GLOBALMART_MIRROR_PASSWORD"] == mirror.password
    own = [pairs["GF_SECURITY_ADMIN_PASSWORD"], pairs["GF_SECURITY_SECRET_KEY"]]
    assert all(len(secret) >= 32 for secret in own)  # 24 random bytes as text
    assert len({*own, mirror.password}) == 3
    ensure_credentials(Settings(_env_file=None, state_dir=tmp_path / "other", api_key="key", postgres_port=5999))
    other = read_pairs(tmp_path / "other" / "secrets" / "grafana-server.env")
    assert other["GF_SECURITY_ADMIN_PASSWORD"] != own[0]


def test_a_second_run_keeps_secrets_and_follows_ports_and_key(settings: Settings, tmp_path: Path) -> None:
    ensure_credentials(settings)
    before = {path.name: path.read_text() for path in settings.secrets_dir.iterdir()}
    ensure_credentials(settings)
    assert {path.name: path.read_text() for path in settings.secrets_dir.iterdir()} == before
    ensure_credentials(Settings(_env_file=None, state_dir=tmp_path, api_key="other", postgres_port=6000))
    after = read_pairs(settings.secrets_dir / "api.env")
    assert after["GLOBALMART_POSTGRES_URL"].endswith(":6000/globalmart")
    assert after["GLOBALMART_API_KEY_SHA256"] == hashlib.sha256(b"other").hexdigest()
    assert f"GLOBALMART_S3_SECRET_KEY={after['GLOBALMART_S3_SECRET_KEY']}\n" in before["api.env"]
