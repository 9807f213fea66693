"""A process's own metrics over HTTP, on the address that settings name and nowhere else."""

from __future__ import annotations

import logging
import os

from prometheus_client import REGISTRY, CollectorRegistry, start_http_server
from prometheus_client.multiprocess import MultiProcessCollector

from lakehouse.settings import Settings

log = logging.getLogger(__name__)

SHARED_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Where several processes of one service keep their values together; to be set before prometheus_client is imported."""


def expose(settings: Settings, port: int) -> bool:
    """Answer `/metrics` on `port` from a thread; False, and a line in the log, where the port is taken: metrics never end a service.

    Of several processes that share a folder the first has the port, and answers for all.
    """
    registry = REGISTRY
    if os.environ.get(SHARED_FOLDER):
        registry = CollectorRegistry()
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    try:
        start_http_server(port, settings.metrics_host, registry)
    except OSError as error:
        shared = "; another process of this service may answer for this one" if registry is not REGISTRY else ""
        log.warning("no metrics on port %d: %s%s", port, error.strerror, shared)
        return False
    return True
