"""The portal on the application: its pages, its static files, its error pages.

`install` is what the application calls; `build_router` gives the pages alone.
"""

from zoneinfo import ZoneInfo

from fastapi import APIRouter, FastAPI

from hie.core.clock import Clock
from hie.core.db.database import Database
from hie.portal import analyst, clinician, error_pages, operator, static_files, switches
from hie.portal.former_identities import VersionedStore
from hie.portal.page import Pages


def build_router(store: VersionedStore, database: Database, clock: Clock, zone: ZoneInfo) -> APIRouter:
    """Return the routes of the pages and of their static files; times are shown in `zone`."""
    return _router(Pages(clock, zone), store, database)


def install(app: FastAPI, *, store: VersionedStore, database: Database, clock: Clock, zone: ZoneInfo) -> None:
    """Mount the portal on `app`, after `hie.core.web.errors.install`, whose answers browsers get as pages."""
    pages = Pages(clock, zone)
    app.include_router(_router(pages, store, database))
    error_pages.install(app, pages)


def _router(pages: Pages, store: VersionedStore, database: Database) -> APIRouter:
    router = APIRouter(include_in_schema=False)
    clinician.mount(router, pages, database, store)
    analyst.mount(router, pages, database)
    operator.mount(router, pages, database)
    switches.mount(router)
    router.include_router(static_files.build_router())
    return router
