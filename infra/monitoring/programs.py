"""Prometheus and Alertmanager: found on the machine, or unpacked from Debian's packages where apt can fetch them.

Unpacked, not installed: an installed package starts a server of its own, on all addresses, and needs root.
"""

from __future__ import annotations

import os
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


# The one path that Debian's Alertmanager has no option for: it does not start without its templates there.
_TEMPLATES = Path("/usr/share/prometheus/alertmanager")


def find(program: str) -> Path | None:
    """The program on the path or among the unpacked ones; None where there is none."""
    for name in _NAMES.get(program, (program,)):
        found = find_program(name, str(unpacked() / "usr" / "bin"))
        if found:
            return Path(found)
    return None


def has_prometheus() -> bool:
    return find(PROMETHEUS) is not None and find(PROMTOOL) is not None


def has_alertmanager() -> bool:
    """Whether it could start, too: unpacked, it also needs its templates in their place."""
    found = find(ALERTMANAGER)
    return found is not None and (found.name == "alertmanager" or (_TEMPLATES / "default.tmpl").exists())


def is_installed() -> bool:
    return has_prometheus() and has_alertmanager()


def ensure_monitoring() -> bool:
    """Have the programs where that is possible; False, and a line that says so, where it is not: the stack works without."""
    if is_installed():
        return True
    if find_program("apt-get") is None or find_program("dpkg-deb") is None:
        say("Prometheus and Alertmanager are not on this machine, and there is no apt: the stack works without them.")
        return False
    try:
        make_once(_FOLDER, _unpack)
        _put_templates()
    except SetupError as error:
        say(f"{error} The stack works without Prometheus and Alertmanager.")
        return False
    return is_installed()


def _put_templates() -> None:
    """Where set-up may: as root. Elsewhere Prometheus runs without Alertmanager, and the desk's own watch goes on."""
    unpacked_templates = unpacked() / _TEMPLATES.relative_to("/")
    if os.geteuid() == 0 and not _TEMPLATES.exists() and unpacked_templates.is_dir():
        shutil.copytree(unpacked_templates, _TEMPLATES)


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
