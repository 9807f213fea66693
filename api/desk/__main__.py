"""`python -m api.desk`: the alert desk until it is told to stop."""

from __future__ import annotations

import sys

from api.desk.service import NAME, main
from lakehouse import logs
from lakehouse.errors import GlobalMartError
from lakehouse.settings import load_settings

if __name__ == "__main__":
    logs.set_up(NAME)
    try:
        main(load_settings("desk"))
    except GlobalMartError as error:
        print(f"globalmart desk: {error}", file=sys.stderr, flush=True)
        sys.exit(1)
