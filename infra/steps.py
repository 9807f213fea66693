"""Long steps of the set-up: a line when one begins and ends, its output in a log file, its failure as one sentence."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from lakehouse.errors import GlobalMartError

_NO_NETWORK = re.compile(
    r"dial tcp|no such host|UnknownHost|Unknown host|Connection refused|Network is unreachable|Could not resolve"
    r"|not well configured|Temporary failure in name resolution|error sending request|dns error|i/o timeout|ConnectException|SocketTimeout",
    re.IGNORECASE,
)
_NO_SPACE = re.compile(r"no space left on device", re.IGNORECASE)


class SetupError(GlobalMartError):
    """Something that the platform needs cannot be installed."""


def say(text: str) -> None:
    print(f"  {text}", flush=True)


def run_step(
    title: str, command: Sequence[str], log: Path, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> None:
    """Run `command` with its output in `log`. Raises SetupError with the cause in words and the log's place."""
    say(f"{title} …")
    begin = time.monotonic()
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w") as output:
        result = subprocess.run(
            command, stdout=output, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, env=env or os.environ, cwd=cwd
        )
    if result.returncode != 0:
        raise SetupError(f"{title} failed: {explain(log.read_text(errors='replace'))} (log: {log})")
    say(f"{title}: done in {time.monotonic() - begin:.0f} s")


def explain(output: str) -> str:
    """The likely cause of a failed download or build, from its output."""
    if _NO_SPACE.search(output):
        return "the disk is full; free some space and run `make setup` again."
    if _NO_NETWORK.search(output):
        return "the package registry does not answer; check the network and run `make setup` again."
    lines = [line.strip() for line in output.splitlines() if line.strip(" :\t") and not line.lstrip().startswith("::")]
    return (lines[-1] if lines else "no output") + "."


def find_program(name: str, *folders: str) -> str | None:
    """The program `name` from PATH or from `folders`."""
    for folder in [*os.environ.get("PATH", "").split(os.pathsep), *folders]:
        path = Path(folder) / name
        if folder and path.is_file() and os.access(path, os.X_OK):
            return str(path)
    return None


def fail(error: GlobalMartError) -> None:
    print(f"Error: {error}", file=sys.stderr, flush=True)
