"""The pages of projects: proposed by analysts, approved by the security officer, exported for; the report.

Who may do what is the word of `hie.privacy.projects`; here are the forms. The address of a page names the
export that it shows, which only who began it is shown.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import FileResponse, HTMLResponse, RedirectResponse

from hie.core.access import Role
from hie.core.db.database import Database, Transaction
from hie.core.deidentification import ExportState, ProjectJobs
from hie.core.errors import ConflictError, ForbiddenError, RequestError
from hie.core.fhir.json import Json, JsonObject
from hie.portal.own_site import require_own_site
from hie.portal.page import Pages, query, requester_of
from hie.portal.people_of_trail import require_role
from hie.privacy.deidentification import Dates
from hie.privacy.projects import PURPOSES, ROLES, Projects, takes_part

READERS: Final = frozenset({*ROLES, Role.SECURITY_OFFICER})
DATES: Final[tuple[Dates, ...]] = ("year", "shifted")
REGIONS: Final = (0, 1, 2)
LONGEST: Final = 500
Said = Literal["", "proposed", "approved", "ended", "begun", "own", "conflict", "incomplete"]


@dataclass(frozen=True, slots=True)
class Report:
    """What a report says: figures by name, and the table of patients by region and gender."""

    figures: tuple[tuple[str, Json], ...]
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[Json, ...]], ...]


def mount(  # noqa: C901 - a route each
    router: APIRouter, pages: Pages, database: Database, projects: Projects, exports: ProjectJobs
) -> None:
    """Add the list, the page of one project, its steps and the files of an export to `router`."""

    @router.get("/projects")
    def listed(request: Request, said: Said = "") -> HTMLResponse:
        require_role(request, READERS)
        with database.transaction(requester=requester_of(request)) as transaction:
            found = projects.all(transaction)
        return pages.render(
            request,
            "projects.html",
            projects=found,
            may_propose=projects.may_propose(requester_of(request)),
            purposes=PURPOSES,
            roles_of_project=ROLES,
            dates=DATES,
            regions=REGIONS,
            least_k=projects.least_k,
            longest=LONGEST,
            zoned=lambda at: at.astimezone(pages.zone),
            said=said,
        )

    @router.post("/projects", response_model=None)
    def propose(
        request: Request,
        title: Annotated[str, Form(max_length=LONGEST)],
        reason: Annotated[str, Form(max_length=LONGEST)],
        purpose: Annotated[str, Form()],
        k: Annotated[int, Form(ge=2, le=1_000)],
        dates: Annotated[Dates, Form()],
        regions: Annotated[int, Form(ge=0, le=2)],
        roles: Annotated[list[Role] | None, Form()] = None,
    ) -> RedirectResponse:
        require_own_site(request)
        require_role(request, READERS)
        try:
            with database.transaction(requester=requester_of(request)) as transaction:
                made = projects.propose(
                    transaction,
                    title=title,
                    reason=reason,
                    purpose=purpose,
                    roles=roles or (),
                    k=k,
                    dates=dates,
                    regions=regions,
                )
        except ForbiddenError:
            raise
        except RequestError:
            return _back("/projects", "incomplete")
        return _back(f"/projects/{made}", "proposed")

    @router.get("/projects/{project}")
    def one(request: Request, project: UUID, job: str = "", said: Said = "") -> HTMLResponse:
        require_role(request, READERS)
        requester = requester_of(request)
        with database.transaction(requester=requester) as transaction:
            found = projects.one(transaction, project)
            state = exports.state(transaction, job) if job else None
        is_mine = found.proposed_by == requester.id
        return pages.render(
            request,
            "project.html",
            project=found,
            may_approve=projects.may_approve(requester) and not is_mine and found.state == "proposed",
            may_end=projects.may_approve(requester) and found.state != "ended",
            may_export=found.state == "approved" and takes_part(found, requester),
            export=state,
            report=_report(state),
            job=job,
            zoned=lambda at: at.astimezone(pages.zone),
            said=said,
        )

    @router.post("/projects/{project}/{step}", response_model=None)
    def go_on(request: Request, project: UUID, step: Literal["approve", "end", "export"]) -> RedirectResponse:
        require_own_site(request)
        require_role(request, READERS)
        where = f"/projects/{project}"
        try:
            with database.transaction(requester=requester_of(request)) as transaction:
                return _done(transaction, where, project, step)
        except ConflictError:
            return _back(where, "conflict")

    def _done(transaction: Transaction, where: str, project: UUID, step: str) -> RedirectResponse:
        if step == "export":
            return _back(where, "begun", job=exports.begin(transaction, str(project)))
        if step == "end":
            projects.end(transaction, project)
            return _back(where, "ended")
        if projects.one(transaction, project).proposed_by == transaction.requester.id:
            return _back(where, "own")
        projects.approve(transaction, project)
        return _back(where, "approved")

    @router.get("/projects/{project}/exports/{job}/{name}")
    def file(request: Request, project: UUID, job: str, name: str) -> FileResponse:
        require_role(request, READERS)
        with database.transaction(requester=requester_of(request)) as transaction:
            projects.used(transaction, project)
            path = exports.file(transaction, job, name)
        return FileResponse(path, media_type="application/fhir+ndjson", filename=name)


def _back(where: str, said: Said, **more: str) -> RedirectResponse:
    return RedirectResponse(f"{where}{query(**more, said=said)}", HTTPStatus.SEE_OTHER)


def _report(state: ExportState | None) -> Report | None:
    if state is None or state.report is None:
        return None
    parameters: list[JsonObject] = state.report["parameter"]
    figures = tuple((each["name"], _value(each)) for each in parameters if "part" not in each)
    table: list[JsonObject] = next(
        (each["part"] for each in parameters if each["name"] == "patients-by-region-and-gender"), []
    )
    columns = tuple(each["name"] for each in table[0]["part"]) if table else ()
    rows = tuple((row["name"], tuple(_value(each) for each in row["part"])) for row in table)
    return Report(tuple(each for each in figures if each[0] != "project"), columns, rows)


def _value(parameter: JsonObject) -> Json:
    return next(value for name, value in parameter.items() if name.startswith("value"))
