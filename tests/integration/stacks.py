"""A stack beside the session's one, for tests that break or replace what a stack keeps."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from infra import envfile
from infra import stack as local_stack
from lakehouse.settings import get_settings


@contextmanager
def another_stack(home: Path) -> Iterator[None]:
    """A second stack in `home`, with nothing in it: every command and `load_settings` mean that one meanwhile. The first one is down."""
    first = os.environ["GLOBALMART_ENV_FILE"]
    local_stack.down(say=lambda _: None)
    os.environ["GLOBALMART_ENV_FILE"] = str(home / ".env")
    get_settings.cache_clear()
    try:
        envfile.ensure_env(home / "state", envfile.random_ports())
        yield
    finally:
        local_stack.down(say=lambda _: None)
        os.environ["GLOBALMART_ENV_FILE"] = first
        get_settings.cache_clear()
