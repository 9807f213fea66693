"""How a service is, by its heartbeat: one judgement for `globalmart status`, `/ready`, the health page and the monitor.

State, cause and next step are said here once; who shows them adds nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from lakehouse.heartbeat import STALE_SECONDS, read
from lakehouse.settings import Settings

State = Literal["ok", "waiting", "down"]
# A service that beats but has not ended a round for so long is busy with much at once, or hangs.
SLOW_ROUND_SECONDS = 60.0

START = "Start it: `globalmart up`."
NEXT_STEPS: dict[str, str] = {
    "kafka": "Start Kafka (`globalmart up`); events wait with their producers.",
    "kafka-2": "See its log, and start it (`globalmart up`); two brokers of three carry on meanwhile.",
    "kafka-3": "See its log, and start it (`globalmart up`); two brokers of three carry on meanwhile.",
    "minio": "Start MinIO (`globalmart up`); the last good files are served meanwhile.",
    "postgres": "Start PostgreSQL (`globalmart up`); Dagster needs it, answers do not.",
    "spark-master": "See its log, and start it (`globalmart up`); drivers keep the executors that they have meanwhile.",
    "spark-worker-1": "See its log, and start it (`globalmart up`); its tasks run on the other worker meanwhile.",
    "spark-worker-2": "See its log, and start it (`globalmart up`); its tasks run on the other worker meanwhile.",
    "streaming": "See `globalmart status` and the streaming service's log; answers stay as they are meanwhile.",
    "realtime": "See the real-time lane's log; the durable path finds the same some seconds later.",
    "refresher": "See `globalmart status` and the refresher's log; the last good files are served meanwhile.",
    "desk": "See the desk's log; findings wait in Kafka and are told later.",
    "api": "See the API's log, and `/ready` for what it waits for.",
    "monitor": "See the monitor's log; only metrics are missing meanwhile.",
    "prometheus": "See Prometheus's log; only alerts by metrics and the health dashboard are missing meanwhile.",
    "alertmanager": "See Alertmanager's log; the desk's own watch goes on.",
    "dagster-webserver": "See its log; runs go on without it.",
    "dagster-daemon": "See its log; days that were not made are made once it is back, or by `globalmart backfill`.",
}
"""What to do about a service that is not well, where nothing more exact is known."""


@dataclass(frozen=True)
class Verdict:
    """`lag_seconds` is how old what it last did is, where that can be told. `next_step` is None where nothing is to be done."""

    state: State
    words: str
    next_step: str | None = None
    lag_seconds: float | None = None


def by_heartbeat(settings: Settings, service: str, now: datetime | None = None) -> Verdict:
    """How `service` is by its last heartbeat; for a service that beats."""
    now = now or datetime.now(UTC)
    beat = read(settings, service)
    step = NEXT_STEPS[service]
    if beat is None:
        return Verdict("down", "it has never run", START)
    if beat["is_stale"]:
        words = f"its last heartbeat is {beat['age_seconds']:.0f} s old, over {STALE_SECONDS} s"
        return Verdict("down", words, step, beat["age_seconds"])
    state, reason = str(beat["state"]), beat.get("reason")
    if state == "failed":
        return Verdict("down", f"it failed: {reason}", step)
    if state == "waiting":
        return Verdict("waiting", f"it waits: {reason}", step)
    if service == "streaming":
        return _streaming(beat, state, step, now)
    return _others(beat, state, step, now)


def _others(beat: dict[str, Any], state: str, step: str, now: datetime) -> Verdict:
    lag = (now - datetime.fromisoformat(beat["checked_at"])).total_seconds() if beat.get("checked_at") else None
    if lag is not None and lag > SLOW_ROUND_SECONDS:
        words = f"it has been busy with one round for {lag:.0f} s: a full load, or it hangs"
        return Verdict("waiting", words, step, lag)
    if state == "starting":
        return Verdict("waiting", "it is starting, or loading a table for the first time", None, lag)
    behind = beat.get("lag_records")
    return Verdict("ok", f"running, {behind:,} records behind" if behind is not None else "running", None, lag)


def _streaming(beat: dict[str, Any], state: str, step: str, now: datetime) -> Verdict:
    lag = _streaming_lag(beat, now)
    facts = [
        f"{name.replace('_', ' ')} {beat[name]}"
        for name in ("lag_records", "batch_id", "reason")
        if beat.get(name) is not None
    ]
    words = "; ".join([state, *facts])
    if state != "running":
        return Verdict("waiting", words, step, lag)
    if lag is None or lag <= SLOW_ROUND_SECONDS:
        return Verdict("ok", words, None, lag)
    return Verdict("waiting", f"{words}; no commit for {lag:.0f} s though records wait", step, lag)


def _streaming_lag(beat: dict[str, Any], now: datetime) -> float | None:
    """Seconds since the last commit, or since the start, while records wait in Kafka; 0 when none waits; None where that cannot be told."""
    if beat.get("lag_records") == 0:
        return 0.0
    if not beat.get("lag_records") or not beat.get("committed_at"):
        return None
    since = max(filter(None, (beat["committed_at"], beat.get("started_at"))), key=datetime.fromisoformat)
    return (now - datetime.fromisoformat(since)).total_seconds()
