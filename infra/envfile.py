"""`.env`: written once with free ports and fresh secrets, mode 0600, and never overwritten; the profile alone is changed in it."""

from __future__ import annotations

import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path

from lakehouse.errors import SettingsError
from lakehouse.settings import PREFIX, Settings, env_file

PORTS = tuple(name for name in Settings.model_fields if name.endswith("_port"))
_STEP = 100  # a taken port moves the whole set, so that the ports of one checkout are told by their distance
_TRIES = 50


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:`port` now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def choose_ports() -> dict[str, int]:
    """A free port per port setting: those named in the environment as they are, the others all moved by one distance."""
    fixed = {name: os.environ.get(PREFIX + name.upper(), "") for name in PORTS}
    for name, value in fixed.items():
        if value and not value.isdigit():
            raise SettingsError(f"{PREFIX}{name.upper()}={value} is not a port number.")
    for shift in range(0, _STEP * _TRIES, _STEP):
        ports = {name: int(fixed[name] or Settings.model_fields[name].default + shift) for name in PORTS}
        if all(fixed[name] or is_free(port) for name, port in ports.items()):
            return ports
    raise SettingsError(f"No free set of ports found: name them in {PREFIX}KAFKA_PORT and so on.")


def random_ports() -> dict[str, int]:
    """Free ports chosen by the system, for throw-away stacks."""
    probes = [socket.socket() for _ in PORTS]
    try:
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return {name: probe.getsockname()[1] for name, probe in zip(PORTS, probes, strict=True)}
    finally:
        for probe in probes:
            probe.close()


def render(ports: dict[str, int], state_dir: Path | None = None) -> str:
    """The text of a new `.env` with fresh secrets."""
    lines = [
        "# Written once by GlobalMart's set-up; yours to edit. `.env.example` explains every setting.",
        "# Kept secret: this file lets its reader read the lake, PostgreSQL and the API. It lets nobody write.",
        *([f"GLOBALMART_STATE_DIR={state_dir}"] if state_dir else []),
        f"GLOBALMART_JARS_DIR={(state_dir or Settings.model_fields['state_dir'].default) / 'jars' / 'spark'}",
        f"GLOBALMART_LAKE_URI={Settings.model_fields['lake_uri'].default}",
        *[f"{PREFIX}{name.upper()}={port}" for name, port in ports.items()],
        f"GLOBALMART_KAFKA_BOOTSTRAP_SERVERS=127.0.0.1:{ports['kafka_port']}",
        f"GLOBALMART_S3_ENDPOINT=http://127.0.0.1:{ports['s3_port']}",
        "GLOBALMART_S3_ACCESS_KEY=reader",
        f"GLOBALMART_S3_SECRET_KEY={secrets.token_urlsafe(24)}",
        f"GLOBALMART_POSTGRES_URL=postgresql://reader:{secrets.token_urlsafe(24)}@{_postgres_host()}:{ports['postgres_port']}/globalmart",
        f"GLOBALMART_API_URL=http://127.0.0.1:{ports['api_port']}",
        f"GLOBALMART_API_KEY={secrets.token_urlsafe(32)}",
    ]
    return "\n".join(lines) + "\n"


def _postgres_host() -> str:
    return os.environ.get(f"{PREFIX}POSTGRES_HOST") or Settings.model_fields["postgres_host"].default


def write_private(path: Path, text: str, replace: bool = False) -> bool:
    """Write a file of mode 0600, whole or not at all; False where it is there and not to be replaced."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    with suppress(FileNotFoundError):
        partial.unlink()
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
        if replace:
            partial.replace(path)
            return True
        os.link(partial, path)  # unlike a rename it never overwrites: two set-ups at once keep the first one's file
    except FileExistsError:
        return False
    finally:
        with suppress(FileNotFoundError):
            partial.unlink()
    return True


def ensure_env(state_dir: Path | None = None, ports: dict[str, int] | None = None) -> list[str]:
    """Write the `.env` in force unless it is there; returns what was decided, in words. Raises SettingsError."""
    path = env_file()
    if path.exists():
        return []
    ports = ports or choose_ports()
    named = os.environ.get("GLOBALMART_STATE_DIR")
    state_dir = state_dir or (Path(named).absolute() if named else None)
    if not write_private(path, render(ports, state_dir)):
        return []
    moved = [f"{name} {port}" for name, port in ports.items() if port != Settings.model_fields[name].default]
    note = f"; a usual port is taken, so they are {', '.join(moved)}" if moved else ""
    return [f"{path} written with fresh secrets{note}"]


def put(field: str, value: str) -> None:
    """Have the `.env` in force say that the setting `field` is `value`: in its line, or in a new one at the end."""
    path, name = env_file(), PREFIX + field.upper()
    lines = path.read_text(encoding="utf-8").splitlines()
    said = [number for number, line in enumerate(lines) if line.removeprefix("export ").strip().startswith(f"{name}=")]
    if said:
        lines[said[-1]] = f"{name}={value}"
    else:
        lines.append(f"{name}={value}")
    write_private(path, "\n".join(lines) + "\n", replace=True)
