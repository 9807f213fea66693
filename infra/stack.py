"""The local stack as a whole: bring it up in order, stop it, say how it is."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import get_args

from infra import doctor, envfile, supervision
from infra.credentials import ensure_credentials
from infra.ivy import jars_folder
from infra.java import find_java
from infra.s3_users import apply_users, check_reader
from infra.servers import kafka
from infra.servers.base import Health
from infra.servers.monitoring import NOT_INSTALLED
from infra.servers.postgres import apply_roles
from infra.services import SERVICES, Service, check_names, choose
from infra.setup import missing
from infra.supervision import StackError, Supervisor
from lakehouse.health import NEXT_STEPS, START
from lakehouse.settings import PREFIX, Profile, Settings, load_settings

Say = Callable[[str], None]
_POLL_SECONDS = 0.3


@dataclass(frozen=True)
class Status:
    """One service as `globalmart status` shows it. `uptime_seconds` and `pid` are 0 where it does not run.

    `next_step` is empty where it is well, or was not asked for.
    """

    name: str
    state: str
    healthy: bool
    health: str
    address: str
    pid: int
    uptime_seconds: int
    restarts: int
    wanted: bool
    next_step: str = ""


def _wanted_file(settings: Settings) -> Path:
    return supervision.folder(settings) / "wanted.json"


def wanted(settings: Settings) -> list[str]:
    """The services that the last `up` asked for; all where there was none."""
    try:
        names = json.loads(_wanted_file(settings).read_text())
    except (FileNotFoundError, ValueError):
        return [service.name for service in choose(profile=settings.profile)]
    return [service.name for service in SERVICES if service.name in names]


@contextmanager
def _alone(settings: Settings) -> Iterator[None]:
    """One `up` or `down` of a stack at a time; the second waits."""
    supervision.folder(settings).mkdir(parents=True, exist_ok=True)
    with (supervision.folder(settings) / "up.lock").open("w") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


def _link_jars(settings: Settings) -> None:
    """`jars` in the state folder points at the set-up's cache, so that `.env` stays right when the manifest changes."""
    link = settings.state_dir / "jars"
    if link.is_symlink() and link.readlink() == jars_folder():
        return
    partial = link.with_name("jars.partial")
    partial.unlink(missing_ok=True)
    partial.symlink_to(jars_folder())
    partial.replace(link)


def prepare(say: Say, profile: str = "") -> Settings:
    """`.env`, the profile, secrets and the link to the jars.

    Raises SettingsError for a corrupt `.env`, SetupError, StackError, KafkaStartError where Kafka's data are of another profile.
    """
    for line in envfile.ensure_env():
        say(line)
    settings = load_settings()
    if profile and profile != settings.profile:
        settings = _change_profile(settings, profile, say)
    kafka.check_data(settings)
    lacking = missing()
    if lacking:
        raise StackError(f"Not installed yet: {', '.join(lacking)}. Run `make setup`.")
    find_java()
    try:
        settings.state_dir.mkdir(parents=True, exist_ok=True)
        ensure_credentials(settings)
        _link_jars(settings)
    except OSError as error:
        raise StackError(f"{settings.state_dir} cannot be written: {error.strerror or error}.") from None
    free = shutil.disk_usage(settings.state_dir).free / 2**30
    if free < doctor.DISK_GB:
        raise StackError(
            f"The disk of {settings.state_dir} is nearly full: {free:.1f} GiB free, {doctor.DISK_GB} needed. "
            "Make room, or name another folder in GLOBALMART_STATE_DIR."
        )
    return settings


def check_profile(profile: str) -> None:
    """Raise StackError, with the right names, for a profile that does not exist; the empty one is none."""
    if profile and profile not in get_args(Profile):
        raise StackError(f"There is no profile {profile!r}: the profiles are {', '.join(get_args(Profile))}.")


def _change_profile(settings: Settings, profile: str, say: Say) -> Settings:
    """Stop what runs, for each service is told other addresses, and write the profile down. Raises StackError, KafkaStartError."""
    if os.environ.get(f"{PREFIX}PROFILE"):
        raise StackError(
            f"{PREFIX}PROFILE={settings.profile} of the environment is stronger than --profile {profile}: unset it."
        )
    kafka.check_data(load_settings(profile=profile))
    with _alone(settings):
        supervisor = Supervisor(settings)
        running = [service for service in SERVICES if service.name in _running(supervisor)]
        if supervisor.shutdown() and running:
            stay = ", ".join(one.name for one in running if profile in one.profiles) or "none"
            gone = ", ".join(one.name for one in running if profile not in one.profiles) or "none"
            say(
                f"from profile {settings.profile} to {profile}: all services stopped; to start again: {stay}; to stay away: {gone}"
            )
        _wanted_file(settings).unlink(missing_ok=True)
        envfile.put("profile", profile)
    return load_settings()


def up(only: Sequence[str] = (), without: Sequence[str] = (), say: Say = print, profile: str = "") -> Settings:
    """Start the chosen services and wait until each is healthy, in order. What runs already is left as it is.

    A `profile` that is not the one of `.env` is written there, and what runs is stopped first.

    Raises UnknownServiceError, SettingsError, SetupError, StorageError, StackError, KafkaStartError.
    """
    check_names(*only, *without)
    check_profile(profile)
    settings = prepare(say, profile)
    chosen = choose(only, without, settings.profile)
    supervisor = Supervisor(settings)
    with _alone(settings):
        before = _running(supervisor)
        for line in supervisor.start():
            say(line)
        running = _running(supervisor)
        # What a changed configuration stopped comes back, asked for or not
        chosen = [service for service in SERVICES if service in chosen or service.name in before - running]
        taken = doctor.taken_ports(settings, [service for service in chosen if service.name not in running])
        if taken:
            if not running:
                supervisor.shutdown()
            raise StackError(taken[0])
        _wanted_file(settings).write_text(json.dumps(sorted({service.name for service in chosen} | running)))
        for stage in sorted({service.stage for service in chosen}):
            members = [service for service in chosen if service.stage == stage]
            for service in members:
                _start(supervisor, service)
            for service in members:
                say(_wait(supervisor, service))
            if stage == 1:
                bootstrap(settings, {service.name for service in members}, say)
    return settings


def _running(supervisor: Supervisor) -> set[str]:
    return {name for name, info in supervisor.processes().items() if info["statename"] in {"RUNNING", "STARTING"}}


def _start(supervisor: Supervisor, service: Service) -> None:
    state = supervisor.processes()[service.name]["statename"]
    if state in {"RUNNING", "STARTING"}:
        return
    if state == "BACKOFF":  # asked to start while it waits for its next try, supervisor refuses
        supervisor.call("stopProcess", service.name)
    supervision.starts_file(supervisor.settings, service.name).unlink(missing_ok=True)
    supervisor.call("startProcess", service.name, False)


def _wait(supervisor: Supervisor, service: Service) -> str:
    """Wait until `service` is healthy; returns its progress line. Raises StackError with the end of its log."""
    begin = time.monotonic()
    health = Health(False, "not started")
    while time.monotonic() - begin < service.patience_seconds:
        info = supervisor.processes().get(service.name, {"statename": "UNKNOWN", "pid": 0})
        failed_starts = _starts(supervisor.settings, service) if info["statename"] == "BACKOFF" else 0
        if (
            info["statename"] == "FATAL"
            or failed_starts > 3
            or (failed_starts == 0 and _gave_up(supervisor, service, info))
        ):
            break
        if info["statename"] in {"RUNNING", "STARTING"}:
            health = service.health(supervisor.settings, info["pid"] or None)
            if health.ok and info["statename"] == "RUNNING":
                address = service.address(supervisor.settings)
                return f"{service.name:<18} {health.words}{' at ' + address if address else ''} ({time.monotonic() - begin:.0f} s)"
        time.sleep(_POLL_SECONDS)
    log = supervision.log_file(supervisor.settings, service.name)
    last = log.read_text(errors="replace").splitlines()[-8:] if log.exists() else []
    detail = "".join(f"\n    {line}" for line in last)
    raise StackError(f"{service.name} does not come up: {health.words}. The end of {log}:{detail or ' empty'}")


def _gave_up(supervisor: Supervisor, service: Service, info: dict[str, object]) -> bool:
    """Whether the launcher itself fails, before the server was ever started: trying on would not help."""
    if info["statename"] != "BACKOFF":
        return False
    log = supervision.log_file(supervisor.settings, service.name)
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    return bool(lines) and lines[-1].startswith("Error: ")


def bootstrap(settings: Settings, names: Collection[str], say: Say) -> None:
    """What the servers `names` need once they answer: users, roles, topics. Each step may be repeated.

    Raises StorageError, StackError, KafkaError; psycopg.Error where PostgreSQL refuses.
    """
    if "minio" in names:
        apply_users(settings)
        problem = check_reader(settings)
        if problem:
            raise StackError(problem)
    if "postgres" in names:
        apply_roles(settings)
        from api.keys.database import migrate

        migrate(load_settings("operator"))
    if "kafka" in names:
        from ingestion.topics import apply_topics

        apply_topics(settings)
    say(f"{'accounts, topics':<18} in place")


def down(say: Say = print) -> int:
    """Stop all services and the daemon; returns how many services were running. No process of the stack is left."""
    settings = load_settings()
    if not supervision.folder(settings).exists():
        say("nothing was running")
        return 0
    with _alone(settings):
        supervisor = Supervisor(settings)
        running = [
            name
            for name, info in supervisor.processes().items()
            if info["statename"] not in {"STOPPED", "FATAL", "EXITED"}
        ]
        if supervisor.shutdown():
            say(f"stopped {', '.join(running) or 'no service'} and supervisor")
        ended = supervision.end_processes(supervision.leftovers(settings))
        if ended:
            say(f"ended {len(ended)} processes that were left behind")
        elif not running:
            say("nothing was running")
    return len(running)


def _starts(settings: Settings, service: Service) -> int:
    path = supervision.starts_file(settings, service.name)
    return len(path.read_text().splitlines()) if path.exists() else 0


def status(settings: Settings | None = None) -> list[Status]:
    """How each service of the profile is, and of others that run or were asked for, in order of start."""
    settings = settings or load_settings()
    processes = Supervisor(settings).processes()
    asked = set(wanted(settings))
    running = {name for name, info in processes.items() if info["statename"] != "STOPPED"}
    return [
        _status(settings, service, processes.get(service.name), service.name in asked)
        for service in SERVICES
        if settings.profile in service.profiles or service.name in asked | running
    ]


def _status(settings: Settings, service: Service, info: dict[str, object] | None, is_wanted: bool) -> Status:
    state, pid = (str(info["statename"]), int(str(info["pid"]))) if info else ("STOPPED", 0)
    if info and state in {"RUNNING", "STARTING"}:
        health = service.health(settings, pid or None)
    elif not is_wanted:
        health = Health(False, "not asked for" if service.is_installed() else NOT_INSTALLED)
    elif info is None:
        health = Health(False, "supervisor is not running", START)
    else:
        health = Health(False, str(info["spawnerr"] or info["description"] or "not running"), START)
    is_healthy = health.ok and state == "RUNNING"
    return Status(
        service.name,
        state,
        is_healthy,
        health.words,
        service.address(settings),
        pid,
        int(str(info["now"])) - int(str(info["start"])) if info and pid else 0,
        max(0, _starts(settings, service) - 1) if info else 0,
        is_wanted,
        "" if is_healthy or not is_wanted else health.next_step or NEXT_STEPS[service.name],
    )


def as_json(statuses: Sequence[Status]) -> str:
    healthy = all(status.healthy for status in statuses if status.wanted)
    return json.dumps({"healthy": healthy, "services": [asdict(status) for status in statuses]}, indent=2)
