"""REST of the rights of persons, below ``/api/rights``.

Bodies are JSON, and only what says so in its Content-Type is taken: a form of another site cannot send it
with the session of a reader. Errors are OperationOutcomes, as everywhere.
"""

from http import HTTPStatus
from typing import Annotated, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from hie.core.errors import NotFoundError, UnsupportedMediaTypeError
from hie.core.fhir.json import JsonObject, dumps, loads
from hie.core.web.authentication import requester_of
from hie.rights import faces, rules
from hie.rights.bureau import Bureau
from hie.rights.exporting import Charset, as_csv, as_json
from hie.rights.grounds import load_grounds
from hie.rights.processing import processing_of
from hie.rights.receipts import as_kantara
from hie.rights.requests import LONGEST, Wish
from hie.rights.rules import Action, Kind, State
from hie.rights.signing import Receipt, read_receipt, receipts_of

PATH: Final = "/api/rights"
_JSON: Final = "application/json"
_MEDIA: Final = {"record.json": "application/fhir+json", "record.html": "text/html; charset=utf-8"}
_LONGEST_ID: Final = 64

_Text = Annotated[str, Field(max_length=LONGEST)]
_Id = Annotated[str, Field(max_length=_LONGEST_ID)]


class _Strict(BaseModel):
    """A body without members that nobody reads."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Asked(_Strict):
    """A new request; a correction names the element."""

    kind: Kind
    patient: _Id
    reason: _Text = ""
    resource: Annotated[str, Field(max_length=2 * _LONGEST_ID + 1)] = ""
    element: _Text = ""
    wished: _Text = ""


class Acted(_Strict):
    """The next step of a request."""

    action: Action
    ground: _Id = ""
    remark: _Text = ""


class Described(_Strict):
    """An activity of the register; `version` is the newest when it is changed."""

    content: dict[str, _Text]
    version: Annotated[int, Field(ge=1)] | None = None


class Retired(_Strict):
    """The end of an activity, behind its newest version."""

    version: Annotated[int, Field(ge=1)]


def build_router(bureau: Bureau) -> APIRouter:
    """Return the routes."""
    router = APIRouter(prefix=PATH, dependencies=[Depends(_require_json)], include_in_schema=False)
    _mount_requests(router, bureau)
    _mount_receipts(router, bureau)
    _mount_register(router, bureau)
    return router


def download_headers(name: str) -> dict[str, str]:
    """Return the headers of a file that is saved as `name`, one of ours, and never shown in place."""
    return {
        "Content-Disposition": f'attachment; filename="{name}"',
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'",
    }


def copy_response(bureau: Bureau, request: Request, identity: UUID, name: str) -> Response:
    """Return a file of a copy; raises NotFoundError."""
    with bureau.database.transaction(requester=requester_of(request)) as transaction:
        path = bureau.rights.file(transaction, identity, name)
    media = _MEDIA.get(name)
    if media is None:
        raise NotFoundError("The copy has no such file")
    return FileResponse(path, media_type=media, headers=download_headers(f"health-{name}"))


def export_response(bureau: Bureau, request: Request, form: str, charset: Charset) -> Response:
    """Return the register as a file."""
    with bureau.database.transaction(requester=requester_of(request)) as transaction:
        entries = bureau.register.all(transaction)
    if form == "csv":
        content, media = as_csv(entries, charset), "text/csv"
    else:
        content, media = as_json(entries, charset), _JSON
    headers = download_headers(f"processing-register.{form}")
    return Response(content, media_type=f"{media}; charset={charset}", headers=headers)


def own_receipt(bureau: Bureau, request: Request, identity: UUID) -> Receipt:
    """Return a receipt of the requester's own record, or of a ward's; raises NotFoundError."""
    with bureau.database.transaction(requester=requester_of(request)) as transaction:
        bureau.rights.standing.require_person(transaction.requester)
        found = read_receipt(transaction, identity)
        bureau.rights.resource(transaction, f"Patient/{found.patient}")
        return found


def own_receipts(bureau: Bureau, request: Request, patient: str) -> list[Receipt]:
    """Return the receipts of the requester's own record, or of a ward's; raises NotFoundError."""
    with bureau.database.transaction(requester=requester_of(request)) as transaction:
        bureau.rights.resource(transaction, f"Patient/{patient}")
        return receipts_of(transaction, patient)


def _mount_requests(router: APIRouter, bureau: Bureau) -> None:
    rights, database = bureau.rights, bureau.database

    @router.post("/requests")
    def ask(request: Request, asked: Asked) -> Response:
        wish = Wish(asked.resource, asked.element, asked.wished) if asked.element else None
        with database.transaction(requester=requester_of(request)) as transaction:
            made = rights.request(transaction, asked.kind, asked.patient, reason=asked.reason, wish=wish)
            shown = faces.as_json(rights.view(transaction, made.id))
        return _answer(shown, HTTPStatus.CREATED, {"Location": f"{PATH}/requests/{made.id}"})

    @router.get("/requests")
    def listed(
        request: Request,
        state: Annotated[list[State] | None, Query()] = None,
        *,
        overdue: bool = False,
        own: bool = False,
        before: UUID | None = None,
    ) -> Response:
        now = bureau.clock.now()
        with database.transaction(requester=requester_of(request)) as transaction:
            if own:
                found = rights.own(transaction)
            else:
                last = None if before is None else rights.view(transaction, before).request
                states = frozenset(state) if state else rules.OPEN
                found = rights.list(transaction, states, is_overdue=overdue, before=last)
        shown = [
            faces.summary(each, is_overdue=rules.is_overdue(each.state, each.due_at, now)) for each in found
        ]
        return _answer({"requests": shown})

    @router.get("/requests/{identity}")
    def one(request: Request, identity: UUID, form: Literal["request", "task"] = "request") -> Response:
        with database.transaction(requester=requester_of(request)) as transaction:
            view = rights.view(transaction, identity)
        return _answer(faces.as_task(view) if form == "task" else faces.as_json(view))

    @router.post("/requests/{identity}/steps")
    def act(request: Request, identity: UUID, acted: Acted) -> Response:
        with database.transaction(requester=requester_of(request)) as transaction:
            rights.act(transaction, identity, acted.action, ground=acted.ground, remark=acted.remark)
            shown = faces.as_json(rights.view(transaction, identity))
        return _answer(shown)

    @router.get("/requests/{identity}/copy/{name}")
    def copy(request: Request, identity: UUID, name: str) -> Response:
        return copy_response(bureau, request, identity, name)

    @router.get("/grounds")
    def grounds() -> Response:
        shown = [
            {
                "code": each.code,
                "kinds": sorted(each.kinds),
                "zh": each.zh,
                "en": each.en,
                "source": each.source,
            }
            for each in load_grounds().values()
        ]
        return _answer({"grounds": shown})


def _mount_receipts(router: APIRouter, bureau: Bureau) -> None:
    @router.get("/receipts")
    def listed(request: Request, patient: Annotated[str, Query(max_length=_LONGEST_ID)]) -> Response:
        found = own_receipts(bureau, request, patient)
        return _answer({"receipts": [faces.receipt_summary(each) for each in found]})

    @router.get("/receipts/{identity}")
    def one(request: Request, identity: UUID, form: Literal["27560", "kantara"] = "27560") -> Response:
        found = own_receipt(bureau, request, identity)
        if form == "kantara":
            return _answer(as_kantara(loads(found.body), found.public.hex()))
        return _answer(faces.receipt_json(found))

    @router.get("/receipts/{identity}/verification")
    def verification(request: Request, identity: UUID) -> Response:
        found = own_receipt(bureau, request, identity)
        return _answer({"receipt": str(found.id), "is_genuine": found.is_genuine})


def _mount_register(router: APIRouter, bureau: Bureau) -> None:
    register, database = bureau.register, bureau.database

    @router.get("/processing")
    def listed(request: Request) -> Response:
        with database.transaction(requester=requester_of(request)) as transaction:
            found = register.all(transaction)
        return _answer({"processing": [each.as_json for each in found]})

    @router.get("/processing/export")
    def export(
        request: Request,
        form: Annotated[Literal["csv", "json"], Query(alias="format")] = "csv",
        charset: Charset = "utf-8",
    ) -> Response:
        return export_response(bureau, request, form, charset)

    @router.get("/processing/{identity}")
    def versions(request: Request, identity: UUID) -> Response:
        with database.transaction(requester=requester_of(request)) as transaction:
            found = register.versions(transaction, identity)
        return _answer({"versions": [each.as_json for each in found]})

    @router.post("/processing")
    def add(request: Request, described: Described) -> Response:
        with database.transaction(requester=requester_of(request)) as transaction:
            made = register.add(transaction, processing_of(described.content))
        return _answer(made.as_json, HTTPStatus.CREATED, {"Location": f"{PATH}/processing/{made.id}"})

    @router.put("/processing/{identity}")
    def change(request: Request, identity: UUID, described: Described) -> Response:
        with database.transaction(requester=requester_of(request)) as transaction:
            made = register.change(
                transaction, identity, processing_of(described.content), version=described.version or 0
            )
        return _answer(made.as_json)

    @router.post("/processing/{identity}/retirement")
    def retire(request: Request, identity: UUID, retired: Retired) -> Response:
        with database.transaction(requester=requester_of(request)) as transaction:
            made = register.retire(transaction, identity, version=retired.version)
        return _answer(made.as_json)


def _require_json(request: Request) -> None:
    if request.method in {"GET", "HEAD"}:
        return
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _JSON:
        raise UnsupportedMediaTypeError("Bodies are application/json")


def _answer(
    content: JsonObject, status: int = HTTPStatus.OK, headers: dict[str, str] | None = None
) -> Response:
    return Response(
        dumps(content), status, {"Cache-Control": "no-store", **(headers or {})}, media_type=_JSON
    )
