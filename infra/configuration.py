"""The reference page of the settings, `docs/configuration.md`: `python -m infra.configuration > docs/configuration.md`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from annotated_types import Ge, Gt, Le
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from lakehouse.settings import CHECKOUT, PREFIX, Settings

_HEAD = """# Configuration

Made from `lakehouse/settings.py` by `python -m infra.configuration > docs/configuration.md`; a test fails when it is out of date.

A setting is a variable of the environment, or a line `NAME=value` of `.env` in the checkout. Stronger comes first: the environment; the secret
file of the running service (`secrets/` in the state folder, see [security](security.md)); `.env`. `NAME=` with nothing behind it means: not
set. `globalmart up` writes `.env` where there is none, with free ports and fresh secrets, and changes nothing in it but the profile. A service reads
its settings when it starts: after a change run `globalmart down` and `globalmart up`. A relative `GLOBALMART_STATE_DIR` is below the checkout.

A value that is no number where one is wanted, or out of its limits, ends any command with *The setting … is not usable*, the reason and the
place it comes from. `globalmart doctor` looks at addresses and ports too.

Two more are read from the environment alone:

| variable | default | meaning |
|---|---|---|
| `GLOBALMART_ENV_FILE` | `.env` in the checkout | another file in its place: a second stack on the same machine |
| `GLOBALMART_CACHE_DIR` | `~/.cache/globalmart` | where set-up keeps jars and the MinIO server, for all checkouts |
"""

_SECTIONS = {
    "state_dir": "Where things are",
    "kafka_bootstrap_servers": "Kafka",
    "s3_endpoint": "S3",
    "postgres_url": "PostgreSQL and the API's address",
    "listen_host": "Where the stack's own servers are",
    "kafka_port": "Ports of the local stack, all on 127.0.0.1",
    "kafka_memory_gb": "Memory of the local stack's servers",
    "spark_master": "Spark",
    "stream_trigger_seconds": "Streaming",
    "realtime_memory_gb": "Real-time lane",
    "refresh_seconds": "Serving",
    "api_workers": "API",
    "mirror_database": "PostgreSQL mirror",
    "alert_rules": "Alert desk",
    "backup_s3_endpoint": "Backup",
    "metrics_host": "Monitoring",
    "service": "Set by the stack itself",
}
"""The setting with which each section begins."""


def page() -> str:
    """The whole page as Markdown."""
    return "\n".join([_HEAD, *_lines()])


def _lines() -> Iterator[str]:
    for name, field in Settings.model_fields.items():
        if name in _SECTIONS:
            yield from (
                "",
                f"## {_SECTIONS[name]}",
                "",
                "| setting | default | may be | meaning |",
                "|---|---|---|---|",
            )
        yield f"| `{PREFIX}{name.upper()}` | {_default(field.default)} | {_allowed(field)} | {field.description} |"
    yield ""


def _default(value: object) -> str:
    if value is None or value == "" or isinstance(value, SecretStr):
        return ""
    return f"`{value.relative_to(CHECKOUT) if isinstance(value, Path) else value}`"


def _allowed(field: FieldInfo) -> str:
    """Kind and limits in words."""
    kind = next((one for one in get_args(field.annotation) if one is not type(None)), field.annotation)
    if get_origin(field.annotation) is Literal or get_origin(kind) is Literal:
        return ", ".join(f"`{one}`" for one in get_args(kind if get_origin(kind) is Literal else field.annotation))
    kinds: dict[Any, str] = {
        bool: "`true`, `false`",
        int: "whole number",
        float: "number",
        Path: "path",
        SecretStr: "text, kept secret",
    }
    limits = [*(_limit(one) for one in field.metadata)]
    return ", ".join([kinds.get(kind, "text"), *(one for one in limits if one)])


def _limit(rule: object) -> str:
    match rule:
        case Ge(ge):
            return f"{ge} or more"
        case Gt(gt):
            return f"above {gt}"
        case Le(le):
            return f"{le} at most"
    return ""


if __name__ == "__main__":
    print(page(), end="")
