"""The security officer's page: complaints of citizens about accesses, and their answers."""

from http import HTTPStatus
from typing import Annotated, Literal

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from hie.core.audit.complaints import LONGEST, answer, unanswered
from hie.core.audit.queries import by_id
from hie.core.db.database import Database
from hie.core.errors import ConflictError
from hie.core.ports import ResourceStore
from hie.portal.access_words import access_of
from hie.portal.own_site import require_own_site
from hie.portal.page import Pages, query, requester_of
from hie.portal.people_of_trail import OFFICERS, names, require_role


def mount(router: APIRouter, pages: Pages, database: Database, store: ResourceStore) -> None:
    """Add the page and its answers to `router`."""

    @router.get("/complaints")
    def complaints(request: Request, said: Literal["", "answered", "conflict"] = "") -> HTMLResponse:
        require_role(request, OFFICERS)
        with database.transaction(requester=requester_of(request)) as transaction:
            waiting = unanswered(transaction)
            found = [by_id(transaction, each.event_id) if each.event_id else None for each in waiting]
            known = names(transaction, store, [each for each in found if each is not None])
        shown = [
            (
                each,
                each.made_at.astimezone(pages.zone),
                each.answer_due.astimezone(pages.zone),
                access_of(record, pages.zone, known) if record is not None else None,
            )
            for each, record in zip(waiting, found, strict=True)
        ]
        return pages.render(request, "complaints.html", complaints=shown, longest=LONGEST, said=said)

    @router.post("/complaints/{number}", response_model=None)
    def reply(
        request: Request, number: int, text: Annotated[str, Form(min_length=1, max_length=LONGEST)]
    ) -> RedirectResponse:
        require_own_site(request)
        require_role(request, OFFICERS)
        said = "answered"
        try:
            with database.transaction(requester=requester_of(request)) as transaction:
                answer(transaction, number, text, now=pages.clock.now())
        except ConflictError:
            said = "conflict"
        return RedirectResponse(f"/complaints{query(said=said)}", HTTPStatus.SEE_OTHER)
