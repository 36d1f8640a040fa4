"""The citizen's pages: asking for a copy, a correction or an erasure, how that stands, receipts of consents.

个人信息保护法 art. 50 wants it convenient (便捷的个人行使权利的申请受理和处理机制). Rules: `hie.rights`.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

from hie.core.errors import ConflictError, ParameterValueError
from hie.core.fhir.json import JsonObject, dumps_pretty, loads
from hie.portal.own_site import require_own_site
from hie.portal.page import Pages, language_of, query, requester_of
from hie.portal.rights_words import ground_text
from hie.rights.bureau import Bureau
from hie.rights.elements import LONGEST_PATH, leaves
from hie.rights.faces import receipt_json
from hie.rights.receipts import as_kantara
from hie.rights.requests import LONGEST, View, Wish
from hie.rights.router import copy_response, download_headers, own_receipt, own_receipts
from hie.rights.rules import Action, Kind

_LONGEST_ID: Final = 64
_PATH: Final = "/my/rights"

_Id = Annotated[str, Form(max_length=_LONGEST_ID)]
_AskedId = Annotated[str, Query(max_length=_LONGEST_ID)]
_AskedResource = Annotated[str, Query(max_length=2 * _LONGEST_ID + 1)]
_Resource = Annotated[str, Form(max_length=2 * _LONGEST_ID + 1)]
_Text = Annotated[str, Form(max_length=LONGEST)]


@dataclass(frozen=True, slots=True)
class _Choice:
    """A Patient that the reader may ask about."""

    id: str
    name: str
    is_chosen: bool


def mount(router: APIRouter, pages: Pages, bureau: Bureau) -> None:
    """Add the pages to `router`."""
    _mount_overview(router, pages, bureau)
    _mount_requests(router, bureau)
    _mount_receipts(router, pages, bureau)


def _mount_overview(router: APIRouter, pages: Pages, bureau: Bureau) -> None:
    rights = bureau.rights

    @router.get(_PATH)
    def overview(request: Request, patient: _AskedId = "", said: _AskedId = "") -> HTMLResponse:
        with bureau.database.transaction(requester=requester_of(request)) as transaction:
            choices = _choices(rights.patients(transaction), patient)
            views = [rights.view(transaction, each.id) for each in rights.own(transaction)]
        chosen = next((each.id for each in choices if each.is_chosen), patient)
        receipts = own_receipts(bureau, request, chosen) if chosen else []
        return pages.render(
            request,
            "own_rights.html",
            choices=choices,
            patient=chosen,
            is_asking=not choices,
            views=[_in_zone(pages, each) for each in views],
            receipts=[(each, each.made_at.astimezone(pages.zone)) for each in receipts],
            ground=partial(ground_text, language=language_of(request)),
            days=bureau.days,
            longest=LONGEST,
            said=said if said in _SAID else "",
        )

    @router.get(_PATH + "/correction")
    def correction(request: Request, patient: _AskedId = "", resource: _AskedResource = "") -> HTMLResponse:
        reference = resource or f"Patient/{patient}"
        with bureau.database.transaction(requester=requester_of(request)) as transaction:
            found = rights.resource(transaction, reference)
        return pages.render(
            request,
            "correction.html",
            patient=patient,
            resource=reference,
            leaves=leaves(found),
            longest=LONGEST,
            longest_path=LONGEST_PATH,
        )


_SAID: Final = frozenset({"requested", "cancelled", "disagreed", "conflict", "value"})


def _mount_requests(router: APIRouter, bureau: Bureau) -> None:
    rights = bureau.rights

    @router.post(_PATH + "/requests", response_model=None)
    def ask(
        request: Request,
        kind: Annotated[Kind, Form()],
        patient: _Id,
        reason: _Text = "",
        resource: _Resource = "",
        element: Annotated[str, Form(max_length=LONGEST_PATH)] = "",
        wished: _Text = "",
    ) -> RedirectResponse:
        require_own_site(request)
        wish = Wish(resource, element, wished) if kind is Kind.CORRECTION else None
        said = "requested"
        try:
            with bureau.database.transaction(requester=requester_of(request)) as transaction:
                rights.request(transaction, kind, patient, reason=reason, wish=wish)
        except ConflictError:
            said = "conflict"
        except ParameterValueError:
            said = "value"
        return _back(patient, said)

    @router.post(_PATH + "/requests/{identity}/steps", response_model=None)
    def act(
        request: Request, identity: UUID, action: Annotated[Action, Form()], remark: _Text = ""
    ) -> RedirectResponse:
        require_own_site(request)
        said = "disagreed" if action is Action.DISAGREE else "cancelled"
        patient = ""
        try:
            with bureau.database.transaction(requester=requester_of(request)) as transaction:
                patient = rights.view(transaction, identity).request.patient
                rights.act(transaction, identity, action, remark=remark)
        except ConflictError:
            said = "conflict"
        return _back(patient, said)

    @router.get(_PATH + "/requests/{identity}/copy/{name}")
    def copy(request: Request, identity: UUID, name: str) -> Response:
        return copy_response(bureau, request, identity, name)


def _mount_receipts(router: APIRouter, pages: Pages, bureau: Bureau) -> None:
    @router.get(_PATH + "/receipts/{identity}")
    def receipt(request: Request, identity: UUID) -> HTMLResponse:
        found = own_receipt(bureau, request, identity)
        return pages.render(
            request,
            "receipt.html",
            receipt=found,
            made_at=found.made_at.astimezone(pages.zone),
            content=loads(found.body),
        )

    @router.get(_PATH + "/receipts/{identity}/file")
    def file(request: Request, identity: UUID, form: _AskedId = "") -> Response:
        found = own_receipt(bureau, request, identity)
        if form == "kantara":
            content = dumps_pretty(as_kantara(loads(found.body), found.public.hex()))
        else:
            content = dumps_pretty(receipt_json(found))
        headers = download_headers(f"consent-receipt-{found.id}.json")
        return Response(content, media_type="application/json", headers=headers)


def _in_zone(pages: Pages, view: View) -> tuple[View, datetime, datetime]:
    """Return a request with when it was made and is due, in the zone of the pages."""
    made_at, due_at = view.request.made_at, view.request.due_at
    return view, made_at.astimezone(pages.zone), due_at.astimezone(pages.zone)


def _choices(patients: list[JsonObject], asked: str) -> list[_Choice]:
    """Return whom the reader may ask about; the one `asked` for is chosen, else the first."""
    ids = [str(each["id"]) for each in patients]
    chosen = asked if asked in ids else next(iter(ids), "")
    return [_Choice(str(each["id"]), _name(each), each["id"] == chosen) for each in patients]


def _name(patient: JsonObject) -> str:
    for each in patient.get("name", ()):
        text = each.get("text") or "".join([each.get("family", ""), *each.get("given", ())])
        if text:
            return str(text)
    return str(patient["id"])


def _back(patient: str, said: str) -> RedirectResponse:
    return RedirectResponse(f"{_PATH}{query(patient=patient, said=said)}", HTTPStatus.SEE_OTHER)
