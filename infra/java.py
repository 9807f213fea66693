"""Java for Spark and Kafka: found on the machine, or installed by the system's package manager where set-up may."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from infra.cache import cache_dir, locked
from infra.steps import SetupError, find_program, run_step, say

MINIMUM = 17
_PLACES = ("/usr/lib/jvm", "/usr/java", "/opt", "/opt/java", "/Library/Java/JavaVirtualMachines")


def _version(java: Path) -> int:
    """Major version of `java`, 0 where it does not run."""
    try:
        result = subprocess.run([str(java), "-version"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.search(r'version "(\d+)', result.stderr)
    return int(match.group(1)) if match else 0


def _candidates() -> list[Path]:
    found = []
    if os.environ.get("JAVA_HOME"):
        found.append(Path(os.environ["JAVA_HOME"]) / "bin/java")
    on_path = find_program("java")
    if on_path:
        found.append(Path(on_path))
    for place in _PLACES:
        for pattern in ("*/bin/java", "*/Contents/Home/bin/java"):
            found.extend(sorted(Path(place).glob(pattern), reverse=True))
    return [path for path in found if path.is_file()]


def find_java() -> Path:
    """The first `java` of version 17 or later. Raises SetupError, in one sentence, where there is none."""
    candidates = _candidates()
    for java in candidates:
        if _version(java) >= MINIMUM:
            return java
    seen = f"{candidates[0]} is older" if candidates else "there is no Java on this machine"
    raise SetupError(
        f"Spark and Kafka need Java {MINIMUM} or later, but {seen}: install it (Debian, Ubuntu: "
        f"`apt-get install openjdk-{MINIMUM}-jre-headless`) or point JAVA_HOME at one."
    )


def java_home() -> Path:
    return find_java().resolve().parents[1]


def ensure_java() -> Path:
    """As `find_java`, installing Java first when set-up runs as root on a Debian system."""
    try:
        return find_java()
    except SetupError:
        apt = find_program("apt-get")
        if apt is None or os.geteuid() != 0:
            raise
    with locked("java", lambda: say("Java: another set-up is installing it, waiting …")):
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        log = cache_dir() / "logs" / "java.log"
        run_step("Java: reading the package lists", [apt, "update"], log, env)
        last: SetupError | None = None
        for version in (MINIMUM, 21, 25):
            package = f"openjdk-{version}-jre-headless"
            try:
                run_step(
                    f"Java: installing {package}", [apt, "install", "-y", "--no-install-recommends", package], log, env
                )
                return find_java()
            except SetupError as error:
                last = error
        raise last or SetupError("Java could not be installed.")
