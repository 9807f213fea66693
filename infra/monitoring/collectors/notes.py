"""What services write down for others to read: the refresher's versions and mirror, the desk's lag, the generator, the last proof."""

from __future__ import annotations

from datetime import datetime

from api.manifest import POINTER
from api.mirror.lag import lag
from infra.monitoring.collectors.ledger import Ledger
from lakehouse import heartbeat
from lakehouse.books.record import read_proof
from lakehouse.metrics import names
from lakehouse.metrics.base import Sample
from lakehouse.settings import Settings


class Notes:
    name = "notes"
    every = 1

    def __init__(self, settings: Settings, ledger: Ledger) -> None:
        self._settings = settings
        self._ledger = ledger
        self._lacks_since: datetime | None = None  # the first commit seen that the served file lacks

    def collect(self, now: datetime) -> list[Sample]:
        return [*self._serving(now), *self._generator(), *self._desk(), *self._proof()]

    def _serving(self, now: datetime) -> list[Sample]:
        samples = [
            Sample(names.MIRROR_LAG, one["lag_seconds"], (name,))
            for name, one in lag(self._settings).items()
            if one["lag_seconds"] is not None
        ]
        pointer = self._settings.serving_dir / POINTER
        if not pointer.exists():
            return samples
        beat = heartbeat.read(self._settings, "refresher") or {}
        published = datetime.fromtimestamp(pointer.stat().st_mtime, now.tzinfo)
        committed = self._ledger.newest["committed_at"] if self._ledger.newest else published
        # Published before the newest commit: what is served lacks it, unless the refresher has looked since and found nothing.
        if published < committed and _looked_before(beat, committed):
            self._lacks_since = self._lacks_since or committed
        else:
            self._lacks_since = None
        behind = (now - self._lacks_since).total_seconds() if self._lacks_since else 0.0
        size = sum(file.stat().st_size for file in self._settings.serving_dir.glob("*.duckdb"))
        return [*samples, Sample(names.SERVING_BEHIND, behind), Sample(names.SERVING_BYTES, size)]

    def _generator(self) -> list[Sample]:
        beat = heartbeat.read(self._settings, "generator")
        if beat is None:
            return []
        is_running = beat["state"] == "running" and not beat["is_stale"]
        return [
            Sample(names.GENERATOR_RUNNING, float(is_running)),
            Sample(names.GENERATOR_PRODUCED, beat["produced"]),
            Sample(names.GENERATOR_ACKNOWLEDGED, beat["acknowledged"]),
        ]

    def _desk(self) -> list[Sample]:
        beat = heartbeat.read(self._settings, "desk") or {}
        waiting = beat.get("lag_records")
        return [] if waiting is None else [Sample(names.DESK_LAG, waiting)]

    def _proof(self) -> list[Sample]:
        proof = read_proof(self._settings)
        if proof is None:
            return []
        return [
            Sample(names.PROOF_DIFFERENCES, proof.difference_count),
            Sample(names.PROOF_AT, proof.proved_at.timestamp()),
        ]


def _looked_before(beat: dict[str, object], moment: datetime) -> bool:
    checked_at = beat.get("checked_at")
    return checked_at is None or datetime.fromisoformat(str(checked_at)) < moment or bool(beat.get("stale_tables"))
