"""The register of processing: the security officer's pages, and the privacy notice that is made of it."""

from dataclasses import asdict
from http import HTTPStatus
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Form, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field

from hie.core.errors import ConflictError, ParameterValueError
from hie.portal.own_site import require_own_site
from hie.portal.page import Pages, query, requester_of
from hie.rights.bureau import Bureau
from hie.rights.exporting import Charset
from hie.rights.processing import FIELDS, REQUIRED, Processing
from hie.rights.requests import LONGEST
from hie.rights.router import export_response

_PATH: Final = "/processing"
_SAID: Final = frozenset({"kept", "retired", "conflict", "value"})
_Text = Annotated[str, Field(max_length=LONGEST)]


def mount(router: APIRouter, pages: Pages, bureau: Bureau) -> None:
    """Add the pages to `router`."""
    _mount_looks(router, pages, bureau)
    _mount_changes(router, bureau)


def _mount_looks(router: APIRouter, pages: Pages, bureau: Bureau) -> None:
    register = bureau.register

    @router.get("/privacy")
    def notice(request: Request) -> HTMLResponse:
        with bureau.database.transaction(requester=requester_of(request)) as transaction:
            found = register.active(transaction)
        return pages.render(request, "privacy.html", controller=bureau.controller, activities=found)

    @router.get(_PATH)
    def listed(request: Request, said: str = "") -> HTMLResponse:
        with bureau.database.transaction(requester=requester_of(request)) as transaction:
            found = register.all(transaction)
        return pages.render(
            request,
            "processing.html",
            activities=[(each, each.made_at.astimezone(pages.zone)) for each in found],
            content=asdict(Processing("")),
            fields=FIELDS,
            required=REQUIRED,
            longest=LONGEST,
            said=said if said in _SAID else "",
        )

    @router.get(_PATH + "/export")
    def export(
        request: Request, form: Literal["csv", "json"] = "csv", charset: Charset = "utf-8"
    ) -> Response:
        return export_response(bureau, request, form, charset)

    @router.get(_PATH + "/{identity}")
    def one(request: Request, identity: UUID, said: str = "") -> HTMLResponse:
        with bureau.database.transaction(requester=requester_of(request)) as transaction:
            versions = register.versions(transaction, identity)
        return pages.render(
            request,
            "processing_activity.html",
            newest=versions[0],
            versions=[(each, each.made_at.astimezone(pages.zone)) for each in versions],
            content=asdict(versions[0].content),
            fields=FIELDS,
            required=REQUIRED,
            longest=LONGEST,
            said=said if said in _SAID else "",
        )


def _mount_changes(router: APIRouter, bureau: Bureau) -> None:
    register = bureau.register

    @router.post(_PATH, response_model=None)
    def add(request: Request, activity: Annotated[Activity, Form()]) -> RedirectResponse:
        require_own_site(request)
        try:
            with bureau.database.transaction(requester=requester_of(request)) as transaction:
                made = register.add(transaction, activity.content)
        except ParameterValueError:
            return _to(_PATH, "value")
        return _to(f"{_PATH}/{made.id}", "kept")

    @router.post(_PATH + "/{identity}", response_model=None)
    def change(request: Request, identity: UUID, activity: Annotated[Activity, Form()]) -> RedirectResponse:
        require_own_site(request)
        said = "kept"
        try:
            with bureau.database.transaction(requester=requester_of(request)) as transaction:
                register.change(transaction, identity, activity.content, version=activity.version)
        except ConflictError:
            said = "conflict"
        except ParameterValueError:
            said = "value"
        return _to(f"{_PATH}/{identity}", said)

    @router.post(_PATH + "/{identity}/retirement", response_model=None)
    def retire(request: Request, identity: UUID, version: Annotated[int, Form(ge=1)]) -> RedirectResponse:
        require_own_site(request)
        said = "retired"
        try:
            with bureau.database.transaction(requester=requester_of(request)) as transaction:
                register.retire(transaction, identity, version=version)
        except ConflictError:
            said = "conflict"
        return _to(f"{_PATH}/{identity}", said)


class Activity(BaseModel):
    """The form of an activity: the fields of `Processing`, and the version that is changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: _Text = ""
    purposes: _Text = ""
    lawful_basis: _Text = ""
    data_subjects: _Text = ""
    data_categories: _Text = ""
    recipients: _Text = ""
    transfers: _Text = ""
    retention: _Text = ""
    security_measures: _Text = ""
    necessity: _Text = ""
    impact: _Text = ""
    safeguards: _Text = ""
    assessed_on: _Text = ""
    assessed_by: _Text = ""
    version: Annotated[int, Field(ge=1)] = 1

    @property
    def content(self) -> Processing:
        """The activity."""
        return Processing(**self.model_dump(exclude={"version"}))


def _to(path: str, said: str) -> RedirectResponse:
    return RedirectResponse(f"{path}{query(said=said)}", HTTPStatus.SEE_OTHER)
