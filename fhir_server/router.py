"""The RESTful API of the repository under `/fhir`: https://hl7.org/fhir/R4/http.html.

Mounts one module an interaction; holds no interaction itself.
"""

from fastapi import APIRouter

from fhir_server import metadata
from fhir_server.bulk import router as bulk
from fhir_server.compartments import router as compartments
from fhir_server.graphql import router as graphql
from fhir_server.interactions import binary, bundle, create, delete, history, patch, read, update, vread
from fhir_server.interactions.server import Server
from fhir_server.jobs import router as jobs
from fhir_server.operations import router as operations
from fhir_server.search import router as search
from fhir_server.server import build_server
from fhir_server.service import Repository
from hie.core.db.database import Database
from hie.core.deidentification import Deidentification
from hie.core.personal_rights import Erasure
from hie.core.ports import CodeTranslator, PatientMatcher, Terminology
from hie.core.settings import Settings


def build_router(
    repository: Repository,
    database: Database,
    settings: Settings,
    *,
    terminology: Terminology | None = None,
    translator: CodeTranslator | None = None,
    matcher: PatientMatcher | None = None,
    deidentification: Deidentification | None = None,
    erasure: Erasure | None = None,
) -> APIRouter:
    """Return the routes of the FHIR API, metadata and search included.

    Operations that need one of the ports are there when it is given.
    """
    return mounted(
        build_server(
            repository,
            database,
            settings,
            terminology=terminology,
            translator=translator,
            matcher=matcher,
            deidentification=deidentification,
            erasure=erasure,
        )
    )


def mounted(server: Server) -> APIRouter:
    """Return the routes of `server`, which describes itself by them from now on."""
    router = APIRouter(prefix="/fhir", tags=["FHIR"])
    bulk.mount(router, server)
    graphql.mount(router, server)
    operations.mount(router, server)
    # Routes are tried in this order: what is asked for most comes first.
    jobs.mount(router, server)
    history.mount(router, server)
    binary.mount(router, server)
    read.mount(router, server)
    metadata.mount(router, server)
    search.mount(router, server)
    for interaction in (create, update, delete, bundle, patch, vread):
        interaction.mount(router, server)
    compartments.mount(router, server)
    return router
