"""What `globalmart status` says of the mirror, out of the refresher's heartbeat."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from api.mirror.lag import lag, words
from infra.servers.own import refresher_health
from lakehouse.heartbeat import beat
from lakehouse.settings import Settings


def test_lag_is_the_age_of_what_was_complete_and_a_waiting_mirror_does_not_make_the_refresher_ill(
    tmp_path: Path,
) -> None:
    settings = Settings(_env_file=None, state_dir=tmp_path)
    assert lag(settings) == {}
    at = (datetime.now(UTC) - timedelta(seconds=90)).isoformat()
    live = {"complete_at": at, "row_count": 12_345, "reason": "PostgreSQL: away"}
    batch = {"complete_at": None, "row_count": 0, "reason": None}
    beat(settings, "refresher", "running", mirror={"live": live, "batch": batch})
    found = lag(settings)
    assert 90 <= found["live"]["lag_seconds"] < 95
    assert words(found["batch"]) == "never complete yet, 0 rows"
    health = refresher_health(settings, os.getpid())
    assert health.ok
    assert health.words.startswith("running; live mirror 9")
    assert "s behind, 12,345 rows, waits: PostgreSQL: away; batch mirror never complete yet" in health.words
