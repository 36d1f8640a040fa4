"""The citizen's page: who looked at my record, in plain words, with a way to complain."""

from http import HTTPStatus
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from hie.core.audit.complaints import LONGEST, complain, of_patient
from hie.core.audit.queries import Wanted, read
from hie.core.db.database import Database
from hie.core.ports import ResourceStore
from hie.portal.access_words import access_of
from hie.portal.audit_trail import cursor, place_of
from hie.portal.own_site import require_own_site
from hie.portal.page import Pages, query, requester_of
from hie.portal.people_of_trail import names, own_patient

_PAGE: Final = 30
_LONGEST_ID: Final = 80


def mount(
    router: APIRouter, pages: Pages, database: Database, store: ResourceStore, *, answer_days: int
) -> None:
    """Add the page and its complaints to `router`; they are to be answered within `answer_days`."""

    @router.get("/my/accesses")
    def accesses(
        request: Request,
        patient: Annotated[str, Query(max_length=_LONGEST_ID)] = "",
        after: str = "",
        said: Literal["", "complained"] = "",
    ) -> HTMLResponse:
        own = own_patient(request, patient)
        wanted = Wanted()
        wanted.patient(own)
        with database.transaction(requester=requester_of(request)) as transaction:
            found = read(transaction, wanted, behind=place_of(after), limit=_PAGE + 1) if own else []
            known = names(transaction, store, found)
            complaints = of_patient(transaction, own) if own else []
        return pages.render(
            request,
            "accesses.html",
            accesses=[access_of(each, pages.zone, known, viewer=own) for each in found[:_PAGE]],
            complaints=[(each, each.made_at.astimezone(pages.zone)) for each in complaints],
            patient=own,
            is_asking=getattr(request.state, "requester", None) is None,
            answer_days=answer_days,
            longest=LONGEST,
            said=said,
            last=cursor(found[_PAGE - 1].place) if len(found) > _PAGE else "",
        )

    @router.post("/my/accesses/complaints", response_model=None)
    def complaint(
        request: Request,
        reason: Annotated[str, Form(min_length=1, max_length=LONGEST)],
        event: Annotated[str, Form(max_length=_LONGEST_ID)] = "",
        patient: Annotated[str, Form(max_length=_LONGEST_ID)] = "",
    ) -> RedirectResponse:
        require_own_site(request)
        own = own_patient(request, patient)
        with database.transaction(requester=requester_of(request)) as transaction:
            complain(
                transaction,
                patient=own,
                event_id=event or None,
                reason=reason,
                now=pages.clock.now(),
                answer_days=answer_days,
            )
        asked = patient if getattr(request.state, "requester", None) is None else ""
        return RedirectResponse(
            f"/my/accesses{query(patient=asked, said='complained')}", HTTPStatus.SEE_OTHER
        )
