"""A disk that fills under each part's data, while traffic flows: a sentence says so, and once there is room nothing is lost.

Each part's folder is a small file system in memory of its own, which takes the right to mount; without it the tests are skipped.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from conftest import Stack, wait_for
from settling import settle
from stacks import another_stack

from infra import stack as local_stack
from lakehouse.ledger import last_entry
from lakehouse.settings import CHECKOUT
from lakehouse.storage import open_table
from lakehouse.tables import LEDGER_STREAMING

pytestmark = [pytest.mark.integration, pytest.mark.long, pytest.mark.timeout(1800)]

VOLUMES = {"kafka": "data/kafka", "minio": "data/minio", "streaming": "checkpoints"}
MIB = 2**20


def mount(folder: Path, mib: int) -> None:
    """A file system in memory over the empty `folder`; skips the test where that is not allowed."""
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=0700", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if done.returncode != 0:
        pytest.skip(f"no right to mount: {done.stderr.strip()}")


@pytest.fixture(scope="module")
def small(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A stack whose volumes have 768 MiB each."""
    home = tmp_path_factory.mktemp("small")
    with ExitStack() as held:
        for place in VOLUMES.values():
            mount(home / "state" / place, 768)
            held.callback(subprocess.run, ["umount", "--lazy", str(home / "state" / place)], check=True)
        with another_stack(home):
            own = Stack(home)
            own("kafka", "minio", "postgres", "streaming")
            traffic(99, 3).wait()
            yield own


class Ballast:
    """Fills what is left of a folder's file system, to the last byte."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "ballast"

    def fill(self) -> None:
        with self._file.open("ab", buffering=0) as file:
            for size in (MIB, 1024, 1):
                try:
                    while True:
                        file.write(b"\0" * size)
                except OSError:
                    continue

    def is_full(self) -> bool:
        found = os.statvfs(self._file.parent)
        return found.f_bavail * found.f_bsize < MIB

    def drop(self) -> None:
        self._file.unlink()


def traffic(seed: int, seconds: int = 60) -> subprocess.Popen[str]:
    options = [
        "--rate",
        "400",
        "--duration",
        f"{seconds}s",
        "--seed",
        str(seed),
        "--malformed",
        "0.01",
        "--duplicates",
        "0.02",
    ]
    command = [sys.executable, "-m", "ingestion", *options, "--no-catalogue", "--json"]
    return subprocess.Popen(command, cwd=CHECKOUT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def unwell() -> dict[str, str]:
    """Of the services that were asked for and are not well, what `status` says."""
    return {one.name: one.health for one in local_stack.status() if one.wanted and not one.healthy}


@pytest.mark.parametrize("name", VOLUMES)
def test_a_full_disk_is_told_and_loses_nothing(small: Stack, name: str) -> None:
    ballast = Ballast(small.settings().state_dir / VOLUMES[name])
    before = settle(small.settings())
    running = traffic(100 + list(VOLUMES).index(name))
    try:
        wait_for(lambda: settled_more(small, before.batch_id), "the traffic is in the lake", 120)
        ballast.fill()
        assert ballast.is_full()
        said = wait_for(unwell, f"somebody says that {name} cannot write", 180)
        assert all(words.strip() for words in said.values())
        ballast.drop()
        wait_for(lambda: not unwell(), "all are well again, by themselves", 300)
        out, _ = running.communicate(timeout=600)
    finally:
        running.kill()
        running.wait()
    report: dict[str, Any] = json.loads(out)
    assert report["unacknowledged"] == 0
    books = settle(small.settings())
    assert sum(line.kafka for line in books.topics) - sum(line.kafka for line in before.topics) >= sum(
        report["acknowledged"].values()
    )


def settled_more(small: Stack, batch_id: int) -> bool:
    entry = last_entry(open_table(small.settings(), LEDGER_STREAMING))
    return entry is not None and entry.batch_id > batch_id + 1
