"""Where a command's runs are recorded: Dagster's storage, which is PostgreSQL. No definitions here."""

from __future__ import annotations

import os

import dagster as dg
from dagster_postgres.utils import DagsterPostgresException

from lakehouse.errors import GlobalMartError


class RecordAwayError(GlobalMartError):
    """Dagster's storage does not answer."""


def record() -> dg.DagsterInstance:
    """The instance of DAGSTER_HOME; without one, an instance that ends with the process. To be closed (`with`).

    Raises RecordAwayError once Dagster's own tries, some 10 s in all, have found no PostgreSQL.
    """
    if not os.environ.get("DAGSTER_HOME"):
        return dg.DagsterInstance.ephemeral()
    try:
        return dg.DagsterInstance.get()
    except DagsterPostgresException:
        raise RecordAwayError(
            "PostgreSQL, where Dagster keeps its record of runs, does not answer: run `globalmart status`."
        ) from None
