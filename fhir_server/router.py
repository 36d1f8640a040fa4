"""The RESTful API of the repository under `/fhir`: https://hl7.org/fhir/R4/http.html.

Mounts one module an interaction; holds no interaction itself.
"""

from fastapi import APIRouter

from fhir_server import capability
from fhir_server.interactions import bundle, create, delete, history, read, update, vread
from fhir_server.interactions.server import Server
from fhir_server.search import router as search
from fhir_server.service import Repository
from hie.core.db.database import Database
from hie.core.settings import Settings


def build_router(repository: Repository, database: Database, settings: Settings) -> APIRouter:
    """Return the routes of the FHIR API, metadata and search included."""
    server = Server(
        repository,
        database,
        settings.base_url.rstrip("/"),
        settings.max_body_bytes,
        settings.page_size,
        settings.page_size_limit,
    )
    router = APIRouter(prefix="/fhir", tags=["FHIR"])
    # Routes are tried in this order: what is asked for most comes first.
    read.mount(router, server)
    capability.mount(router, settings)
    search.mount(router, server, repository.search_service)
    for interaction in (bundle, create, update, delete, vread, history):
        interaction.mount(router, server)
    return router
