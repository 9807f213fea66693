"""A proxy before the S3 server that stops the clock at one request: a test can kill its client just before or just after it."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote, urlsplit

When = Literal["before", "after"]


@dataclass(frozen=True)
class Request:
    """`path` is `/bucket/key` without the query."""

    method: str
    path: str
    body: bytes

    def commits(self, table: str) -> bool:
        """Whether this writes a commit of the Delta table at `layer/name`."""
        return self.method == "PUT" and f"/{table}/_delta_log/" in self.path and self.path.endswith(".json")


@dataclass
class Hold:
    """The first request that `matches` waits, `before` it is sent on or `after` it was answered, until `release`."""

    matches: Callable[[Request], bool]
    when: When
    reached: threading.Event = field(default_factory=threading.Event)
    released: threading.Event = field(default_factory=threading.Event)

    def release(self) -> None:
        self.released.set()


class S3Proxy:
    """Listens on a free port of 127.0.0.1 as long as the context lasts; `address` is what the client is given."""

    def __init__(self, upstream: str) -> None:
        parts = urlsplit(upstream)
        self._upstream = (str(parts.hostname), int(parts.port or 80))
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="s3-proxy", daemon=True)
        self._hold: Hold | None = None
        self.address = ""

    def __enter__(self) -> S3Proxy:
        self._thread.start()
        self._server = asyncio.run_coroutine_threadsafe(
            asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**26), self._loop
        ).result()
        self.address = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        connections = asyncio.all_tasks() - {asyncio.current_task()}
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    def hold(self, matches: Callable[[Request], bool], when: When) -> Hold:
        """Hold the next matching request; one hold at a time."""
        self.let_go()
        self._hold = Hold(matches, when)
        return self._hold

    def let_go(self) -> None:
        if self._hold is not None:
            self._hold.release()
            self._hold = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await _head(reader):
                if b"\r\nexpect: 100-continue\r\n" in head.lower():
                    head = re.sub(rb"(?i)\r\nexpect: 100-continue(?=\r\n)", b"", head)
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                await self._pass_on(head, await _body(reader, head), writer)
        except (asyncio.IncompleteReadError, OSError):
            pass  # either side has gone: so has the connection
        finally:
            writer.close()

    async def _pass_on(self, head: bytes, body: bytes, writer: asyncio.StreamWriter) -> None:
        method, target, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        hold = self._hold
        if hold is not None and (
            hold.reached.is_set() or not hold.matches(Request(method, unquote(target.split("?")[0]), body))
        ):
            hold = None
        if hold is not None and hold.when == "before":
            await self._wait(hold)
        answer = await self._ask(method, head + body)
        if hold is not None and hold.when == "after":
            await self._wait(hold)
        writer.write(answer)
        await writer.drain()

    async def _ask(self, method: str, request: bytes) -> bytes:
        """The server's answer, on a connection of its own: the server closes those that are idle for a while."""
        reader, writer = await asyncio.open_connection(*self._upstream, limit=2**26)
        try:
            writer.write(request)
            await writer.drain()
            head = await _head(reader)
            return head + (b"" if method == "HEAD" else await _body(reader, head))
        finally:
            writer.close()

    async def _wait(self, hold: Hold) -> None:
        hold.reached.set()
        while not hold.released.is_set():
            await asyncio.sleep(0.01)


async def _head(reader: asyncio.StreamReader) -> bytes:
    """The start line and headers; empty where the connection ended in between two messages."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return b""


async def _body(reader: asyncio.StreamReader, head: bytes) -> bytes:
    headers = dict(line.split(b":", 1) for line in head.lower().split(b"\r\n")[1:] if b":" in line)
    if headers.get(b"transfer-encoding", b"").strip() == b"chunked":
        parts = []
        while True:
            line = await reader.readline()
            chunk = await reader.readexactly(int(line.split(b";")[0], 16) + 2)
            parts += [line, chunk]
            if len(chunk) == 2:
                return b"".join(parts)
    if head.startswith(b"HTTP/1.1 204") or head.startswith(b"HTTP/1.1 304"):
        return b""
    return await reader.readexactly(int(headers.get(b"content-length", b"0")))
