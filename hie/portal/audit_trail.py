"""The auditor's page: search of the audit trail, and how the chain stands."""

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse

from hie.core.audit.queries import Place, Wanted, read
from hie.core.audit.state import state
from hie.core.db.database import Database
from hie.core.errors import RequestError
from hie.core.ports import ResourceStore
from hie.portal.access_words import access_of
from hie.portal.page import Pages, requester_of
from hie.portal.people_of_trail import AUDITORS, names, require_role

_PAGE: Final = 50
_LONGEST: Final = 200


def mount(router: APIRouter, pages: Pages, database: Database, store: ResourceStore) -> None:
    """Add the page to `router`."""

    @router.get("/audit")
    def audit(
        request: Request,
        patient: Annotated[str, Query(max_length=_LONGEST)] = "",
        agent: Annotated[str, Query(max_length=_LONGEST)] = "",
        since: str = "",
        until: str = "",
        failures: str = "",
        after: str = "",
    ) -> HTMLResponse:
        require_role(request, AUDITORS)
        wanted = _wanted(pages, patient.strip(), agent.strip(), since, until, is_failed=bool(failures))
        with database.transaction(requester=requester_of(request)) as transaction:
            stands = state(transaction)
            found = read(transaction, wanted, behind=place_of(after), limit=_PAGE + 1)
            known = names(transaction, store, found)
        shown = [access_of(each, pages.zone, known) for each in found[:_PAGE]]
        return pages.render(
            request,
            "audit.html",
            state=stands,
            accesses=shown,
            patient=patient,
            agent=agent,
            since=since,
            until=until,
            failures=failures,
            last=cursor(found[_PAGE - 1].place) if len(found) > _PAGE else "",
        )


def _wanted(pages: Pages, patient: str, agent: str, since: str, until: str, *, is_failed: bool) -> Wanted:
    wanted = Wanted()
    if patient:
        wanted.patient(patient.removeprefix("Patient/"))
    if agent:
        wanted.agent(agent)
    if since:
        wanted.since(_midnight(since, pages))
    if until:
        wanted.before(_midnight(until, pages) + timedelta(days=1))
    if is_failed:
        wanted.add("status >= 400")
    return wanted


def _midnight(text: str, pages: Pages) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(text), time(), pages.zone)
    except ValueError as error:
        raise RequestError(f"`{text[:20]}` is not a date") from error


def cursor(place: Place) -> str:
    """Return a place as an address carries it."""
    return f"{place.recorded.astimezone(UTC).isoformat()}~{place.seq}"


def place_of(text: str) -> Place | None:
    """Return the place of `cursor`, None for ""; raises RequestError for another text."""
    moment, _, seq = text.partition("~")
    if not text:
        return None
    try:
        return Place(datetime.fromisoformat(moment).astimezone(UTC), int(seq))
    except ValueError as error:
        raise RequestError("The page is not one of this search") from error
