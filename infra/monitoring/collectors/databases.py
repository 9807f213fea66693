"""PostgreSQL, and what is kept in it: Dagster's runs and the desk's alerts. One connection per look and database."""

from __future__ import annotations

from datetime import datetime
from urllib.parse import urlsplit, urlunsplit

import psycopg

from lakehouse.metrics import names
from lakehouse.metrics.base import Sample
from lakehouse.settings import Settings

_CONNECT_SECONDS = 3
_RUNS = """
    SELECT pipeline_name, status, count(*) FILTER (WHERE create_timestamp > now() AT TIME ZONE 'UTC' - interval '24 hours'),
        max(end_time), bool_or(newest)
    FROM (SELECT *, end_time IS NOT NULL AND row_number() OVER (PARTITION BY pipeline_name ORDER BY end_time DESC NULLS LAST) = 1 AS newest
          FROM runs WHERE status <> 'CANCELED' AND create_timestamp > now() AT TIME ZONE 'UTC' - interval '30 days') AS runs
    GROUP BY 1, 2"""
_ALERTS = "SELECT severity, state, count(*) FROM desk.alerts WHERE state <> 'resolved' GROUP BY 1, 2"
_DELIVERIES = "SELECT channel, state, count(*) FROM desk.deliveries WHERE state IN ('pending', 'failed') GROUP BY 1, 2"
_ACTIVITY = (
    "SELECT coalesce(state, 'unknown'), count(*) FROM pg_stat_activity WHERE backend_type = 'client backend' GROUP BY 1"
)
_DATABASES = """
    SELECT datname, pg_database_size(datname), xact_commit, xact_rollback FROM pg_stat_database
    WHERE datname NOT IN ('postgres', 'template0', 'template1')"""


def _ask(settings: Settings, database: str, query: str) -> list[tuple[object, ...]]:
    """Rows of `query`; none where its tables are not there yet. Raises psycopg.Error."""
    parts = urlsplit(settings.postgres_url.get_secret_value())
    url = urlunsplit(parts._replace(path=f"/{database}"))
    with psycopg.connect(url, connect_timeout=_CONNECT_SECONDS, options="-c statement_timeout=5000") as connection:
        try:
            return connection.execute(query).fetchall()
        except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
            return []


class Postgres:
    """The server itself."""

    name = "postgres"
    every = 2

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database = urlsplit(settings.postgres_url.get_secret_value()).path.strip("/")

    def collect(self, now: datetime) -> list[Sample]:  # noqa: ARG002 one signature for all collectors
        samples = [
            Sample(names.POSTGRES_CONNECTIONS, float(str(count)), (str(state),))
            for state, count in _ask(self._settings, self._database, _ACTIVITY)
        ]
        for limit in _ask(self._settings, self._database, "SELECT current_setting('max_connections')"):
            samples.append(Sample(names.POSTGRES_CONNECTIONS_MOST, float(str(limit[0]))))
        for name, size, committed, rolled_back in _ask(self._settings, self._database, _DATABASES):
            samples += [
                Sample(names.POSTGRES_BYTES, float(str(size)), (str(name),)),
                Sample(names.POSTGRES_TRANSACTIONS, float(str(committed)), (str(name), "committed")),
                Sample(names.POSTGRES_TRANSACTIONS, float(str(rolled_back)), (str(name), "rolled_back")),
            ]
        return samples


class Runs:
    """Dagster's runs, from its storage: right also when Dagster is away."""

    name = "dagster"
    every = 2

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    def collect(self, now: datetime) -> list[Sample]:  # noqa: ARG002
        samples, ended = [], dict[str, float]()
        for job, status, count, end, is_newest in _ask(self._settings, "dagster", _RUNS):
            name = str(job)
            samples.append(Sample(names.DAGSTER_RUNS, float(str(count)), (name, str(status).lower())))
            if end is not None:
                ended[name] = max(ended.get(name, 0.0), float(str(end)))
            if is_newest:
                samples.append(Sample(names.DAGSTER_FAILED, float(status == "FAILURE"), (name,)))
        return samples + [Sample(names.DAGSTER_ENDED, at, (name,)) for name, at in ended.items()]


class Alerts:
    """The desk's alerts and notices."""

    name = "desk"
    every = 2

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._database = urlsplit(settings.postgres_url.get_secret_value()).path.strip("/")

    def collect(self, now: datetime) -> list[Sample]:  # noqa: ARG002
        alerts = _ask(self._settings, self._database, _ALERTS)
        deliveries = _ask(self._settings, self._database, _DELIVERIES)
        open_alerts = [Sample(names.ALERTS_OPEN, float(str(n)), (str(a), str(b))) for a, b, n in alerts]
        return open_alerts + [Sample(names.ALERT_DELIVERIES, float(str(n)), (str(a), str(b))) for a, b, n in deliveries]
