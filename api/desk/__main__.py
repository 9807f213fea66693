"""`python -m api.desk`: the alert desk until it is told to stop."""

from __future__ import annotations

import logging
import sys

from api.desk.service import main
from lakehouse.errors import GlobalMartError
from lakehouse.settings import load_settings

if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s", stream=sys.stderr)
    for name in ("kafka", "httpx", "httpcore", "alembic"):
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        main(load_settings("desk"))
    except GlobalMartError as error:
        print(f"globalmart desk: {error}", file=sys.stderr, flush=True)
        sys.exit(1)
