"""Services that beat: one that stopped beating, failed, waits, or beats on while it does nothing."""

from __future__ import annotations

from datetime import datetime

from api.desk.sources.base import Condition
from infra.stack import wanted
from lakehouse import heartbeat
from lakehouse.settings import Settings

KIND = "service_unwell"
_HUNG_SECONDS = 120


class Heartbeats:
    """Of the services that `globalmart up` was asked for; where there is no such list, of all that ever beat."""

    kinds = (KIND,)

    def __init__(self, settings: Settings, own: str) -> None:
        self._settings = settings
        self._own = own

    def conditions(self, now: datetime) -> list[Condition]:
        found = [self._examine(name, now) for name in sorted(wanted(self._settings)) if name != self._own]
        return [one for one in found if one is not None]

    def _examine(self, name: str, now: datetime) -> Condition | None:
        beat = heartbeat.read(self._settings, name)
        if beat is None:
            return None
        age = (now - datetime.fromisoformat(beat["updated_at"])).total_seconds()
        checked_at = beat.get("checked_at")
        quiet = (now - datetime.fromisoformat(checked_at)).total_seconds() if checked_at else 0
        if age > heartbeat.STALE_SECONDS:
            words = "has stopped beating"
        elif beat["state"] in {"failed", "waiting"}:
            words = f"is {beat['state']}: {str(beat.get('reason') or 'no reason given').rstrip('.')}"
        elif quiet > _HUNG_SECONDS:
            words = "beats, and has done nothing for a while"
        else:
            return None
        evidence = {"state": beat["state"], "pid": beat["pid"], "updated_at": beat["updated_at"]}
        return Condition(KIND, name, "critical", f"{name} is not well", f"{name} {words}.", evidence)
