"""The real stack: it comes up in order, comes back after kills, keeps accounts apart, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
import psutil
import psycopg
import pyarrow as pa
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from deltalake import write_deltalake

from infra import envfile, supervision
from infra import stack as local_stack
from infra.s3_users import check_reader
from lakehouse.settings import CHECKOUT, Service, load_settings
from lakehouse.storage import bucket, delta_options, delta_uri, open_table
from lakehouse.tables import USERS

pytestmark = pytest.mark.integration

SERVERS = ("kafka", "minio", "postgres")


def _globalmart(*args: str, **env: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "infra.cli", *args]
    return subprocess.run(command, cwd=CHECKOUT, env={**os.environ, **env}, capture_output=True, text=True)


def _s3(service: Service | None = None) -> Any:
    settings = load_settings(service)
    return boto3.client(
        "s3",
        endpoint_url=settings.s3_endpoint,
        region_name=settings.s3_region,
        aws_access_key_id=settings.s3_access_key,
        aws_secret_access_key=settings.s3_secret_key.get_secret_value(),
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )


def _refused(call: Any, **arguments: Any) -> bool:
    try:
        call(Bucket=bucket(load_settings()), **arguments)
    except ClientError as error:
        return error.response["Error"]["Code"] == "AccessDenied"
    return False


@pytest.fixture
def servers(stack: Any) -> Any:
    stack(*SERVERS)
    return stack


def test_servers_come_up_and_status_says_so(servers: Any) -> None:
    result = _globalmart("status", "--json")
    told = {one["name"]: one for one in json.loads(result.stdout)["services"]}
    settings = load_settings()
    for name, port in (
        ("kafka", settings.kafka_port),
        ("minio", settings.s3_port),
        ("postgres", settings.postgres_port),
    ):
        assert told[name]["state"] == "RUNNING"
        assert told[name]["healthy"]
        assert told[name]["address"].endswith(f"127.0.0.1:{port}")
        assert psutil.pid_exists(told[name]["pid"])


def test_every_server_listens_on_the_loopback_alone(servers: Any) -> None:
    pids = {process.pid for process in servers.processes()}
    listening = [c for c in psutil.net_connections("tcp") if c.pid in pids and c.status == psutil.CONN_LISTEN]
    assert len(listening) >= 4
    addresses = {connection.laddr.ip.removeprefix("::ffff:") for connection in listening}
    assert addresses <= {"127.0.0.1", "::1"}  # MinIO takes both names of the loopback


def test_a_second_up_changes_no_process(servers: Any) -> None:
    before = [servers.status(name).pid for name in SERVERS]
    servers(*SERVERS)
    assert [servers.status(name).pid for name in SERVERS] == before


def test_what_a_changed_configuration_stops_comes_back(servers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: servers.status(name).pid for name in ("kafka", "minio", "postgres")}
    monkeypatch.setenv("GLOBALMART_LOG_LEVEL", "WARNING")
    servers("minio")
    after = {name: servers.status(name) for name in before}
    assert all(one.healthy and one.pid != before[name] for name, one in after.items())


@pytest.mark.parametrize("name", SERVERS)
def test_a_killed_server_comes_back(servers: Any, name: str) -> None:
    restarts = servers.status(name).restarts
    pid = servers.kill(name)
    after = servers.wait_healthy(name, after_pid=pid)
    assert after.restarts > restarts


def test_secrets_are_private(servers: Any) -> None:
    settings = load_settings()
    assert stat.S_IMODE(settings.secrets_dir.stat().st_mode) == 0o700
    secret = [servers.home / ".env", *settings.secrets_dir.iterdir(), supervision.folder(settings) / "supervisord.conf"]
    assert {stat.S_IMODE(path.stat().st_mode) for path in secret} == {0o600}


def test_no_process_has_a_superuser_secret_in_its_environment(servers: Any) -> None:
    folder = load_settings().secrets_dir
    root = (folder / "minio-root.env").read_text().split("MINIO_ROOT_PASSWORD=")[1].strip()
    superuser = (folder / "postgres-superuser").read_text().strip()
    for process in servers.processes():
        told = "\n".join(process.environ().values()) + " ".join(process.cmdline())
        assert root not in told
        assert superuser not in told


def test_s3_accounts_write_only_what_they_own(servers: Any) -> None:
    streaming, batch, serving, reader = _s3("streaming"), _s3("batch"), _s3("serving"), _s3()
    own, foreign, lease = "silver/users/part-0", "gold/customer_rfm/part-0", "ops/leases/streaming/lease"
    name = bucket(load_settings())
    for key in (own, lease):
        streaming.put_object(Bucket=name, Key=key, Body=b"x")
    batch.put_object(Bucket=name, Key=foreign, Body=b"x")
    try:
        assert _refused(streaming.put_object, Key=foreign, Body=b"x")
        assert _refused(streaming.delete_object, Key=foreign)
        assert _refused(batch.put_object, Key=own, Body=b"x")
        assert _refused(batch.delete_object, Key=own)
        for client in (serving, reader):
            assert client.get_object(Bucket=name, Key=own)["Body"].read() == b"x"
            assert _refused(client.put_object, Key=own, Body=b"y")
            assert _refused(client.delete_object, Key=own)
        assert reader.list_objects_v2(Bucket=name, Prefix="silver/users/")["KeyCount"] >= 1
        assert _refused(serving.get_object, Key="bronze/events/part-0")
    finally:
        for client, key in ((streaming, own), (streaming, lease), (batch, foreign)):
            client.delete_object(Bucket=name, Key=key)


def test_a_log_of_many_commits_leaves_few_connections_open(servers: Any) -> None:
    settings = load_settings("streaming")
    own = settings.model_copy(update={"lake_uri": f"{settings.lake_uri}/{USERS.path}/test-{uuid4().hex}"})
    for number in range(40):
        rows = pa.table({"number": [number]})
        write_deltalake(delta_uri(own, USERS), rows, mode="append", storage_options=delta_options(own))
    before = psutil.Process().num_fds()
    opened = open_table(own, USERS)
    assert opened.version() == 39
    assert psutil.Process().num_fds() - before < 15


def test_postgres_reader_cannot_write_and_batch_owns_the_dagster_database(servers: Any) -> None:
    with psycopg.connect(load_settings("batch").postgres_url.get_secret_value(), autocommit=True) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS written_by_test (n integer)")
        connection.execute("DROP TABLE written_by_test")
    with psycopg.connect(load_settings().postgres_url.get_secret_value(), autocommit=True) as connection:
        for statement in ("CREATE TABLE t (n integer)", "CREATE TEMP TABLE t (n integer)", "CREATE SCHEMA s"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement)


def test_wrong_s3_credentials_are_told_in_one_sentence(servers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GLOBALMART_S3_SECRET_KEY", "wrong-wrong")
    words = check_reader(load_settings())
    assert "refuses the pair in .env (SignatureDoesNotMatch)" in words
    monkeypatch.setenv("GLOBALMART_S3_ACCESS_KEY", "nobody")
    assert "(InvalidAccessKeyId)" in check_reader(load_settings())


def test_a_stack_that_lost_its_supervisor_is_put_right_by_up(servers: Any) -> None:
    pid = int((supervision.folder(load_settings()) / "supervisord.pid").read_text())
    before = {name: servers.status(name).pid for name in SERVERS}
    os.kill(pid, 9)
    psutil.Process(pid).wait(10) if psutil.pid_exists(pid) else None
    assert servers.status("kafka").health == "supervisor is not running"
    servers(*SERVERS)
    for name in SERVERS:
        assert servers.status(name).healthy
        assert not psutil.pid_exists(before[name])


def test_a_taken_port_is_one_sentence_and_nothing_is_started(
    tmp_path: Path, stack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLOBALMART_ENV_FILE", str(tmp_path / ".env"))
    ports = envfile.random_ports()
    envfile.ensure_env(tmp_path / "state", ports)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", ports["s3_port"]))
        taken.listen()
        result = _globalmart("up", "--only", "minio")
    assert result.returncode == 1
    assert result.stderr.startswith(f"Error: Port {ports['s3_port']} for minio is taken by ")
    assert f"(pid {os.getpid()}: " in result.stderr
    assert result.stderr.count("\n") == 1
    assert supervision.leftovers(load_settings()) == []


def test_two_stacks_run_side_by_side_and_down_leaves_no_process(
    servers: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GLOBALMART_ENV_FILE", str(tmp_path / ".env"))
    envfile.ensure_env(
        tmp_path / "a rather long name of a folder, with blanks" / "state" / ("x" * 60),
        envfile.random_ports(),
    )
    try:
        result = _globalmart("up", "--only", "minio", "--only", "postgres")
        assert result.returncode == 0, result.stderr
        second = load_settings()
        processes = supervision.leftovers(second)
        assert len(processes) >= 3
    finally:
        result = _globalmart("down")
    assert result.stdout == "  stopped minio, postgres and supervisor\n"
    assert supervision.leftovers(second) == []
    assert not any(process.is_running() for process in processes)
    assert _globalmart("down").stdout == "  nothing was running\n"
    assert _globalmart("status").returncode == 1
    monkeypatch.setenv("GLOBALMART_ENV_FILE", str(servers.home / ".env"))
    assert all(servers.status(name).healthy for name in SERVERS)


def test_a_service_that_fails_is_told_with_the_end_of_its_log(servers: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = load_settings()
    servers.stop("minio")
    root = settings.secrets_dir / "minio-root.env"
    good = root.read_text()
    root.write_text("MINIO_ROOT_USER=a\nMINIO_ROOT_PASSWORD=b\n")
    try:
        result = _globalmart("up", "--only", "minio")
    finally:
        root.write_text(good)
        servers.stop("minio")
        servers("minio")
    assert result.returncode == 1
    assert result.stderr.startswith("Error: minio does not come up: ")
    assert str(settings.state_dir / "logs" / "minio.log") in result.stderr
    assert local_stack.wanted(settings)
