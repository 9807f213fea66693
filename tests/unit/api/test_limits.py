"""Too many, too much, too large: 429 with what is left, 503 while busy, 413, 414 and 408; a health check always passes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI, Request
from fastapi.routing import iter_route_contexts
from fastapi.testclient import TestClient
from sse_starlette import EventSourceResponse
from starlette.datastructures import Headers
from starlette.middleware import Middleware

from api import problems
from api.access import Access, Role
from api.app import create_app
from api.bodies import LimitRequests
from api.limits import STREAMS, Shed
from api.streams import EventStream
from lakehouse.settings import Settings

from .conftest import HEADERS, KEY


@pytest.fixture
def start(settings: Settings) -> Iterator[Callable[..., TestClient]]:
    clients: list[TestClient] = []

    def started(**changed: Any) -> TestClient:
        app = create_app(settings.model_copy(update=changed))
        clients.append(TestClient(app, headers=HEADERS, raise_server_exceptions=False))
        return clients[-1].__enter__()

    yield started
    for client in clients:
        client.__exit__(None, None, None)


def test_a_key_that_asks_too_often_is_told_when_to_come_again(start: Callable[..., TestClient]) -> None:
    client = start(api_requests_per_second=3)
    answers = [client.get("/v1/nothing")]
    while answers[-1].status_code != 429 and len(answers) < 500:  # on a slow machine it takes more than four
        answers.append(client.get("/v1/nothing"))
    assert {answer.status_code for answer in answers} == {404, 429}
    refused = answers[-1]
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["ratelimit-remaining"] == "0"
    assert refused.json() == {
        "type": "urn:globalmart:problem:rate-limited",
        "title": "Too many requests",
        "status": 429,
        "detail": "This key has asked more than 3 times within a second: ask again later.",
        "instance": "/v1/nothing",
    }
    allowed = answers[0].headers
    assert (allowed["ratelimit-limit"], allowed["ratelimit-remaining"], allowed["ratelimit-reset"]) == ("3", "2", "1")


def test_open_paths_are_not_counted(start: Callable[..., TestClient]) -> None:
    client = start(api_requests_per_second=1)
    assert {client.get("/health").status_code for _ in range(20)} == {200}
    assert "ratelimit-limit" not in client.get("/health").headers


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_too_large_is_refused(start: Callable[..., TestClient], chunked: bool) -> None:
    client = start(api_body_bytes=1024)
    body: Any = iter([b"key=", b"x" * 2000]) if chunked else b"key=" + b"x" * 2000
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    response = client.post("/sign-in", content=body, headers=headers)
    assert response.status_code == 413
    assert response.json()["type"] == "urn:globalmart:problem:body-too-large"
    assert client.post("/sign-in", content=b"key=" + b"x" * 400, headers=headers).status_code == 401


def test_an_address_that_is_too_long_is_refused(start: Callable[..., TestClient]) -> None:
    response = start().get("/v1/sales?country=" + "x" * 17_000)
    assert response.status_code == 414
    assert response.json()["type"] == "urn:globalmart:problem:uri-too-long"


class Named:
    """Stands where keys are looked up: the header X-Name says whose request it is."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and (name := Headers(scope=scope).get("x-name")):
            scope.setdefault("state", {})["access"] = Access(name, name, Role.viewer)
        await self._app(scope, receive, send)


def _small(**limits: Any) -> FastAPI:
    """Routes that wait until they are told to go on, behind the middleware under test."""
    app = FastAPI(
        middleware=[
            Middleware(Named),
            Middleware(Shed, streams={"/stream"}, **limits),
            Middleware(LimitRequests, most_bytes=1000, arrival_seconds=0.2),
        ]
    )
    app.state.go_on, app.state.waiting = asyncio.Event(), 0
    problems.add_handlers(app)

    @app.get("/health")
    async def health() -> str:
        return "alive"

    @app.get("/slow")
    async def slow() -> str:
        app.state.waiting += 1
        await app.state.go_on.wait()
        return "done"

    @app.post("/body")
    async def body(request: Request) -> int:
        return len(await request.body())

    @app.get("/stream")
    async def stream() -> EventSourceResponse:
        async def events() -> Any:
            yield {"data": "first"}
            await app.state.go_on.wait()

        return EventSourceResponse(events())

    return app


def _client(app: FastAPI) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")


def test_while_enough_is_in_hand_more_is_refused_at_once_but_for_health() -> None:
    async def run() -> None:
        app = _small(most=3, most_streams=1)
        async with _client(app) as client:
            loud, calm, late = ({"X-Name": name} for name in ("loud", "calm", "late"))
            taken = [asyncio.ensure_future(client.get("/slow", headers=loud)) for _ in range(2)]
            await _until(lambda: app.state.waiting == 2)
            # One key has half of the places at most, so that there is one left for another.
            assert (await client.get("/slow", headers=loud)).status_code == 503
            taken.append(asyncio.ensure_future(client.get("/slow", headers=calm)))
            await _until(lambda: app.state.waiting == 3)
            refused = await client.get("/slow", headers=late)
            assert refused.status_code == 503
            assert refused.headers["retry-after"] == "1"
            assert refused.json()["type"] == "urn:globalmart:problem:overloaded"
            assert (await client.get("/health")).status_code == 200
            app.state.go_on.set()
            assert [one.status_code for one in await asyncio.gather(*taken)] == [200, 200, 200]
            assert (await client.get("/slow", headers=loud)).status_code == 200

    asyncio.run(run())


async def _ask(app: FastAPI, path: str, accept: str, sent: list[dict[str, Any]], parts: Any = None) -> None:
    """One request spoken to the application directly: `parts` gives the messages of its body."""
    scope = {
        "type": "http", "method": "POST" if parts else "GET", "path": path, "raw_path": path.encode(), "query_string": b"",
        "headers": [(b"accept", accept.encode())], "http_version": "1.1", "scheme": "http", "server": ("test", 80),
        "client": ("test", 1), "root_path": "",
    }  # fmt: skip

    async def receive() -> dict[str, Any]:
        if parts is None:
            await asyncio.sleep(3600)
        return await anext(parts)  # type: ignore[no-any-return]

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await app(scope, receive, send)  # type: ignore[arg-type]


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def test_a_stream_that_has_begun_takes_no_other_s_place_and_streams_have_a_number_of_their_own() -> None:
    async def run() -> None:
        app = _small(most=1, most_streams=1)
        sent: list[dict[str, Any]] = []
        stream = asyncio.ensure_future(_ask(app, "/stream", "text/event-stream", sent))
        await _until(lambda: len(sent) > 1)
        async with _client(app) as client:
            assert (await client.get("/health")).status_code == 200
            app.state.go_on.set()
            assert (await client.get("/slow")).status_code == 200
            for accept in ("text/event-stream", "*/*"):
                assert (await client.get("/stream", headers={"Accept": accept})).status_code == 503
            assert (await client.get("/slow", headers={"Accept": "text/event-stream"})).status_code == 200
            stream.cancel()
            await asyncio.gather(stream, return_exceptions=True)
            assert (await client.get("/stream", headers={"Accept": "text/event-stream"})).status_code == 200

    asyncio.run(run())


def test_one_key_has_half_of_the_streams_at_most() -> None:
    async def run() -> None:
        app = _small(most=4, most_streams=3)
        taken = []
        for _ in range(2):
            sent: list[dict[str, Any]] = []
            taken.append(asyncio.ensure_future(_ask(app, "/stream", "text/event-stream", sent)))
            await _until(lambda sent=sent: len(sent) > 1)
        async with _client(app) as client:
            assert (await client.get("/stream")).status_code == 503
            app.state.go_on.set()
            assert (await client.get("/stream", headers={"X-Name": "another"})).status_code == 200
            await asyncio.gather(*taken)
            assert (await client.get("/stream")).status_code == 200

    asyncio.run(run())


def test_a_stream_that_nobody_reads_ends_and_gives_its_place_back() -> None:
    async def run() -> None:
        sent: list[dict[str, Any]] = []

        async def events() -> Any:
            while True:
                yield {"data": "more"}

        async def full(message: dict[str, Any]) -> None:
            sent.append(message)
            if message["type"] == "http.response.body":
                await asyncio.sleep(3600)

        async def receive() -> Any:
            await asyncio.sleep(3600)

        stream = EventStream(events(), slow_seconds=0.05)
        async with asyncio.timeout(10):
            await stream({"type": "http", "method": "GET", "path": "/stream"}, receive, full)  # type: ignore[arg-type]
        assert [one["type"] for one in sent] == ["http.response.start", "http.response.body"]

    asyncio.run(run())


def test_every_stream_of_the_application_is_counted_as_one(start: Callable[..., TestClient]) -> None:
    routes = list(iter_route_contexts(start().app.routes))  # type: ignore[attr-defined]
    streams = {
        route.path for route in routes if getattr(route.endpoint, "__annotations__", {}).get("return") == "EventStream"
    }
    assert streams == STREAMS


def test_a_body_that_does_not_arrive_is_given_up() -> None:
    async def run() -> None:
        app = _small(most=1, most_streams=1)

        async def dribble() -> Any:
            yield {"type": "http.request", "body": b"x", "more_body": True}
            await asyncio.sleep(3600)

        async def pieces() -> Any:
            yield {"type": "http.request", "body": b"x" * 600, "more_body": True}
            yield {"type": "http.request", "body": b"x" * 600, "more_body": False}

        sent: list[dict[str, Any]] = []
        await _ask(app, "/body", "*/*", sent, dribble())
        assert sent[0]["status"] == 408
        async with _client(app) as client:
            assert (await client.post("/body", content=b"x" * 1000)).json() == 1000
        sent = []
        await _ask(app, "/body", "*/*", sent, pieces())
        assert sent[0]["status"] == 413

    asyncio.run(run())


def test_other_sites_may_call_only_where_the_setting_names_them(start: Callable[..., TestClient]) -> None:
    site = "https://reports.example"
    asked = {"Origin": site, "Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "X-API-Key"}
    closed, opened = start(), start(api_cors_origins=f"{site}, https://two.example")
    assert closed.options("/v1/sales", headers=asked).status_code in {404, 405}
    for client, origin, allowed in ((opened, site, site), (opened, "https://else.example", None), (closed, site, None)):
        answer = client.get("/v1/nothing", headers={"Origin": origin})
        assert answer.headers.get("access-control-allow-origin") == allowed
        assert "access-control-allow-credentials" not in answer.headers
    read = {
        name.strip().lower()
        for name in opened.get("/v1/nothing", headers={"Origin": site})
        .headers["access-control-expose-headers"]
        .split(",")
    }
    assert {"etag", "x-table-version", "x-known-at", "x-stale", "x-next-cursor", "link", "ratelimit-remaining"} <= read
    client = opened
    client.headers.pop("X-API-Key")
    before = client.options("/v1/sales", headers=asked)
    assert (before.status_code, before.headers["access-control-allow-origin"]) == (200, site)
    assert client.get("/v1/sales", headers={"Origin": site}).status_code == 401
    assert client.get("/v1/nothing", headers={"Origin": site, "X-API-Key": KEY}).status_code == 404
