"""The command itself: help of every command, and errors as one sentence."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.cli import app
from lakehouse.settings import CHECKOUT


def _globalmart(env_file: Path, *args: str) -> subprocess.CompletedProcess[str]:
    env = {"PATH": "/usr/bin:/bin", "HOME": str(env_file.parent), "GLOBALMART_ENV_FILE": str(env_file)}
    command = [sys.executable, "-m", "infra.cli", *args]
    return subprocess.run(command, cwd=CHECKOUT, env=env, capture_output=True, text=True)


@pytest.mark.parametrize("command", ["setup", "up", "down", "status", "doctor"])
def test_help_has_an_example(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"Example: globalmart {command}" in result.output


def test_corrupt_env_is_one_sentence_and_is_kept(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("GLOBALMART_API_PORT=8000\nnonsense\n")
    result = _globalmart(path, "up")
    assert result.returncode == 1
    assert result.stderr == (
        f"Error: {path} line 2 is not NAME=value. Mend the line, or move the file away and run `globalmart up`.\n"
    )
    assert path.read_text() == "GLOBALMART_API_PORT=8000\nnonsense\n"


def test_env_that_is_not_text_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_bytes(b"\xff\xfe\x00")
    result = _globalmart(path, "status")
    assert result.returncode == 1
    assert result.stderr.startswith(f"Error: {path} is not UTF-8 text.")
    assert result.stderr.count("\n") == 1


def test_an_unknown_service_is_one_sentence(tmp_path: Path) -> None:
    result = _globalmart(tmp_path / ".env", "up", "--only", "kafkaa")
    assert result.returncode == 1
    assert result.stderr.startswith(
        "Error: There is no service 'kafkaa': the services are kafka, kafka-2, kafka-3, minio"
    )
