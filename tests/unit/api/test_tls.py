"""TLS by setting: the server that the stack starts speaks it, and nothing else on that port."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from infra.servers.own import api_health, prepare_api
from lakehouse.errors import SettingsError
from lakehouse.settings import CHECKOUT, Settings, load_settings

from .conftest import wait_for


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1, signed by itself, and its key, as PEM files."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(minutes=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    (tmp_path / "certificate.pem").write_bytes(made.public_bytes(pem))
    unlocked = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "key.pem").write_bytes(unlocked)
    return tmp_path / "certificate.pem", tmp_path / "key.pem"


@pytest.fixture
def served(settings: Settings, certificate: tuple[Path, Path], tmp_path: Path) -> Iterator[Settings]:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    changed = {"api_port": port, "api_tls_certificate": certificate[0], "api_tls_key": certificate[1]}
    tls = settings.model_copy(update=changed)
    outside = {name: value for name, value in os.environ.items() if not name.startswith("GLOBALMART_")}
    environment = {
        **outside,
        "GLOBALMART_ENV_FILE": str(tmp_path / "none"),
        "GLOBALMART_STATE_DIR": str(tls.state_dir),
        "GLOBALMART_API_KEY_SHA256": tls.api_key_sha256,
        "GLOBALMART_API_TLS_CERTIFICATE": str(certificate[0]),
        "GLOBALMART_API_TLS_KEY": str(certificate[1]),
    }
    server = subprocess.Popen(prepare_api(tls).command, cwd=CHECKOUT, env=environment)
    try:
        wait_for(lambda: api_health(tls, None).ok, 60)
        yield tls
    finally:
        server.terminate()
        server.wait()


def test_with_a_certificate_the_api_speaks_tls_alone(served: Settings) -> None:
    address = f"127.0.0.1:{served.api_port}/health"
    trusted = ssl.create_default_context(cafile=str(served.api_tls_certificate))
    with urllib.request.urlopen(f"https://{address}", timeout=5, context=trusted) as answer:
        assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"
    with pytest.raises((urllib.error.URLError, OSError)):
        urllib.request.urlopen(f"http://{address}", timeout=5)


def test_a_certificate_without_its_key_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOBALMART_ENV_FILE", str(tmp_path / "none"))
    with pytest.raises(SettingsError, match="belong together"):
        load_settings(api_tls_certificate=tmp_path / "certificate.pem")
