"""`infra.servers.dagster`: how the stack's Dagster is started."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from infra.envfile import write_private
from infra.servers.base import Launch
from infra.servers.dagster import prepare_daemon, prepare_webserver
from lakehouse.settings import CHECKOUT, Settings

# What Dagster's commands do first, and then what a run would be told
_DAGSTER = """
import logging, os, sys
from dagster._cli.utils import _inject_local_env_file
with _inject_local_env_file(logging.getLogger()):
    print(os.environ.get("GLOBALMART_S3_ACCESS_KEY"))
"""


def told(launch: Launch) -> str:
    """What a run of a Dagster that is started like `launch` knows as its S3 account."""
    become = (
        "import os, sys; from pathlib import Path; from infra.launch import become; from infra.servers.base import Launch; "
        "become(Launch([sys.executable, '-c', sys.argv[1]], dict(os.environ), Path(sys.argv[2])))"
    )
    command = [sys.executable, "-c", become, _DAGSTER, str(launch.folder)]
    env = {name: value for name, value in os.environ.items() if not name.startswith("GLOBALMART_")}
    return subprocess.run(
        command, cwd=CHECKOUT, env={**env, "PYTHONPATH": str(CHECKOUT)}, capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.mark.parametrize("prepare", [prepare_daemon, prepare_webserver])
def test_runs_do_not_get_the_readers_account_from_an_env_file(prepare: object, tmp_path: Path) -> None:
    state = tmp_path / "state"
    write_private(state / "secrets" / "batch.env", "GLOBALMART_POSTGRES_URL=postgresql://batch@127.0.0.1/dagster\n")
    launch = prepare(Settings(_env_file=None, state_dir=state))  # type: ignore[operator]
    assert told(launch) == "None"
    write_private(tmp_path / "checkout" / ".env", "GLOBALMART_S3_ACCESS_KEY=reader\n")
    assert told(Launch([], folder=tmp_path / "checkout")) == "reader"  # which is what it does elsewhere
