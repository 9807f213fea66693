"""docs/demonstration.md: its commands, run in their order on the stack of the tests; each step shows what the page says one sees."""

from __future__ import annotations

import os
import re
import subprocess
from typing import Any

import pytest
from documents import DOCS, command_lines

from lakehouse.settings import CHECKOUT

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

PAGE = (DOCS / "demonstration.md").read_text("utf-8")
SERVICES = ("kafka", "minio", "postgres", "streaming", "refresher", "desk", "api")
NOT_HERE = {
    'cd "$(git rev-parse --show-toplevel)"': "the tests are there already",
    ".venv/bin/globalmart read gold/customer_rfm --limit 3": "needs a day's run: tests/integration/test_orchestration.py",
    "make down": "the stack of the tests ends with the session",
}
# A block, and what follows it up to the next block or heading
_STEP = re.compile(r"```console\n(.*?)```\n+(.*?)(?=\n```|\n## |\Z)", flags=re.S)
STEPS = [
    (command_lines(block), re.findall(r"`([^`]+)`", after))
    for block, after in _STEP.findall(PAGE)
    if after.startswith("**See**")
]


def run(script: str) -> str:
    """What the script prints, as it stands on the page, in the shell of a reader. Fails the test where it fails."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=CHECKOUT,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT), "COLUMNS": "160"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}\n{done.stderr}"
    return done.stdout + done.stderr


def test_every_command_is_run_or_it_is_said_why_not() -> None:
    every = {line for block in re.findall(r"```console\n(.*?)```", PAGE, flags=re.S) for line in command_lines(block)}
    assert every - {line for lines, _ in STEPS for line in lines} == set(NOT_HERE)
    assert len(STEPS) >= 10


def test_the_minutes_add_up_to_a_quarter_of_an_hour_and_some() -> None:
    assert 15 <= sum(int(found) for found in re.findall(r"^## .*\((\d+) minutes?\)$", PAGE, flags=re.M)) <= 20


@pytest.mark.long
def test_each_step_shows_what_the_page_says(stack: Any) -> None:
    stack(*SERVICES)
    for lines, seen in STEPS:
        output = run("\n".join(lines))
        shown = [words for words in seen if not words.startswith(("--", "/", "alerts "))]
        assert [words for words in shown if words.lower() not in output.lower()] == [], "\n".join(lines) + output
