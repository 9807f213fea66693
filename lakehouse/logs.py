"""Logs of all services: one JSON object a line, with the trace id of the event batch that a line is about.

A batch's trace id is `batch-` and its number, which every row of gold has as `batch_id`: so a row leads to its lines, and these to
the Kafka offsets that were taken. The supervisor rotates the files (infra/supervision.py).
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import orjson

_TRACE: ContextVar[str | None] = ContextVar("trace", default=None)
# Libraries that say on each try again what a service says once.
_QUIET = ("kafka", "py4j", "httpx", "httpcore", "alembic")


def trace_id(batch_id: int) -> str:
    """The trace id of a micro-batch of the stream."""
    return f"batch-{batch_id}"


@contextmanager
def tracing(batch_id: int) -> Iterator[None]:
    """Lines that are logged within, by this thread and by what runs in copies of its context, are about the batch."""
    token = _TRACE.set(trace_id(batch_id))
    try:
        yield
    finally:
        _TRACE.reset(token)


def facts(**values: Any) -> dict[str, Any]:
    """What a line tells beside its words: `log.info("words", extra=facts(batch_id=7))`."""
    return {"facts": values}


class JsonFormatter(logging.Formatter):
    """`at` (RFC 3339, UTC), `level`, `service`, `logger`, `message`; then `trace_id`, facts and `error` where there are any."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
        }
        trace = _TRACE.get()
        if trace is not None:
            line["trace_id"] = trace
        line |= getattr(record, "facts", {})
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS).decode()


def set_up(service: str) -> None:
    """Have this process log to standard error as `service`."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.INFO)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.ERROR)
