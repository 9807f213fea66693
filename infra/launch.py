"""A process becomes one of the services: what supervisor runs (`python -m infra.launch SERVICE`), and what a container runs."""

from __future__ import annotations

import os
import sys
import time
from dataclasses import replace
from typing import NoReturn

from infra.java import java_home
from infra.servers.base import Launch, common_env
from infra.services import BY_NAME
from infra.supervision import starts_file
from lakehouse.errors import GlobalMartError
from lakehouse.settings import CHECKOUT, Settings, load_settings


def prepared(settings: Settings, name: str) -> Launch:
    """The command of `name` with its whole environment. Raises a GlobalMartError where the service cannot be prepared."""
    launch, home = BY_NAME[name].prepare(settings), java_home()
    path = f"{os.path.dirname(sys.executable)}{os.pathsep}{home / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"  # noqa: PTH120
    env = {**common_env(), "PATH": path, "JAVA_HOME": str(home), "PYTHONUNBUFFERED": "1", **launch.env}
    return replace(launch, env=env)


def become(launch: Launch) -> NoReturn:
    """Replace this process by the service, which keeps its process id."""
    os.chdir(launch.folder or CHECKOUT)
    os.execve(launch.command[0], launch.command, launch.env)  # noqa: S606


def main() -> int:
    name = sys.argv[1]
    for variable in set(os.environ) - set(common_env()):
        del os.environ[variable]
    try:
        settings = load_settings()
        launch = prepared(settings, name)
    except GlobalMartError as error:
        print(f"Error: {error}", file=sys.stderr, flush=True)
        return 1
    with starts_file(settings, name).open("a") as starts:
        starts.write(f"{time.time():.0f}\n")
    become(launch)


if __name__ == "__main__":
    sys.exit(main())
