"""The ASGI application: the FHIR repository, the portal, health and metrics."""

import asyncio
import os
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import anyio.to_thread
from fastapi import APIRouter, FastAPI, Response
from granian import Granian
from granian.constants import Interfaces
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector

from fhir_server import openapi
from fhir_server.interactions.route import Table
from fhir_server.router import build_router
from fhir_server.subscriptions import websocket
from hie import processes, wiring
from hie.core import garbage, logs
from hie.core.fhir.json import dumps
from hie.core.settings import Settings
from hie.core.web import errors
from hie.core.web.compression import CompressionMiddleware
from hie.core.web.hosts import HostMiddleware
from hie.portal import router as portal

# Names that a browser on this machine may use. Any other Host header is a page
# of another site that made its name resolve to loopback.
_HOSTS = ["127.0.0.1", "localhost", "[::1]", "testserver"]


def create() -> FastAPI:
    """Return the application of the settings in the environment; what a server process calls."""
    processes.follow_parent()
    settings = Settings()
    logs.configure(settings.log_level)
    return build(wiring.build(settings))


def build(exchange: wiring.Exchange) -> FastAPI:
    """Return the application on `exchange`, which it closes when it ends."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        garbage.settle()
        # One thread for each connection: more would only wait for one another. The executor has those of
        # the FHIR interactions, the limiter those of the pages.
        threads = exchange.settings.database_pool
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(threads, "fhir"))
        anyio.to_thread.current_default_thread_limiter().total_tokens = threads
        yield
        exchange.close()

    app = FastAPI(title="HIE", lifespan=lifespan, docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(CompressionMiddleware)
    app.add_middleware(HostMiddleware, names=_HOSTS)
    errors.install(app)
    fhir = build_router(
        exchange.repository, exchange.database, exchange.settings, translator=exchange.translator
    )
    # Not included: FastAPI would ask for each request whether the inclusion changes the route.
    app.router.routes.append(Table(fhir.routes))
    description = dumps(openapi.document(app.title, app.version, fhir))
    sockets = APIRouter(prefix="/fhir")
    websocket.mount(
        sockets,
        database=exchange.database,
        repository=exchange.repository,
        base_url=exchange.settings.base_url,
        clock=exchange.clock,
    )
    app.include_router(sockets)
    portal.install(
        app,
        store=exchange.repository,
        database=exchange.database,
        clock=exchange.clock,
        zone=exchange.settings.zone,
    )

    @app.get("/api/openapi.json", include_in_schema=False)
    def describe() -> Response:
        return Response(description, media_type="application/json")

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
    """Serve `create` with granian until SIGINT or SIGTERM; its processes end with this one in any case."""
    processes.lead()
    Granian(
        target="hie.app:create",
        factory=True,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGI,
        workers=settings.web_processes,
        websockets=True,
        respawn_failed_workers=True,
    ).serve()
