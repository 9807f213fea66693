"""docs/api-guide.md: every example in it runs against a real server, and it leaves out no route, parameter or problem."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from api.app import create_app
from api.problems import KINDS
from lakehouse.settings import CHECKOUT, Settings

from .conftest import KEY, settings_in, wait_for

GUIDE = (CHECKOUT / "docs/api-guide.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(bash|python)\n(.*?)^```$", GUIDE, flags=re.S | re.M)


@pytest.fixture(scope="module")
def environment(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a user of a running server: `.env` has its address and key."""
    settings = settings_in(template)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    env_file = tmp_path_factory.mktemp("guide") / ".env"
    env_file.write_text(f"GLOBALMART_API_URL={url}\nGLOBALMART_API_KEY={KEY}\n")
    outside = {name: value for name, value in os.environ.items() if not name.startswith("GLOBALMART_")}
    server_environment = {
        **outside,
        "GLOBALMART_ENV_FILE": str(env_file),
        "GLOBALMART_STATE_DIR": str(settings.state_dir),
        "GLOBALMART_LAKE_URI": settings.lake_uri,
        "GLOBALMART_API_KEY_SHA256": settings.api_key_sha256,
    }
    command = [sys.executable, "-m", "uvicorn", "--factory", "api.app:create_app", "--port", str(port)]
    server = subprocess.Popen(command, cwd=CHECKOUT, env=server_environment)

    def alive() -> bool:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=1) as response:  # noqa: S310
                return bool(response.status == 200)
        except OSError:
            return False

    try:
        wait_for(alive, 60)
        yield {**outside, "GLOBALMART_ENV_FILE": str(env_file)}
    finally:
        server.terminate()
        server.wait()


@pytest.mark.parametrize(("language", "code"), BLOCKS, ids=[f"{n}-{kind}" for n, (kind, _) in enumerate(BLOCKS)])
def test_every_example_runs(environment: dict[str, str], language: str, code: str) -> None:
    _, preamble = BLOCKS[0]
    script = code if language == "bash" else f"exec {sys.executable} - <<'END_OF_EXAMPLE'\n{code}END_OF_EXAMPLE\n"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", f"{preamble}{script}"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()[-1]) > 10, done.stdout


def test_the_answer_shown_for_sales_is_the_true_one(environment: dict[str, str]) -> None:
    _, preamble = BLOCKS[0]
    code = next(code for language, code in BLOCKS if "group_by=country" in code)
    done = subprocess.run(
        ["bash", "-euc", preamble + code], env=environment, capture_output=True, text=True, check=True
    )
    (shown,) = re.findall(r"^```json\n(.*?)^```$", GUIDE, flags=re.S | re.M)
    assert json.loads(done.stdout.splitlines()[-1], parse_float=str) == json.loads(shown, parse_float=str)


def test_no_route_parameter_or_problem_is_left_out(settings: Settings) -> None:
    document = create_app(settings).openapi()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            assert f"`{method.upper()} {path}`" in GUIDE, path
            for parameter in operation.get("parameters", []):
                assert f"`{parameter['name']}`" in GUIDE or f"{{{parameter['name']}}}" in GUIDE, (
                    path,
                    parameter["name"],
                )
    for kind, (status, _) in KINDS.items():
        assert f"| {status} | `{kind}` |" in GUIDE
