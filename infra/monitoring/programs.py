"""Prometheus and Alertmanager: found on the machine, or unpacked from Debian's packages where apt can fetch them.

Unpacked, not installed: an installed package starts a server of its own, on all addresses, and needs root.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from infra.cache import cache_dir, make_once
from infra.steps import SetupError, find_program, run_step, say

PROMETHEUS, ALERTMANAGER, PROMTOOL, AMTOOL = "prometheus", "prometheus-alertmanager", "promtool", "amtool"
_PACKAGES = (PROMETHEUS, ALERTMANAGER)
_FOLDER = "monitoring-from-debian"
_NAMES = {ALERTMANAGER: (ALERTMANAGER, "alertmanager")}  # Debian's name, everybody else's


def unpacked() -> Path:
    """Where the packages are unpacked, or would be."""
    return cache_dir() / _FOLDER


def find(program: str) -> Path | None:
    """The program on the path or among the unpacked ones; None where there is none."""
    for name in _NAMES.get(program, (program,)):
        found = find_program(name, str(unpacked() / "usr" / "bin"))
        if found:
            return Path(found)
    return None


def is_installed() -> bool:
    return all(find(program) for program in (PROMETHEUS, ALERTMANAGER, PROMTOOL, AMTOOL))


def ensure_monitoring() -> bool:
    """Have the programs where that is possible; False, and a line that says so, where it is not: the stack works without."""
    if is_installed():
        return True
    if find_program("apt-get") is None or find_program("dpkg-deb") is None:
        say("Prometheus and Alertmanager are not on this machine, and there is no apt: the stack works without them.")
        return False
    try:
        make_once(_FOLDER, _unpack)
    except SetupError as error:
        say(f"{error} The stack works without Prometheus and Alertmanager.")
        return False
    return is_installed()


def _unpack(folder: Path) -> None:
    """Fetch the packages with apt, which checks their signatures, and unpack them into `folder`. Raises SetupError."""
    logs, fetched = cache_dir() / "logs", folder / "packages"
    fetched.mkdir()
    run_step(
        "Prometheus: fetching Debian's packages",
        ["apt-get", "download", *_PACKAGES],
        logs / "prometheus.log",
        cwd=fetched,
    )
    for package in sorted(fetched.glob("*.deb")):
        run_step(
            f"{package.name.partition('_')[0]}: unpacking",
            ["dpkg-deb", "-x", str(package), str(folder)],
            logs / "dpkg.log",
        )
    shutil.rmtree(fetched)
