"""The command `globalmart notebooks`: JupyterLab on the notebooks of this checkout. Wording only."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import Annotated

import typer

EPILOG = "Example: globalmart notebooks --browser"


def notebooks(
    browser: Annotated[bool, typer.Option("--browser", help="Open the page in a browser as well.")] = False,
) -> None:
    """Serve the notebooks in JupyterLab on 127.0.0.1 until Ctrl-C; it prints an address with a fresh token.

    The port is GLOBALMART_NOTEBOOKS_PORT. Notebooks read the lake with the keys of `.env`, which can write nothing.
    """
    from infra.envfile import is_free
    from lakehouse.errors import GlobalMartError
    from lakehouse.settings import CHECKOUT, load_settings

    port = load_settings().notebooks_port
    if importlib.util.find_spec("jupyterlab") is None:
        raise GlobalMartError("JupyterLab is not installed: run `make setup`.")
    if not is_free(port):
        raise GlobalMartError(f"Port {port} is taken: set GLOBALMART_NOTEBOOKS_PORT in `.env` to a free one.")
    command = [
        *(sys.executable, "-m", "jupyterlab"),
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={CHECKOUT / 'notebooks'}",
        f"--ServerApp.open_browser={browser}",
        "--ServerApp.allow_root=True",  # as in a container; it listens on this machine alone, and asks for the token
    ]
    os.execv(command[0], command)  # noqa: S606 - this process becomes JupyterLab, so that Ctrl-C is its own
