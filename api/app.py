"""The API's wiring (`uvicorn --factory api.app:create_app`): settings, middleware, routes. It binds 127.0.0.1, uvicorn's default."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware import Middleware

from api import auth, openapi, problems
from api.access import Role
from api.alerts import AlertDesk
from api.audit import Audit
from api.deps import check_declared, requires
from api.headers import SecurityHeaders
from api.personal import Pseudonyms
from api.routes import docs, health, quality, v1
from api.serving import Serving
from lakehouse.settings import Settings, load_settings


def create_app(settings: Settings | None = None) -> FastAPI:
    """The API over the serving folder of `settings`. Raises SettingsError when the API key's SHA-256 is not set."""
    settings = settings or load_settings("serving")
    serving = Serving(settings)
    digest = auth.key_digest(settings.api_key_sha256)
    desk = AlertDesk(settings, digest)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        serving.start()
        yield
        serving.stop()
        desk.close()

    app = FastAPI(
        title="GlobalMart API",
        version="1.0.0",
        summary="Sales, orders and customers of the shop, from the lakehouse's gold tables.",
        description=openapi.DESCRIPTION,
        openapi_tags=openapi.TAGS,
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        middleware=[Middleware(SecurityHeaders), Middleware(auth.RequireKey, digest=digest)],
        redirect_slashes=False,
        generate_unique_id_function=lambda route: route.name,
    )
    app.state.settings = settings
    app.state.serving = serving
    app.state.audit = Audit(settings)
    app.state.pseudonyms = Pseudonyms(digest)
    app.state.desk = desk
    problems.add_handlers(app)
    app.include_router(health.router)
    app.include_router(docs.router)
    # The pages show rows of all countries.
    app.include_router(quality.router, dependencies=[requires(Role.viewer, all_countries=True)])
    app.include_router(v1.router)
    check_declared(app)
    openapi.install(app)
    return app
