"""Chromium for the browser tests: found on the machine, or installed by the system's package manager where set-up may."""

from __future__ import annotations

import os
from pathlib import Path

from infra.cache import cache_dir, locked
from infra.steps import SetupError, find_program, run_step, say

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


def find_chromium() -> Path:
    """The browser: `CHROMIUM_PATH`, or the first on the path. Raises SetupError, in one sentence, where there is none."""
    named = os.environ.get("CHROMIUM_PATH")
    found = named if named and Path(named).is_file() else next(filter(None, map(find_program, _NAMES)), None)
    if found is None:
        raise SetupError(
            "The browser tests need Chromium: install it (Debian: `apt-get install chromium`) or point CHROMIUM_PATH at one."
        )
    return Path(found)


def ensure_chromium() -> Path:
    """As `find_chromium`, installing it first when set-up runs as root on a Debian system."""
    try:
        return find_chromium()
    except SetupError:
        apt = find_program("apt-get")
        if apt is None or os.geteuid() != 0:
            raise
    with locked("chromium", lambda: say("Chromium: another set-up is installing it, waiting …")):
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        log = cache_dir() / "logs" / "chromium.log"
        run_step("Chromium: reading the package lists", [apt, "update"], log, env)
        install = [apt, "install", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core"]
        run_step("Chromium: installing it for the browser tests", install, log, env)
        return find_chromium()
