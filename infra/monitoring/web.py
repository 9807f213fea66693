"""What the monitor answers over HTTP: `/metrics` to everybody on its address, `/alerts` to whoever has Alertmanager's token."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import CollectorRegistry, make_wsgi_app

from infra.monitoring.intake import UnreadableNoticeError, findings
from lakehouse.errors import KafkaError
from lakehouse.findings import Finding

ALERTS = "/alerts"
METRICS = "/metrics"
_MOST_BYTES = 1_048_576
_QUIET_SECONDS = 10

Environ = dict[str, Any]
Start = Callable[[str, list[tuple[str, str]]], Any]
Tell = Callable[[list[Finding]], None]


class Application:
    """The WSGI application. `tell` sends findings on and raises KafkaError: then Alertmanager is asked to come again."""

    def __init__(self, registry: CollectorRegistry, token: str, tell: Tell) -> None:
        self._metrics = make_wsgi_app(registry)
        self._expected = f"Bearer {token}"
        self._tell = tell

    def __call__(self, environ: Environ, start: Start) -> Iterable[bytes]:
        path, method = environ.get("PATH_INFO"), environ.get("REQUEST_METHOD")
        if path == METRICS and method == "GET":
            body: Iterable[bytes] = self._metrics(environ, start)
            return body
        if path == ALERTS and method == "POST":
            status, words = self._take(environ)
        else:
            status, words = "404 Not Found", f"There are GET {METRICS} and POST {ALERTS}."
        start(status, [("Content-Type", "text/plain; charset=utf-8")])
        return [f"{words}\n".encode()]

    def _take(self, environ: Environ) -> tuple[str, str]:
        if not hmac.compare_digest(environ.get("HTTP_AUTHORIZATION", "").encode(), self._expected.encode()):
            return "401 Unauthorized", "The token is wrong."
        length = environ.get("CONTENT_LENGTH") or ""
        if not length.isdigit() or int(length) > _MOST_BYTES:
            return "413 Content Too Large", f"A notice has a length, of {_MOST_BYTES:,} bytes at most."
        try:
            found = findings(environ["wsgi.input"].read(int(length)), datetime.now(UTC))
            self._tell(found)
        except UnreadableNoticeError as error:
            return "400 Bad Request", str(error)
        except KafkaError as error:
            return "503 Service Unavailable", str(error)
        return "200 OK", f"{len(found)} findings told."


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    timeout = _QUIET_SECONDS

    def log_message(self, format: str, *args: Any) -> None:
        """A line for each scrape would be most of the log."""


def serve(application: Application, host: str, port: int) -> WSGIServer:
    """Answer from threads of its own. Raises OSError where the port is taken."""
    server = make_server(host, port, application, _Server, _Handler)
    threading.Thread(target=server.serve_forever, name="monitor-web", daemon=True).start()
    return server
