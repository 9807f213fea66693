"""What may be gone in a minute is tried again; bad data and bugs are not."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest
from deltalake.exceptions import DeltaError

from lakehouse.errors import GlobalMartError, StorageError
from orchestration.transient import is_transient, only_transient


def caused(error: Exception, by: Exception) -> Exception:
    error.__cause__ = by
    return error


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (StorageError("S3 does not answer"), True),
        (ConnectionResetError(), True),
        (DeltaError("Generic S3 error: error sending request for url"), True),
        (OSError("Generic S3 error: Connection refused (os error 111)"), True),
        (caused(GlobalMartError("an expectation broke"), ConnectionRefusedError()), True),
        (ValueError("java.net.ConnectException is what somebody typed into a field"), False),
        (GlobalMartError("a rule is broken"), False),
        (OSError("No space left on device"), False),
        (KeyError("country"), False),
    ],
)
def test_errors_of_servers_are_transient(error: Exception, expected: bool) -> None:
    assert is_transient(error) is expected


def attempts(error: Exception) -> tuple[int, list[str]]:
    """How often an asset that raises `error` was tried, and the messages of its failure from outside to inside."""
    count = 0

    @dg.asset(retry_policy=dg.RetryPolicy(max_retries=2, delay=0))
    @only_transient
    def table() -> dg.MaterializeResult[Any]:
        nonlocal count
        count += 1
        raise error

    outcome = dg.materialize([table], raise_on_error=False)
    (failure,) = [event for event in outcome.all_events if event.is_step_failure]
    found, messages = failure.step_failure_data.error, []
    while found is not None:
        messages.append(found.message)
        found = found.cause
    return count, messages


def test_a_server_that_is_away_costs_tries_and_a_bug_costs_one() -> None:
    assert attempts(StorageError("S3 does not answer"))[0] == 3
    count, messages = attempts(KeyError("country"))
    assert count == 1
    assert "KeyError: 'country'" in messages[-1]
