"""Receivers of notices as real local servers: a webhook and a mail server whose behaviour a test sets. No tests here."""

from __future__ import annotations

import json
import socketserver
import threading
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

Behaviour = Literal["good", "error", "slow", "trickle"]


class _Server:
    """A server on a port that stays the same when it is stopped and started again; `release` lets slow answers go."""

    def __init__(self, make: Callable[[int], socketserver.BaseServer]) -> None:
        self._make = make
        self._port = 0
        self._server: Any = None
        self.behaviour: Behaviour = "good"
        self.release = threading.Event()
        self.start()

    @property
    def port(self) -> int:
        return self._port

    def start(self) -> None:
        if self._server is None:
            self._server = self._make(self._port)
            self._server.daemon_threads = True
            self._port = self._server.server_address[1]
            threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Refuse connections from now on."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def behave(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour
        self.release.clear()

    def good_again(self) -> None:
        self.behaviour = "good"
        self.release.set()
        self.start()


@dataclass(frozen=True)
class Post:
    """One request that reached the webhook, and whether it was answered with 200."""

    key: str
    body: dict[str, Any]
    is_accepted: bool


class Webhook(_Server):
    """`posts`: every request, in order of arrival. `refused`: fingerprints that get this answer, whatever the behaviour."""

    def __init__(self) -> None:
        self.posts: list[Post] = []
        self.refused: dict[str, int] = {}
        super().__init__(self._http)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/notices"

    def accepted(self) -> list[Post]:
        return [post for post in self.posts if post.is_accepted]

    def _http(self, port: int) -> ThreadingHTTPServer:
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                behaviour, refusal = hook.behaviour, hook.refused.get(body.get("fingerprint"))
                is_accepted = behaviour == "good" and refusal is None
                hook.posts.append(Post(self.headers["Idempotency-Key"], body, is_accepted))
                if behaviour == "slow":
                    hook.release.wait(60)
                if behaviour == "trickle":
                    self._trickle()
                    return
                self.send_response(refusal or (500 if behaviour == "error" else 200))
                self.end_headers()

            def _trickle(self) -> None:
                """A byte every now and then: each read of the client is quick, the answer never ends."""
                try:
                    for sign in b"HTTP/1.1 200 " + b"O" * 10_000:
                        self.wfile.write(bytes([sign]))
                        if hook.release.wait(0.2):
                            return
                except OSError:
                    return

            def log_message(self, *_: Any) -> None:
                return

        return ThreadingHTTPServer(("127.0.0.1", port), Handler)


class _Tcp(socketserver.ThreadingTCPServer):
    allow_reuse_address = True


class MailServer(_Server):
    """SMTP as far as a client that sends needs it. `mails`: what was accepted, in order."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.connections = 0
        super().__init__(self._smtp)

    def _smtp(self, port: int) -> _Tcp:
        server = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                server.connections += 1
                try:
                    self._talk()
                except OSError:
                    return

            def _say(self, line: str) -> None:
                self.wfile.write(f"{line}\r\n".encode())

            def _talk(self) -> None:
                if server.behaviour == "slow":
                    server.release.wait(60)
                if server.behaviour == "trickle":
                    while not server.release.wait(0.2):
                        self.wfile.write(b"2")
                    return
                self._say("220 test")
                while line := self.rfile.readline():
                    word = line.split()[0].upper() if line.split() else b""
                    if word == b"QUIT":
                        self._say("221 bye")
                        return
                    if word == b"DATA":
                        self._data()
                    else:
                        self._say("250 ok")

            def _data(self) -> None:
                self._say("354 go on")
                lines = []
                while (line := self.rfile.readline()) not in {b".\r\n", b""}:
                    lines.append(line.removeprefix(b".") if line.startswith(b"..") else line)
                if server.behaviour == "error":
                    self._say("451 try later")
                    return
                server.mails.append(message_from_bytes(b"".join(lines), policy=policy.default))
                self._say("250 accepted")

        return _Tcp(("127.0.0.1", port), Handler)
