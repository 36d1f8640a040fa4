"""The security officer's page: emergency accesses, and whether each was justified."""

from collections.abc import Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from hie.core.access import Role
from hie.core.audit.record import Record
from hie.core.db.database import Database
from hie.core.errors import ConflictError
from hie.identity.names import account_names
from hie.policy.emergencies import LONGEST_REMARK, Emergency, review, reviewed, to_review
from hie.portal.own_site import require_own_site
from hie.portal.page import Pages, query, requester_of
from hie.portal.people_of_trail import require_role

OFFICERS: Final = frozenset({Role.SECURITY_OFFICER})


def mount(router: APIRouter, pages: Pages, database: Database) -> None:
    """Add the page and its reviews to `router`."""

    def shown(found: Sequence[Emergency]) -> list[tuple[Emergency, datetime, datetime]]:
        return [
            (each, each.since.astimezone(pages.zone), each.until.astimezone(pages.zone)) for each in found
        ]

    @router.get("/emergencies")
    def emergencies(request: Request, said: Literal["", "reviewed", "conflict"] = "") -> HTMLResponse:
        require_role(request, OFFICERS)
        with database.transaction(requester=requester_of(request)) as transaction:
            waiting, done = to_review(transaction), reviewed(transaction)
            accounts = account_names(transaction, {each.account for each in (*waiting, *done)})
        return pages.render(
            request,
            "emergencies.html",
            waiting=shown(waiting),
            done=shown(done),
            accounts=accounts,
            longest=LONGEST_REMARK,
            said=said,
        )

    @router.post("/emergencies/{identity}", response_model=None)
    def review_one(
        request: Request,
        identity: UUID,
        finding: Annotated[Literal["justified", "unjustified"], Form()],
        remark: Annotated[str, Form(min_length=1, max_length=LONGEST_REMARK)],
    ) -> RedirectResponse:
        require_own_site(request)
        require_role(request, OFFICERS)
        requester, now = requester_of(request), pages.clock.now()
        said = "reviewed"
        try:
            with database.transaction(requester=requester) as transaction:
                patient = review(
                    transaction, identity, is_justified=finding == "justified", remark=remark, now=now
                )
                transaction.record(
                    Record(
                        "break-glass",
                        "break-glass-review",
                        "U",
                        requester,
                        now,
                        target=f"Patient/{patient}",
                        patients=(patient,),
                        detail={"emergency": str(identity), "finding": finding},
                    )
                )
        except ConflictError:
            said = "conflict"
        return RedirectResponse(f"/emergencies{query(said=said)}", HTTPStatus.SEE_OTHER)
