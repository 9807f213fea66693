"""Sends GET requests to a server at a steady rate whatever it answers, over connections that stay open: a client of the tests.

`python flood.py PORT PATH KEY RATE SECONDS` prints a JSON list of [status, seconds] of each request; status 0 is no answer.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

_MOST_WAITING = 400
_SECONDS = 20.0


async def _ask(free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]], port: int, request: bytes) -> list[float]:
    begin = time.perf_counter()
    try:
        async with asyncio.timeout(_SECONDS):
            reader, writer = free.pop() if free else await asyncio.open_connection("127.0.0.1", port)
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.split(b":")[1]))
    except (OSError, asyncio.IncompleteReadError, TimeoutError):
        return [0, time.perf_counter() - begin]
    if b"connection: close" in head.lower():
        writer.close()
    else:
        free.append((reader, writer))
    return [int(head.split(b" ", 2)[1]), time.perf_counter() - begin]


async def flood(port: int, path: str, key: str, rate: float, seconds: float) -> list[list[float]]:
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-API-Key: {key}\r\n\r\n".encode()
    free: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
    tasks: set[asyncio.Task[list[float]]] = set()
    found: list[list[float]] = []
    begin = time.perf_counter()
    number = 0
    while (now := time.perf_counter() - begin) < seconds:
        while number < now * rate and len(tasks) < _MOST_WAITING:
            task = asyncio.ensure_future(_ask(free, port, request))
            tasks.add(task)
            task.add_done_callback(lambda done: (tasks.discard(done), found.append(done.result())))
            number += 1
        number = max(number, int(now * rate))  # what could not be sent in time is not sent later all at once
        await asyncio.sleep(0.002)
    if tasks:
        await asyncio.wait(tasks)
        await asyncio.sleep(0)
    return found


if __name__ == "__main__":
    port, path, key, rate, seconds = sys.argv[1:]
    print(json.dumps(asyncio.run(flood(int(port), path, key, float(rate), float(seconds)))))
