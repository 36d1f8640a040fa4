"""The operator's pages of jobs: exports, imports, reindexing, deferred requests, whoever asked for them."""

from datetime import datetime
from http import HTTPStatus
from typing import Final, Literal
from uuid import UUID

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import AwareDatetime

from hie.core.db.database import Database
from hie.core.errors import NotFoundError
from hie.core.oversight import JobOversight
from hie.portal.job_words import is_left_alone, progress, request_of, share
from hie.portal.own_site import require_own_site
from hie.portal.page import Pages, language_of, requester_of

State = Literal["queued", "running", "done", "failed", "cancelled"]
Kind = Literal["export", "import", "reindex", "request", "de-identify"]
Said = Literal["cancelled"]

STATES: Final[tuple[State, ...]] = ("queued", "running", "done", "failed")
KINDS: Final[tuple[Kind, ...]] = ("export", "import", "reindex", "request", "de-identify")
_PAGE: Final = 50


def mount(router: APIRouter, pages: Pages, database: Database, oversight: JobOversight) -> None:
    """Add the list, the page of one job and its cancellation to `router`."""

    @router.get("/jobs")
    def jobs(
        request: Request,
        state: State | None = None,
        kind: Kind | None = None,
        before: AwareDatetime | None = None,
        job: UUID | None = None,
        said: Said | None = None,
    ) -> HTMLResponse:
        with database.transaction(requester=requester_of(request)) as transaction:
            counts = oversight.counts(transaction)
            found = oversight.jobs(
                transaction,
                states=() if state is None else (state,),
                kinds=() if kind is None else (kind,),
                before=_place(before, job),
                limit=_PAGE + 1,
            )
        shown = found[:_PAGE]
        now = pages.clock.now()
        return pages.render(
            request,
            "jobs.html",
            counts=counts,
            states=STATES,
            kinds=KINDS,
            state=state,
            kind=kind,
            before=before,
            said=said,
            jobs=shown,
            left_alone=[each.id for each in shown if is_left_alone(each, now)],
            last=shown[-1] if len(found) > _PAGE else None,
            progress=lambda text: progress(text, language_of(request)),
            share=share,
        )

    @router.get("/jobs/{identity}")
    def one(request: Request, identity: str) -> HTMLResponse:
        try:
            with database.transaction(requester=requester_of(request)) as transaction:
                job = oversight.job(transaction, identity)
        except NotFoundError:
            return _gone(pages, request)
        return pages.render(
            request,
            "job.html",
            job=job,
            asked=request_of(job.request),
            is_left_alone=is_left_alone(job.summary, pages.clock.now()),
            progress=lambda text: progress(text, language_of(request)),
            share=share,
        )

    @router.post("/jobs/{identity}/cancel", response_model=None)
    def cancel(request: Request, identity: str) -> HTMLResponse | RedirectResponse:
        require_own_site(request)
        try:
            with database.transaction(requester=requester_of(request)) as transaction:
                oversight.cancel(transaction, identity)
        except NotFoundError:
            return _gone(pages, request)
        return RedirectResponse("/jobs?said=cancelled", HTTPStatus.SEE_OTHER)


def _place(before: datetime | None, job: UUID | None) -> tuple[datetime, UUID] | None:
    """Return the job that a page ends before; half of a place is none."""
    return None if before is None or job is None else (before, job)


def _gone(pages: Pages, request: Request) -> HTMLResponse:
    status = HTTPStatus.NOT_FOUND
    return pages.render(
        request, "error.html", status=status, what="job", error_status=int(status), back="/jobs"
    )
