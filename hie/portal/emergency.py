"""The clinician's page of emergency access: open a record, see what is open, end it early.

The rules are those of `hie.policy.break_glass`; the page says beforehand what happens then.
"""

from http import HTTPStatus
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from hie.core.access import Role
from hie.core.audit.record import Record
from hie.core.db.database import Database
from hie.core.errors import NotFoundError, RequestError
from hie.policy.break_glass import LONGEST, REASONS, EmergencyAccess
from hie.policy.emergencies import end, of_account
from hie.portal.own_site import require_own_site
from hie.portal.page import Pages, query, requester_of
from hie.portal.people_of_trail import require_role

CLINICIANS: Final = frozenset({Role.CLINICIAN})
_LONGEST_NUMBER: Final = 80
_Said = Literal["", "opened", "ended", "unknown", "incomplete"]


def mount(router: APIRouter, pages: Pages, database: Database, emergency: EmergencyAccess) -> None:
    """Add the page and its forms to `router`."""

    @router.get("/emergency")
    def overview(request: Request, said: _Said = "") -> HTMLResponse:
        require_role(request, CLINICIANS)
        now = pages.clock.now()
        with database.transaction(requester=requester_of(request)) as transaction:
            found = of_account(transaction, requester_of(request).id)
        shown = [
            (each, each.since.astimezone(pages.zone), each.until.astimezone(pages.zone)) for each in found
        ]
        return pages.render(
            request,
            "emergency.html",
            lasting=[row for row in shown if row[0].until > now],
            ended=[row for row in shown if row[0].until <= now],
            reasons=REASONS,
            longest=LONGEST,
            minutes=emergency.minutes,
            said=said,
        )

    @router.post("/emergency", response_model=None)
    def open_record(
        request: Request,
        number: Annotated[str, Form(min_length=1, max_length=_LONGEST_NUMBER)],
        reason_code: Annotated[str, Form(max_length=20)],
        reason: Annotated[str, Form(max_length=LONGEST)],
        agreed: Annotated[str, Form(max_length=3)] = "",
    ) -> RedirectResponse:
        require_own_site(request)
        require_role(request, CLINICIANS)
        if agreed != "yes":
            return _back("incomplete")
        said: _Said = "opened"
        try:
            with database.transaction(requester=requester_of(request)) as transaction:
                patient = emergency.find(transaction, number)
                emergency.open(transaction, patient, reason_code=reason_code, reason=reason)
        except NotFoundError:
            said = "unknown"
        except RequestError:
            said = "incomplete"
        return _back(said)

    @router.post("/emergency/{identity}/end", response_model=None)
    def end_access(request: Request, identity: UUID) -> RedirectResponse:
        require_own_site(request)
        require_role(request, CLINICIANS)
        requester, now = requester_of(request), pages.clock.now()
        with database.transaction(requester=requester) as transaction:
            patient = end(transaction, identity, requester.id, now=now)
            transaction.record(
                Record(
                    "break-glass",
                    "break-glass-end",
                    "E",
                    requester,
                    now,
                    target=f"Patient/{patient}",
                    patients=(patient,),
                    detail={"emergency": str(identity)},
                )
            )
        return _back("ended")


def _back(said: _Said) -> RedirectResponse:
    return RedirectResponse(f"/emergency{query(said=said)}", HTTPStatus.SEE_OTHER)
