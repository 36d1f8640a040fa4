"""The clinician's pages: find a person, read one timeline over all hospitals."""

from collections.abc import Sequence
from datetime import date
from itertools import chain
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from hie.core.db.database import Database
from hie.portal import former_identities
from hie.portal.entries import Kind
from hie.portal.former_identities import VersionedStore
from hie.portal.page import Pages, requester_of
from hie.portal.people import Person, find, normal_query, person_of, persons_of
from hie.portal.record import Record

# The persons looked at last, by Patient id, until the browser is closed. No name stands in it.
RECENT_COOKIE: Final = "recent"
_RECENT: Final = 6
# No sign of a FHIR id, and one that a cookie takes as it is.
_SEPARATOR: Final = "~"
_COLOURS: Final = 8
_LONGEST_QUERY: Final = 200


def mount(router: APIRouter, pages: Pages, database: Database, store: VersionedStore) -> None:
    """Add the pages to `router`; each request is one transaction."""

    @router.get("/")
    def first_page(request: Request) -> HTMLResponse:
        with database.transaction(requester=requester_of(request)) as transaction:
            recent = persons_of(transaction, store, _recent(request))
        return pages.render(request, "search.html", recent=recent, query_text="")

    @router.get("/patients", response_model=None)
    def patients(
        request: Request, q: Annotated[str, Query(max_length=_LONGEST_QUERY)] = ""
    ) -> HTMLResponse | RedirectResponse:
        if not normal_query(q):
            return RedirectResponse("/", 303)
        with database.transaction(requester=requester_of(request)) as transaction:
            finding = find(transaction, store, q)
            if finding.is_by_number:
                finding = former_identities.of_finding(transaction, store, finding)
        return pages.render(request, "patients.html", finding=finding, query_text=normal_query(q))

    @router.get("/patients/{patient_id}")
    def patient(
        request: Request,
        patient_id: str,
        kind: Kind | None = None,
        hospital: str = "",
        before: date | None = None,
    ) -> HTMLResponse:
        with database.transaction(requester=requester_of(request)) as transaction:
            person = former_identities.of_person(
                transaction, store, person_of(transaction, store, patient_id)
            )
            record = Record(
                transaction,
                store,
                person,
                zone=pages.zone,
                kinds=tuple(Kind) if kind is None else (kind,),
                hospital=hospital,
            )
            page = record.page(before)
            allergies = record.allergies()
        response = pages.render(
            request,
            "patient.html",
            person=person,
            hospitals=_colours(person),
            allergies=allergies,
            page=page,
            kinds=tuple(Kind),
            kind=kind,
            hospital=hospital,
            before=before,
            query_text="",
        )
        recent = dict.fromkeys(chain([person.key], _recent(request)))
        response.set_cookie(
            RECENT_COOKIE, _SEPARATOR.join(list(recent)[:_RECENT]), httponly=True, samesite="strict"
        )
        return response


def _recent(request: Request) -> Sequence[str]:
    """Return the Patient ids of the cookie."""
    return [each for each in request.cookies.get(RECENT_COOKIE, "").split(_SEPARATOR) if each][:_RECENT]


def _colours(person: Person) -> dict[str, int]:
    """Return the number of the badge colour by Organization id, in the order of the hospitals."""
    return {hospital.id: number % _COLOURS for number, hospital in enumerate(person.hospitals)}
