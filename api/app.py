"""The API's wiring (`uvicorn --factory api.app:create_app`): settings, middleware, routes. It binds 127.0.0.1, uvicorn's default."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from anyio import to_thread
from fastapi import FastAPI
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from api import auth, formats, openapi, problems
from api.access import Role
from api.alerts import AlertDesk
from api.audit import Audit
from api.bodies import LimitRequests
from api.deps import check_declared, requires
from api.explorer.install import install as install_explorer
from api.headers import SecurityHeaders
from api.heads import Heads
from api.keys.database import connect
from api.keys.ring import KeyRing
from api.keys.store import Store
from api.limits import LimitRate, Rates, Shed
from api.measured import Measured
from api.personal import Pseudonyms
from api.routes import docs, health, quality, session, v1
from api.serving import Serving
from api.session import Sessions
from lakehouse import logs
from lakehouse.metrics.endpoint import SHARED_FOLDER, expose
from lakehouse.settings import Settings, load_settings

# More at once would answer no sooner: they would only keep the loop, which turns a flood away, from its turn. Measured with
# 1,000 requests a second on two cores, the slowest twentieth of the admitted waited 8 s with 40 threads, 0.4 s with 8.
_THREADS = 8


def create_app(settings: Settings | None = None) -> FastAPI:
    """The API over the serving folder of `settings`. Raises SettingsError when the API key's SHA-256 is not set."""
    settings = settings or load_settings("api")
    serving = Serving(settings)
    digest = auth.key_digest(settings.api_key_sha256)
    desk = AlertDesk(settings, digest)
    engine = connect(settings)
    ring = KeyRing(digest, Store(engine) if engine else None)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        to_thread.current_default_thread_limiter().total_tokens = _THREADS
        ring.start()
        serving.start()
        if os.environ.get(SHARED_FOLDER):  # started as a service
            logs.set_up("api")
            expose(settings, settings.api_metrics_port)
        yield
        serving.stop()
        desk.close()
        ring.stop()

    app = FastAPI(
        title="GlobalMart API",
        version="1.0.0",
        summary="Sales, orders and customers of the shop, from the lakehouse's gold tables.",
        description=openapi.DESCRIPTION,
        openapi_tags=openapi.TAGS,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.settings = settings
    app.state.serving = serving
    app.state.audit = Audit(settings)
    app.state.pseudonyms = Pseudonyms(digest)
    app.state.desk = desk
    app.state.ring = ring
    app.state.keeper = auth.Keeper(ring)
    app.state.sessions = Sessions(
        digest, timedelta(hours=settings.api_session_hours), is_secure=settings.api_tls_certificate is not None
    )
    app.state.rates = Rates(settings.api_requests_per_second)
    app.user_middleware = _middleware(app, settings)
    problems.add_handlers(app)
    app.include_router(health.router)
    app.include_router(docs.router)
    app.include_router(session.router)
    # The pages show rows of all countries.
    app.include_router(quality.router, dependencies=[requires(Role.viewer, all_countries=True)])
    app.include_router(v1.router)
    install_explorer(app)
    check_declared(app)
    openapi.install(app)
    return app


def _middleware(app: FastAPI, settings: Settings) -> list[Middleware]:
    """From the outside in."""
    state = app.state
    origins = [origin.strip() for origin in settings.api_cors_origins.split(",") if origin.strip()]
    cors = Middleware(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=[auth.HEADER, "If-None-Match", "Last-Event-ID"],
        expose_headers=[
            *(name for name in formats.HEADERS),
            "Link",
            "RateLimit-Limit",
            "RateLimit-Remaining",
            "RateLimit-Reset",
            "Retry-After",
        ],
    )  # without credentials: other sites use keys, never somebody's session
    return [
        Middleware(Measured),
        Middleware(SecurityHeaders, is_tls=settings.api_tls_certificate is not None),
        *([cors] if origins else []),
        Middleware(LimitRequests, most_bytes=settings.api_body_bytes),
        Middleware(auth.Authenticate, keeper=state.keeper, ring=state.ring, sessions=state.sessions, audit=state.audit),
        Middleware(LimitRate, rates=state.rates),
        Middleware(Shed, most=settings.api_concurrency, most_streams=settings.api_streams),
        Middleware(Heads),
    ]
