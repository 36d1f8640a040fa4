"""The ASGI application: the FHIR repository, the portal, health and metrics."""

import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import anyio.to_thread
from fastapi import APIRouter, FastAPI, Request, Response
from granian import Granian
from granian.constants import Interfaces
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp

from fhir_server import openapi
from fhir_server.interactions.route import Table
from fhir_server.router import build_router
from fhir_server.subscriptions import websocket
from hie import processes, wiring
from hie.core import garbage, logs
from hie.core.fhir.json import dumps
from hie.core.settings import Settings
from hie.core.web import cors, errors
from hie.core.web.auditing import AuditMiddleware
from hie.core.web.authentication import AuthenticationMiddleware, requester_of
from hie.core.web.compression import CompressionMiddleware
from hie.core.web.hosts import HostMiddleware
from hie.core.web.rate_limit import AddressLimitMiddleware, RequesterLimitMiddleware
from hie.core.web.response_headers import ResponseHeadersMiddleware
from hie.core.web.scraping import Scraping, require_reader
from hie.core.web.threads import THREADS
from hie.identity import router as identity_router
from hie.portal import identity_pages
from hie.portal import router as portal
from hie.portal.visits import SIGN_IN
from hie.rights import router as rights_router

# Names that a browser on this machine may use. Any other Host header is a page
# of another site that made its name resolve to loopback.
_HOSTS = ["127.0.0.1", "localhost", "[::1]", "testserver"]
OFF = (
    "HIE_AUTH=off: whoever reaches this address may do everything; laboratories with synthetic data only,"
    " on the loopback address"
)
# What nobody needs to be known for: to find out how to be known, and whether the server is well.
EVERYBODYS = (
    "/.well-known/",
    "/fhir/.well-known/smart-configuration",
    "/fhir/metadata",
    "/health",
    "/language",
    "/oauth/authorize",
    "/oauth/decision",
    "/oauth/introspect",
    "/oauth/jwks",
    "/oauth/revoke",
    "/oauth/token",
    "/sign-in",
    "/sign-in/",
    "/sign-out",
    "/static/",
)


class _Application(FastAPI):
    """Gives the headers to every answer, also to a fault's, which is made outside of all middleware."""

    def build_middleware_stack(self) -> ASGIApp:
        return ResponseHeadersMiddleware(super().build_middleware_stack(), is_https=self.state.is_https)


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
        # One thread for each connection: more would only wait for one another. THREADS are those of the FHIR
        # interactions, the limiter has those of the pages.
        threads = exchange.settings.database_pool
        THREADS.be(threads)
        anyio.to_thread.current_default_thread_limiter().total_tokens = threads
        if exchange.settings.auth == "on":
            exchange.identity.prepare()
        yield
        THREADS.close()
        exchange.close()

    app = _Application(
        title="HIE",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # Finding out for each request that nothing is configured takes 15 µs.
        telemetry={"tracing": False, "metrics": False, "logs": False},
    )
    app.state.is_https = exchange.settings.base_url.startswith("https://")
    is_protected = exchange.settings.auth == "on"
    _guard(app, exchange)
    errors.install(app)
    if is_protected:
        app.include_router(identity_router.build_router(exchange.identity))
        app.include_router(
            identity_pages.build_router(
                exchange.identity, exchange.repository, exchange.clock, exchange.settings.zone
            )
        )
    fhir = build_router(
        exchange.repository,
        exchange.database,
        exchange.settings,
        translator=exchange.translator,
        deidentification=exchange.privacy.exports,
        erasure=exchange.erasure,
    )
    # Not included: FastAPI would ask for each request whether the inclusion changes the route. First, since
    # it is asked most; the configuration of SMART, which its paths would match, is not its.
    app.router.routes.insert(0, Table(fhir.routes, below="/fhir", other="/fhir/.well-known/"))
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
    app.include_router(rights_router.build_router(exchange.rights))
    portal.install(
        app,
        portal.Parts(
            store=exchange.repository,
            database=exchange.database,
            jobs=exchange.jobs,
            subscriptions=exchange.subscriptions,
            emergency=exchange.emergency_access,
            projects=exchange.privacy.projects,
            project_jobs=exchange.project_jobs,
            clock=exchange.clock,
            zone=exchange.settings.zone,
            complaint_days=exchange.settings.audit_complaint_days,
            rights=exchange.rights,
        ),
    )

    @app.get("/api/openapi.json", include_in_schema=False)
    def describe() -> Response:
        return Response(description, media_type="application/json")

    @app.get("/health", include_in_schema=False)
    def health() -> dict[str, str]:
        with exchange.database.transaction() as transaction:
            transaction.connection.execute("SELECT 1")
        if exchange.auditing.is_on:
            exchange.auditing.log.check()
        return {"status": "ok"}

    @app.get("/metrics", include_in_schema=False)
    def metrics(request: Request) -> Response:
        require_reader(requester_of(request))
        return Response(generate_latest(_registry()), media_type=CONTENT_TYPE_LATEST)

    return app


def _guard(app: FastAPI, exchange: wiring.Exchange) -> None:
    """Put what every request passes around `app`, the innermost first."""
    settings = exchange.settings
    is_protected = settings.auth == "on"
    if is_protected:
        if settings.client_requests_a_second:
            app.add_middleware(RequesterLimitMiddleware, rate=settings.client_requests_a_second)
        app.add_middleware(
            AuthenticationMiddleware,
            authenticator=exchange.identity.authenticator,
            everybodys=EVERYBODYS,
            programs="/fhir",
            sign_in=SIGN_IN,
            is_open=Scraping(settings.metrics_networks).is_open,
        )
    app.add_middleware(CompressionMiddleware)
    if settings.cors_origins:
        app.add_middleware(CORSMiddleware, **cors.rules(settings.cors_origins))
    app.add_middleware(HostMiddleware, names=[*_HOSTS, *_own_name(settings)])
    if exchange.auditing.is_on:
        # Outermost: what the others refuse is recorded too.
        app.add_middleware(
            AuditMiddleware,
            log=exchange.auditing.log,
            clock=exchange.clock,
            site=exchange.auditing.site,
        )
    if is_protected and settings.unknown_requests_a_second:
        # outside the audit trail: a flood would be written down at the price of a disk's flush each
        app.add_middleware(
            AddressLimitMiddleware,
            rate=settings.unknown_requests_a_second,
            trusted_proxies=settings.trusted_proxies,
        )


def _own_name(settings: Settings) -> list[str]:
    """Return the host that clients call this server by."""
    host = urlsplit(settings.base_url).hostname or ""
    return [f"[{host}]" if ":" in host else host]


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
    if settings.auth == "off":
        logging.getLogger(__name__).warning(OFF)
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
