"""Conditions to findings: raised once they have lasted, taken back once they are over for as long."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from deltalake.exceptions import DeltaError

from api.desk.database import CURABLE
from api.desk.sources.base import Condition, Source
from lakehouse.errors import GlobalMartError
from lakehouse.findings import Finding, finding_id

# What keeps a source from knowing. Anything else is a bug.
UNKNOWABLE = (GlobalMartError, OSError, DeltaError, *CURABLE)

Key = tuple[str, str]  # fingerprint, severity


@dataclass
class Episode:
    """One life of a condition. `finding` is None until it is told of; `gone_at`: when it was first found to be over."""

    began_at: datetime
    finding: Finding | None = None
    gone_at: datetime | None = None


class Watch:
    """The conditions of one source. `standing`: findings of its kinds that were raised earlier and never taken back."""

    def __init__(self, source: Source, hold: timedelta, standing: Iterable[Finding] = ()) -> None:
        self.source = source
        self._hold = hold
        self._episodes: dict[Key, Episode] = {
            (one.fingerprint, one.severity): Episode(one.event_at, one) for one in standing
        }

    def look(self, now: datetime) -> list[Finding]:
        """What is to be told now. Raises one of UNKNOWABLE; then nothing has changed."""
        found = {(one.fingerprint, one.severity): one for one in self.source.conditions(now)}
        told = [self._seen(key, condition, now) for key, condition in found.items()]
        told += [self._missed(key, now) for key in list(self._episodes) if key not in found]
        return [finding for finding in told if finding is not None]

    def _seen(self, key: Key, condition: Condition, now: datetime) -> Finding | None:
        episode = self._episodes.setdefault(key, Episode(now))
        episode.gone_at = None
        if episode.finding is not None or now - episode.began_at < self._hold:
            return None
        episode.finding = raised(condition, episode.began_at, now)
        return episode.finding

    def _missed(self, key: Key, now: datetime) -> Finding | None:
        episode = self._episodes[key]
        if episode.finding is None:
            del self._episodes[key]
            return None
        episode.gone_at = episode.gone_at or now
        if now - episode.gone_at < self._hold:
            return None
        del self._episodes[key]
        lasted = timedelta(seconds=round((episode.gone_at - episode.began_at).total_seconds()))
        return replace(episode.finding, verdict="retracted", detected_at=now, detail=f"over after {lasted}")


def raised(condition: Condition, began_at: datetime, now: datetime) -> Finding:
    """The finding of a condition; its id is that of the episode, so that a crash in between tells of it once."""
    return Finding(
        finding_id=finding_id(condition.kind, condition.subject, condition.severity, began_at.isoformat()),
        kind=condition.kind,
        severity=condition.severity,
        fingerprint=condition.fingerprint,
        title=condition.title,
        detail=condition.detail,
        event_at=began_at,
        detected_at=now,
        evidence=condition.evidence,
    )
