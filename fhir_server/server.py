"""The server of the settings: what the interactions of a web process and of a worker work on."""

from fhir_server.graphql.limits import Limits
from fhir_server.interactions.server import Server
from fhir_server.jobs.service import Jobs
from fhir_server.metadata import Metadata
from fhir_server.service import Repository
from hie.core.clock import SystemClock
from hie.core.db.database import Database
from hie.core.deidentification import Deidentification
from hie.core.personal_rights import Erasure
from hie.core.ports import CodeTranslator, PatientMatcher, Terminology
from hie.core.settings import Settings


def build_server(
    repository: Repository,
    database: Database,
    settings: Settings,
    *,
    terminology: Terminology | None = None,
    translator: CodeTranslator | None = None,
    matcher: PatientMatcher | None = None,
    deidentification: Deidentification | None = None,
    erasure: Erasure | None = None,
) -> Server:
    """Return the server; operations that need one of the ports are there when it is given."""
    return Server(
        repository=repository,
        database=database,
        base_url=settings.base_url.rstrip("/"),
        max_body_bytes=settings.max_body_bytes,
        page_size=settings.page_size,
        page_size_limit=settings.page_size_limit,
        max_bundle_entries=settings.max_bundle_entries,
        max_nesting=settings.max_nesting,
        zone=settings.zone,
        clock=SystemClock(),
        terminology=terminology,
        translator=translator,
        matcher=matcher,
        deidentification=deidentification,
        erasure=erasure,
        jobs=Jobs(settings.base_url.rstrip("/"), settings.jobs, SystemClock()),
        metadata=Metadata(settings),
        import_sources=settings.import_sources,
        import_body_bytes=settings.import_body_bytes,
        graphql=Limits(
            depth=settings.graphql_depth,
            fields=settings.graphql_fields,
            values=settings.graphql_values,
            searches=settings.graphql_searches,
            matches=settings.page_size_limit,
        ),
    )
