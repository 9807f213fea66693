"""`python -m infra.monitoring`: the monitor until it is told to stop."""

from __future__ import annotations

import sys

from infra.monitoring.monitor import NAME, run
from lakehouse import logs
from lakehouse.errors import GlobalMartError
from lakehouse.heartbeat import stop_on_signals
from lakehouse.settings import load_settings

if __name__ == "__main__":
    logs.set_up(NAME)
    try:
        run(load_settings("monitor"), stop_on_signals())
    except GlobalMartError as error:
        print(f"globalmart monitor: {error}", file=sys.stderr, flush=True)
        sys.exit(1)
