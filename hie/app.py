"""The ASGI application: the FHIR repository, the portal, health and metrics."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio.to_thread
from fastapi import FastAPI, Response
from granian import Granian
from granian.constants import Interfaces
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.middleware.trustedhost import TrustedHostMiddleware

from fhir_server.router import build_router
from hie import wiring
from hie.core import garbage, logs
from hie.core.settings import Settings
from hie.core.web import errors
from hie.portal import router as portal

# Names that a browser on this machine may use. Any other Host header is a page
# of another site that made its name resolve to loopback.
_HOSTS = ["127.0.0.1", "localhost", "[::1]", "testserver"]


def create() -> FastAPI:
    """Return the application of the settings in the environment; what a server process calls."""
    settings = Settings()
    logs.configure(settings.log_level)
    return build(wiring.build(settings))


def build(exchange: wiring.Exchange) -> FastAPI:
    """Return the application on `exchange`, which it closes when it ends."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        garbage.settle()
        # One thread for each connection: more would only wait for one another.
        anyio.to_thread.current_default_thread_limiter().total_tokens = exchange.settings.database_pool
        yield
        exchange.close()

    app = FastAPI(
        title="HIE", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url="/api/openapi.json"
    )
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=_HOSTS)
    errors.install(app)
    app.include_router(build_router(exchange.repository, exchange.database, exchange.settings))
    portal.install(
        app,
        store=exchange.repository,
        database=exchange.database,
        clock=exchange.clock,
        zone=exchange.settings.zone,
    )

    @app.get("/health", include_in_schema=False)
    def health() -> dict[str, str]:
        with exchange.database.transaction() as transaction:
            transaction.connection.execute("SELECT 1")
        return {"status": "ok"}

    @app.get("/metrics", include_in_schema=False)
    def metrics() -> Response:
        return Response(generate_latest(_registry()), media_type=CONTENT_TYPE_LATEST)

    return app


def _registry() -> CollectorRegistry:
    """Return what this process counts, or what all processes of `hie up` count together."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # prometheus_client has no hints here
    return registry


def serve(settings: Settings) -> None:
    """Serve `create` with granian until SIGINT or SIGTERM."""
    Granian(
        target="hie.app:create",
        factory=True,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        workers=settings.web_processes,
        websockets=False,
    ).serve()
