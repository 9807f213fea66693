"""Services of the local stack as the supervisor sees them: down, restarting often, or running and not answering."""

from __future__ import annotations

from datetime import datetime, timedelta

from api.desk.rules import Watch
from api.desk.sources.base import Condition
from infra.services import SERVICES, Service
from infra.stack import wanted
from infra.supervision import Supervisor, starts_file
from lakehouse.settings import Settings

DOWN = "service_down"
RESTARTING = "service_restarting"


class Services:
    """Where no supervisor runs (on a cluster), it has nothing to say."""

    kinds = (DOWN, RESTARTING)

    def __init__(self, settings: Settings, rules: Watch, own: str) -> None:
        self._settings = settings
        self._rules = rules
        self._own = own

    def conditions(self, now: datetime) -> list[Condition]:
        processes = Supervisor(self._settings).processes()
        asked = set(wanted(self._settings)) - {self._own}
        found: list[Condition] = []
        for service in SERVICES:
            if service.name in asked and service.name in processes:
                info = processes[service.name]
                found += self._down(service, str(info["statename"]), int(info["pid"]))
                found += self._restarting(service, now)
        return found

    def _down(self, service: Service, state: str, pid: int) -> list[Condition]:
        if state not in {"RUNNING", "STARTING"}:
            words = f"{service.name} does not run: the supervisor says {state}."
        elif not service.ports:
            return []  # it beats: api/desk/sources/heartbeats.py
        else:
            health = service.health(self._settings, pid or None)
            if health.ok:
                return []
            words = f"{service.name} {health.words}."
        evidence = {"state": state, "pid": pid}
        return [Condition(DOWN, service.name, "critical", f"{service.name} is down", words, evidence)]

    def _restarting(self, service: Service, now: datetime) -> list[Condition]:
        path = starts_file(self._settings, service.name)
        since = (now - timedelta(minutes=self._rules.restart_minutes)).timestamp()
        starts = [float(line) for line in path.read_text().split()] if path.exists() else []
        count = sum(1 for start in starts[1:] if start > since)  # the first is no restart
        if count < self._rules.restart_count:
            return []
        words = f"{service.name} was restarted {count} times within {self._rules.restart_minutes:g} minutes."
        return [
            Condition(RESTARTING, service.name, "warning", f"{service.name} restarts often", words, {"restarts": count})
        ]
