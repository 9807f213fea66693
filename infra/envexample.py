"""`.env.example`, derived from the settings class: `python -m infra.envexample > .env.example`."""

from __future__ import annotations

from pathlib import Path

from pydantic import SecretStr

from lakehouse.settings import CHECKOUT, PREFIX, Settings

_HEAD = """\
# Every setting with its default. Set-up writes a `.env` with free ports and fresh secrets; a line here only shows how.
# Stronger than `.env` are, in this order: the environment, and the secret file of the running service.
#
# Two more are read from the environment alone:
#   GLOBALMART_ENV_FILE   another file in place of the checkout's `.env`
#   GLOBALMART_CACHE_DIR  where set-up keeps jars and the MinIO server (default: ~/.cache/globalmart)
"""


def render() -> str:
    """The text of the file: one commented line per setting, below its meaning."""
    blocks = [_HEAD]
    for name, field in Settings.model_fields.items():
        blocks.append(f"# {field.description}\n# {PREFIX}{name.upper()}={_default(field.default)}\n")
    return "\n".join(blocks)


def _default(value: object) -> str:
    if value is None or isinstance(value, SecretStr):
        return ""
    if isinstance(value, Path):
        return str(value.relative_to(CHECKOUT))
    return str(value)


if __name__ == "__main__":
    print(render(), end="")
