"""The operator's pages of subscriptions: how each stands, what waits in vain, the button that sends it."""

from http import HTTPStatus
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from hie.core.db.database import Database
from hie.core.errors import ConflictError, DeletedError, NotFoundError
from hie.core.oversight import SubscriptionOversight
from hie.portal.own_site import require_own_site
from hie.portal.page import Pages, query, requester_of

Status = Literal["requested", "active", "error", "off"]
Said = Literal["redriven", "conflict"]

STATUSES: Final[tuple[Status, ...]] = ("error", "active", "requested", "off")
_PAGE: Final = 50
# The events of one subscription are counted in a bigint; nobody leaves out so many by hand.
_MOST_SKIPPED: Final = 1_000_000


def mount(router: APIRouter, pages: Pages, database: Database, oversight: SubscriptionOversight) -> None:
    """Add the list, the page of one subscription and its redrive to `router`."""

    @router.get("/subscriptions")
    def subscriptions(
        request: Request, status: Status | None = None, after: str | None = None
    ) -> HTMLResponse:
        with database.transaction(requester=requester_of(request)) as transaction:
            counts = oversight.counts(transaction)
            found = oversight.subscriptions(
                transaction,
                statuses=() if status is None else (status,),
                after=after,
                limit=_PAGE + 1,
            )
        shown = found[:_PAGE]
        return pages.render(
            request,
            "subscriptions.html",
            counts=counts,
            statuses=STATUSES,
            chosen=status,
            after=after,
            subscriptions=shown,
            last=shown[-1] if len(found) > _PAGE else None,
        )

    @router.get("/subscriptions/{identity}")
    def one(
        request: Request,
        identity: str,
        after: Annotated[int, Query(ge=0, le=2**62)] = 0,
        said: Said | None = None,
    ) -> HTMLResponse:
        try:
            with database.transaction(requester=requester_of(request)) as transaction:
                subscription = oversight.subscription(transaction, identity)
                events = oversight.pending(transaction, identity, after=after, limit=_PAGE + 1)
        except (NotFoundError, DeletedError):
            return _gone(pages, request)
        shown = events[:_PAGE]
        return pages.render(
            request,
            "subscription.html",
            subscription=subscription,
            events=shown,
            after=after,
            said=said,
            last=shown[-1].number if len(events) > _PAGE else None,
            most_skipped=min(subscription.pending, _MOST_SKIPPED),
        )

    @router.post("/subscriptions/{identity}/redrive", response_model=None)
    def redrive(
        request: Request, identity: str, skip: Annotated[int, Form(ge=0, le=_MOST_SKIPPED)] = 0
    ) -> HTMLResponse | RedirectResponse:
        require_own_site(request)
        said: Said = "redriven"
        try:
            with database.transaction(requester=requester_of(request)) as transaction:
                oversight.redrive(transaction, identity, skip=skip)
        except ConflictError:
            said = "conflict"
        except (NotFoundError, DeletedError):
            return _gone(pages, request)
        return RedirectResponse(f"/subscriptions/{identity}{query(said=said)}", HTTPStatus.SEE_OTHER)


def _gone(pages: Pages, request: Request) -> HTMLResponse:
    status = HTTPStatus.NOT_FOUND
    return pages.render(
        request,
        "error.html",
        status=status,
        what="subscription",
        error_status=int(status),
        back="/subscriptions",
    )
