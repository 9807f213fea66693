"""Which errors are worth another try: those of a server or network that is away for a moment, never bad data or a bug."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

import dagster as dg
from botocore.exceptions import BotoCoreError
from deltalake.exceptions import DeltaError

from lakehouse.errors import KafkaError, StorageError

P = ParamSpec("P")
R = TypeVar("R")

POLICY = dg.RetryPolicy(max_retries=4, delay=5, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.PLUS_MINUS)
"""Waits of about 5, 10, 20 and 40 s: longer than MinIO takes to start again."""
_KINDS = (StorageError, KafkaError, BotoCoreError, ConnectionError, TimeoutError)
# Java's errors come as text, and so do those of delta-rs.
_WORDS = re.compile(
    r"ConnectException|SocketTimeoutException|SocketException|UnknownHostException|NoRouteToHostException|NoHttpResponseException"
    r"|AWSClientIOException|ApiCallTimeoutException|ApiCallAttemptTimeoutException|Unable to execute HTTP request|AWSServiceIOException"
    r"|AWSServiceThrottledException|SlowDown|Service Unavailable|Status Code: 50[023]"
    r"|error sending request|connection refused|connection reset|operation timed out",
    re.IGNORECASE,
)
_SPOKEN = (DeltaError, OSError)


def is_transient(error: BaseException) -> bool:
    """Whether the error, or what caused it, may be gone in a minute."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, _KINDS):
            return True
        is_spoken = isinstance(seen, _SPOKEN) or type(seen).__module__.startswith(("py4j.", "pyspark."))
        if is_spoken and _WORDS.search(str(seen)):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def only_transient(function: Callable[P, R]) -> Callable[P, R]:
    """An asset or check whose POLICY shall not try again what would fail again: it then fails at once, with the same cause."""

    @wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            if is_transient(error):
                raise
            raise dg.Failure(f"{type(error).__name__}: {error}", allow_retries=False) from error

    # Dagster looks at the types of what it is given, and does not look for their names in the module of what is wrapped.
    guarded.__signature__ = inspect.signature(function, eval_str=True)  # type: ignore[attr-defined]
    guarded.__annotations__ = inspect.get_annotations(function, eval_str=True)
    return guarded
