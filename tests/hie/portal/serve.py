"""The application of the browser tests: the FHIR API and the portal in a server process of its own."""

from fastapi import FastAPI

from fhir_server.router import build_router
from hie import wiring
from hie.core.settings import Settings
from hie.core.web import errors
from hie.portal import router


def create() -> FastAPI:
    """Return the application on HIE_DATABASE_URL."""
    exchange = wiring.build(Settings())
    app = FastAPI()
    errors.install(app)
    app.include_router(build_router(exchange.repository, exchange.database, exchange.settings))
    router.install(
        app,
        router.Parts(
            store=exchange.repository,
            database=exchange.database,
            jobs=exchange.jobs,
            subscriptions=exchange.subscriptions,
            emergency=exchange.emergency_access,
            projects=exchange.privacy.projects,
            project_jobs=exchange.project_jobs,
            clock=exchange.clock,
            zone=exchange.settings.zone,
            rights=exchange.rights,
        ),
    )
    return app
