"""The supervisor daemon of one stack: its configuration, its remote calls, and processes that an earlier one left behind."""

from __future__ import annotations

import hashlib
import http.client
import os
import shlex
import socket
import subprocess
import sys
import tempfile
import time
import xmlrpc.client
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from infra.envfile import write_private
from infra.servers.base import common_env
from infra.services import SERVICES, Service
from lakehouse.errors import GlobalMartError
from lakehouse.settings import CHECKOUT, Settings, env_file

_MARK = "GLOBALMART_STACK"
_CALL_SECONDS = 60
_SOCKET_LIMIT = 100  # a Unix socket's path has room for 107 bytes


class StackError(GlobalMartError):
    """The local stack cannot be started or stopped."""


def folder(settings: Settings) -> Path:
    return settings.state_dir / "supervisor"


def log_file(settings: Settings, service: str) -> Path:
    return settings.state_dir / "logs" / f"{service}.log"


def starts_file(settings: Settings, service: str) -> Path:
    """One line per start of `service` since `globalmart up` started it."""
    path = folder(settings) / "starts" / service
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def _socket(settings: Settings) -> Path:
    path = folder(settings) / "supervisor.sock"
    if len(str(path)) <= _SOCKET_LIMIT:
        return path
    digest = hashlib.sha256(str(path).encode()).hexdigest()[:16]
    short = Path(tempfile.gettempdir()) / f"globalmart-{os.getuid()}-{digest}"
    short.mkdir(mode=0o700, exist_ok=True)
    if short.stat().st_uid != os.getuid():
        raise StackError(f"{short} belongs to another user: name a shorter GLOBALMART_STATE_DIR.")
    return short / "supervisor.sock"


def _program(settings: Settings, service: Service, priority: int) -> str:
    return f"""
[program:{service.name}]
command={shlex.quote(sys.executable)} -m infra.launch {service.name}
directory={CHECKOUT}
priority={priority}
autostart=false
autorestart=true
startsecs=2
startretries=20
stopsignal={service.stop_signal}
stopwaitsecs={service.stop_seconds}
stopasgroup={str(service.stop_group).lower()}
killasgroup=true
redirect_stderr=true
stdout_logfile={log_file(settings, service.name)}
stdout_logfile_maxbytes=10MB
stdout_logfile_backups=3
"""


def _configuration(settings: Settings) -> str:
    odd = [path for path in (settings.state_dir, CHECKOUT, sys.executable) if "%" in str(path)]
    if odd:
        raise StackError(f"Supervisor cannot work with the percent sign in {odd[0]}: choose another folder.")
    environment = {name: value for name, value in common_env().items() if name.startswith("GLOBALMART_")}
    environment |= {_MARK: str(settings.state_dir), "GLOBALMART_ENV_FILE": str(env_file())}
    # Supervisor expands %(…)s, and here it does so twice.
    pairs = ",".join(f'{name}="{value}"' for name, value in sorted(environment.items())).replace("%", "%%%%")
    head = f"""[unix_http_server]
file={_socket(settings)}
chmod=0600

[supervisord]
logfile={log_file(settings, "supervisor")}
logfile_maxbytes=5MB
logfile_backups=2
pidfile={folder(settings) / "supervisord.pid"}
umask=077
{"user=root" if os.geteuid() == 0 else ""}
environment={pairs}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""
    programs = "".join(_program(settings, service, 10 * number) for number, service in enumerate(SERVICES, start=1))
    return head + programs


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost")
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        # A stopped daemon must not hang its caller.
        self.sock.settimeout(_CALL_SECONDS)
        self.sock.connect(str(self._path))


class _Transport(xmlrpc.client.Transport):
    """XML-RPC over a Unix socket."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:  # noqa: ARG002
        return _Connection(self._path)


class Supervisor:
    """The daemon of the stack in `settings.state_dir`."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._config = folder(settings) / "supervisord.conf"

    def call(self, method: str, *args: Any) -> Any:
        """One remote call. Raises OSError or HTTPException where no daemon answers, xmlrpc.client.Fault on refusal."""
        transport = _Transport(_socket(self.settings))
        proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        try:
            return getattr(proxy.supervisor, method)(*args)
        finally:
            transport.close()

    def is_running(self) -> bool:
        try:
            return bool(self.call("getState")["statename"] == "RUNNING")
        except (OSError, http.client.HTTPException, xmlrpc.client.Fault):
            return False

    def processes(self) -> dict[str, dict[str, Any]]:
        """What supervisor says of each service; empty when it is not running."""
        try:
            return {info["name"]: info for info in self.call("getAllProcessInfo")}
        except (OSError, http.client.HTTPException, xmlrpc.client.Fault):
            return {}

    def start(self) -> list[str]:
        """Have the daemon run with the present configuration; returns what was put right on the way, in words."""
        log_file(self.settings, "supervisor").parent.mkdir(parents=True, exist_ok=True)
        old = self._config.read_text() if self._config.exists() else ""
        new = _configuration(self.settings)
        write_private(self._config, new, replace=True)
        if self.is_running():
            return self._reload() if old != new else []
        ended = end_processes(leftovers(self.settings))
        for stale in (_socket(self.settings), folder(self.settings) / "supervisord.pid"):
            stale.unlink(missing_ok=True)
        command = [sys.executable, "-m", "supervisor.supervisord", "-c", str(self._config)]
        # Supervisor marks its children by its configuration; its own process has the mark from here.
        env = {**os.environ, _MARK: str(self.settings.state_dir)}
        result = subprocess.run(
            command, cwd=CHECKOUT, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 20
        while not self.is_running():
            if result.returncode != 0 or time.monotonic() > deadline:
                said = (result.stderr or result.stdout).strip().splitlines()
                raise StackError(f"Supervisor does not start: {said[0] if said else 'it does not answer'}.")
            time.sleep(0.1)
        return [f"ended {len(ended)} processes that an earlier stack left behind"] if ended else []

    def _reload(self) -> list[str]:
        """Take over a changed configuration: services that it changes are stopped, and started anew by the caller."""
        added, changed, removed = self.call("reloadConfig")[0]
        for name in (*changed, *removed):
            self.call("stopProcessGroup", name)
            self.call("removeProcessGroup", name)
        for name in (*added, *changed):
            self.call("addProcessGroup", name)
        return [f"configuration changed: restarting {', '.join(changed)}"] if changed else []

    def shutdown(self) -> bool:
        """Stop all services in the reverse order of their start and the daemon; False when there was none."""
        if not self.is_running():
            return False
        pid = int(self.call("getPID"))
        self.call("shutdown")
        patience = sum(service.stop_seconds for service in SERVICES)
        try:
            psutil.Process(pid).wait(patience)
        except psutil.NoSuchProcess:
            pass
        except psutil.TimeoutExpired:
            return True  # the caller ends what is left
        return True


def leftovers(settings: Settings) -> list[psutil.Process]:
    """Processes of this stack, known by a mark in their environment, whoever their parent is now."""
    ours = {os.getpid(), *(parent.pid for parent in psutil.Process().parents())}
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid not in ours and process.environ().get(_MARK) == str(settings.state_dir):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def end_processes(processes: Sequence[psutil.Process], patience_seconds: float = 15) -> list[psutil.Process]:
    """End `processes`, first politely; returns those that there were."""
    for process in processes:
        try:
            process.terminate()
        except psutil.NoSuchProcess:
            continue
    _, alive = psutil.wait_procs(processes, timeout=patience_seconds)
    for process in alive:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue
    psutil.wait_procs(alive, timeout=5)
    return list(processes)
