"""The portal on the application: its pages, its static files, its error pages.

`install` is what the application calls; `build_router` gives the pages alone.
"""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from fastapi import APIRouter, FastAPI

from hie.core.clock import Clock
from hie.core.db.database import Database
from hie.core.deidentification import ProjectJobs
from hie.core.oversight import JobOversight, SubscriptionOversight
from hie.policy.break_glass import EmergencyAccess
from hie.portal import (
    analyst,
    audit_trail,
    clinician,
    complaints,
    consents,
    emergencies,
    emergency,
    error_pages,
    jobs,
    notices,
    operator,
    own_accesses,
    own_rights,
    processing,
    projects,
    rights_desk,
    static_files,
    subscriptions,
    switches,
)
from hie.portal.former_identities import VersionedStore
from hie.portal.page import Pages
from hie.privacy.projects import Projects
from hie.rights.bureau import Bureau


@dataclass(frozen=True, slots=True)
class Parts:
    """What the pages show: the record, and the work behind it, as `hie.wiring` puts them together."""

    store: VersionedStore
    database: Database
    jobs: JobOversight
    subscriptions: SubscriptionOversight
    emergency: EmergencyAccess
    projects: Projects
    project_jobs: ProjectJobs
    clock: Clock
    zone: ZoneInfo
    complaint_days: int = 15
    rights: Bureau | None = None


def build_router(parts: Parts) -> APIRouter:
    """Return the routes of the pages and of their static files; times are shown in the zone of `parts`."""
    return _router(Pages(parts.clock, parts.zone), parts)


def install(app: FastAPI, parts: Parts) -> None:
    """Mount the portal on `app`, after `hie.core.web.errors.install`, whose answers browsers get as pages."""
    pages = Pages(parts.clock, parts.zone)
    app.include_router(_router(pages, parts))
    error_pages.install(app, pages)


def _router(pages: Pages, parts: Parts) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    clinician.mount(router, pages, parts.database, parts.store)
    analyst.mount(router, pages, parts.database)
    operator.mount(router, pages, parts.database)
    jobs.mount(router, pages, parts.database, parts.jobs)
    subscriptions.mount(router, pages, parts.database, parts.subscriptions)
    audit_trail.mount(router, pages, parts.database, parts.store)
    own_accesses.mount(router, pages, parts.database, parts.store, answer_days=parts.complaint_days)
    complaints.mount(router, pages, parts.database, parts.store)
    consents.mount(router, pages, parts.database, parts.store)
    notices.mount(router, pages, parts.database, parts.store)
    emergency.mount(router, pages, parts.database, parts.emergency)
    emergencies.mount(router, pages, parts.database)
    projects.mount(router, pages, parts.database, parts.projects, parts.project_jobs)
    if parts.rights is not None:
        own_rights.mount(router, pages, parts.rights)
        rights_desk.mount(router, pages, parts.rights)
        processing.mount(router, pages, parts.rights)
    switches.mount(router)
    router.include_router(static_files.build_router())
    return router
