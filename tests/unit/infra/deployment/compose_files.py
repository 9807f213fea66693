"""The compose files as the tests read them: with extensions resolved, and the second laid over the first as Compose does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from lakehouse.settings import CHECKOUT

FOLDER = CHECKOUT / "infra" / "docker"
BASE, CLUSTER = FOLDER / "docker-compose.yml", FOLDER / "docker-compose.cluster.yml"
UNITS = {"k": 2**10, "m": 2**20, "g": 2**30}


def read(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load(path.read_text())
    return loaded


def services(*paths: Path) -> dict[str, dict[str, Any]]:
    """Services of `paths`, each file laid over those before it."""
    found: dict[str, dict[str, Any]] = {}
    for path in paths:
        for name, service in read(path)["services"].items():
            under = found.get(name, {})
            if "extends" in service:
                under = read(FOLDER / service["extends"]["file"])["services"][service["extends"]["service"]]
            found[name] = _over(under, {key: value for key, value in service.items() if key != "extends"})
    return found


def _over(under: dict[str, Any], over: dict[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for key, value in over.items():
        if key == "volumes":
            merged[key] = list({target(mount): mount for mount in [*under.get(key, []), *value]}.values())
        elif isinstance(value, dict) and isinstance(under.get(key), dict):
            merged[key] = {**under[key], **value}
        else:
            merged[key] = value
    return merged


def target(mount: str | dict[str, Any]) -> str:
    return mount.split(":")[1] if isinstance(mount, str) else str(mount["target"])


def source(mount: str | dict[str, Any]) -> str:
    return mount.split(":")[0] if isinstance(mount, str) else str(mount["source"])


def is_writable(mount: str | dict[str, Any]) -> bool:
    return not mount.endswith(":ro") if isinstance(mount, str) else not mount.get("read_only", False)


def secret_files(service: dict[str, Any]) -> list[str]:
    """Which files of the volume `secrets` a service is given; `*` is all of them."""
    mounts = [mount for mount in service.get("volumes", []) if source(mount) == "secrets"]
    return [mount["volume"]["subpath"] if isinstance(mount, dict) else "*" for mount in mounts]


def is_once(service: dict[str, Any]) -> bool:
    """Whether it is to end by itself."""
    return bool(service.get("restart") == "no")


def memory(service: dict[str, Any]) -> int:
    """Its limit in bytes."""
    text = str(service["deploy"]["resources"]["limits"]["memory"])
    return int(text[:-1]) * UNITS[text[-1]]
