"""The citizen's page of consents: who may see what until when; given, withdrawn; a guardian's for a ward.

Nothing is decided here: the access policy says who may write whose Consent, `hie.consent` what one means.
"""

from datetime import date
from http import HTTPStatus
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from hie.consent.directive import Clause, Directive, Kind, clauses_of, consent_of
from hie.core.access import Requester, Role
from hie.core.db.database import Database, Transaction
from hie.core.errors import ForbiddenError, NotFoundError
from hie.core.fhir.json import JsonObject, loads
from hie.core.ports import ResourceStore
from hie.identity.wards import ward_ids
from hie.policy.policy import load_policy
from hie.portal.own_site import require_own_site
from hie.portal.page import Pages, query, requester_of
from hie.portal.people import person_of
from hie.portal.people_of_trail import require_role
from hie.portal.searches import every

CITIZENS: Final = frozenset({Role.CITIZEN, Role.GUARDIAN})
# What people mean by one word; the other choice is a sensitive class of the access policy.
PARTS: Final = {
    "results": ("DiagnosticReport", "ImagingStudy", "Media", "Observation"),
    "medicines": (
        "MedicationAdministration",
        "MedicationDispense",
        "MedicationRequest",
        "MedicationStatement",
    ),
    "diagnoses": ("Condition", "Encounter", "Procedure"),
    "documents": ("Composition", "DocumentReference"),
}
_MOST_ORGANIZATIONS: Final = "200"
_Id = Annotated[str, Form(max_length=64, pattern=r"^[A-Za-z0-9.\-]*$")]
_Said = Literal["", "given", "withdrawn", "refused"]


def mount(router: APIRouter, pages: Pages, database: Database, store: ResourceStore) -> None:
    """Add the page and its forms to `router`."""

    @router.get("/my/consents")
    def consents(
        request: Request, patient: Annotated[str, Query(max_length=64)] = "", said: _Said = ""
    ) -> HTMLResponse:
        require_role(request, CITIZENS)
        with database.transaction(requester=requester_of(request)) as transaction:
            persons = _persons(request, transaction, store, patient)
            chosen = patient if patient in persons else next(iter(persons), "")
            hospitals = {
                each["id"]: str(each.get("name", each["id"]))
                for each in _organizations(transaction, store, [("_count", _MOST_ORGANIZATIONS)])
            }
            found = (
                every(transaction, store, "Consent", [("patient", f"Patient/{chosen}"), ("_count", "100")])
                if chosen
                else []
            )
            known = {**hospitals, **_names(transaction, store, found, hospitals)}
        found.sort(key=lambda each: str(each.get("dateTime", "")), reverse=True)
        return pages.render(
            request,
            "consents.html",
            persons=persons,
            chosen=chosen,
            active=[_shown(each, known) for each in found if each.get("status") == "active"],
            ended=[_shown(each, known) for each in found if each.get("status") != "active"],
            hospitals=hospitals,
            parts=tuple(PARTS),
            classes=tuple(name for name in load_policy().classes if name != "restricted"),
            today=pages.clock.now().astimezone(pages.zone).date().isoformat(),
            is_asking=getattr(request.state, "requester", None) is None,
            said=said,
        )

    @router.post("/my/consents", response_model=None)
    def give(
        request: Request,
        patient: _Id,
        kind: Annotated[Kind, Form()],
        organization: _Id = "",
        what: Annotated[str, Form(max_length=40)] = "",
        until: Annotated[str, Form(max_length=10)] = "",
    ) -> RedirectResponse:
        require_own_site(request)
        require_role(request, CITIZENS)
        policy = load_policy()
        now = pages.clock.now().astimezone(pages.zone)
        directive = Directive(
            kind,
            organization,
            PARTS.get(what, ()),
            tuple(sorted(policy.classes.get(what, ()))),
            _day(until),
        )
        is_known = not what or what in PARTS or what in policy.classes
        if not is_known or (kind == "only" and not organization) or (until and directive.until is None):
            return _back(patient, "refused")
        return _back(patient, _write(request, consent_of(directive, patient, now=now), "POST"))

    @router.post("/my/consents/{identity}/withdraw", response_model=None)
    def withdraw(request: Request, identity: str, patient: _Id = "") -> RedirectResponse:
        require_own_site(request)
        require_role(request, CITIZENS)
        with database.transaction(requester=requester_of(request)) as transaction:
            consent: JsonObject = loads(store.read(transaction, "Consent", identity).body or b"{}")
        said = _write(request, {**consent, "status": "inactive"}, "PUT")
        return _back(patient, "withdrawn" if said == "given" else said)

    def _write(request: Request, consent: JsonObject, method: str) -> _Said:
        asked: JsonObject = {"method": method, "url": "Consent"}
        if method == "PUT":
            asked["url"] = f"Consent/{consent['id']}"
            asked["ifMatch"] = f'W/"{consent["meta"]["versionId"]}"'
        bundle: JsonObject = {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [{"resource": consent, "request": asked}],
        }
        with database.transaction(requester=requester_of(request)) as transaction:
            (result,) = store.transact(transaction, [bundle])
        if isinstance(result.error, ForbiddenError):
            return "refused"
        if result.error is not None:
            raise result.error
        return "given"


def _persons(request: Request, transaction: Transaction, store: ResourceStore, asked: str) -> dict[str, str]:
    """Return the names of the Patients whose consents the reader gives, by id; its own first."""
    requester: Requester | None = getattr(request.state, "requester", None)
    if requester is None:
        ids = [asked] if asked else []
    else:
        wards = ward_ids(transaction, requester.id) if Role.GUARDIAN in requester.roles else []
        ids = [*([requester.patient] if requester.patient else []), *wards]
    found: dict[str, str] = {}
    for each in ids:
        try:
            found[each] = person_of(transaction, store, each).name
        except NotFoundError:
            continue  # a ward who came of age
    return found


def _shown(consent: JsonObject, names: dict[str, str]) -> tuple[JsonObject, list[tuple[Clause, list[str]]]]:
    """Return a Consent with its clauses and the names of whom each means."""
    return consent, [
        (each, [names.get(actor.removeprefix("Organization/"), actor) for actor in each.actors])
        for each in clauses_of(consent)
    ]


def _organizations(
    transaction: Transaction, store: ResourceStore, parameters: list[tuple[str, str]]
) -> list[JsonObject]:
    """Return the first page of Organizations that `parameters` find."""
    page = store.search(transaction, "Organization", parameters)
    return [loads(each.resource.body or b"{}") for each in page.entries]


def _names(
    transaction: Transaction, store: ResourceStore, consents: list[JsonObject], known: dict[str, str]
) -> dict[str, str]:
    """Return the names of the Organizations of `consents` that are not `known`."""
    asked = {
        actor.removeprefix("Organization/")
        for each in consents
        for clause in clauses_of(each)
        for actor in clause.actors
        if actor.startswith("Organization/")
    } - set(known)
    if not asked:
        return {}
    found = _organizations(transaction, store, [("_id", ",".join(sorted(asked)))])
    return {each["id"]: str(each.get("name", each["id"])) for each in found}


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        return None


def _back(patient: str, said: _Said) -> RedirectResponse:
    return RedirectResponse(f"/my/consents{query(patient=patient, said=said)}", HTTPStatus.SEE_OTHER)
