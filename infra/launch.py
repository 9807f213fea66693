"""What supervisor runs: `python -m infra.launch SERVICE` prepares one server and becomes it."""

from __future__ import annotations

import os
import sys
import time

from infra.java import java_home
from infra.servers.base import common_env
from infra.services import BY_NAME
from infra.supervision import starts_file
from lakehouse.errors import GlobalMartError
from lakehouse.settings import CHECKOUT, load_settings


def main() -> int:
    name = sys.argv[1]
    for variable in set(os.environ) - set(common_env()):
        del os.environ[variable]
    try:
        settings = load_settings()
        launch = BY_NAME[name].prepare(settings)
        home = java_home()
    except GlobalMartError as error:
        print(f"Error: {error}", file=sys.stderr, flush=True)
        return 1
    with starts_file(settings, name).open("a") as starts:
        starts.write(f"{time.time():.0f}\n")
    path = f"{os.path.dirname(sys.executable)}{os.pathsep}{home / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"  # noqa: PTH120
    env = {**common_env(), "PATH": path, "JAVA_HOME": str(home), "PYTHONUNBUFFERED": "1", **launch.env}
    os.chdir(CHECKOUT)
    os.execve(launch.command[0], launch.command, env)  # noqa: S606 becoming the server keeps its process id
    return 1


if __name__ == "__main__":
    sys.exit(main())
