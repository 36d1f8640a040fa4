"""The page on which a person lets an application act for it: the authorization endpoint of SMART App Launch.

What may be granted is `hie.identity.authorization`'s; here it is shown, a patient is chosen, and the answer
is sent on. http://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#obtain-authorization-code
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Annotated, Final
from urllib.parse import urlencode

from authlib.oauth2.rfc6749 import OAuth2Error
from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import RedirectResponse, Response

from hie.core.access import Requester
from hie.core.db.database import Transaction
from hie.core.errors import NotFoundError, RequestError
from hie.core.smart_scopes import parse
from hie.identity import authorization
from hie.identity.authorization import AuthorizationRequest, Offer
from hie.identity.oauth_request import read_parameters
from hie.identity.router import read_form
from hie.identity.server import Work
from hie.identity.service import Identity, Visitor
from hie.portal.former_identities import VersionedStore
from hie.portal.page import HEADERS, Pages
from hie.portal.people import Person, find, normal_query, person_of
from hie.portal.visits import Visits, record_change, to_sign_in

_AUTHORIZE: Final = "/oauth/authorize"
_DECISION: Final = "/oauth/decision"
_LONGEST: Final = 200
_ANEW_SECONDS: Final = 60


def mount(router: APIRouter, pages: Pages, identity: Identity, store: VersionedStore) -> None:
    """Add the endpoint to `router`."""
    visits = Visits(identity)

    @router.get(_AUTHORIZE)
    def authorize(
        request: Request, patient_query: Annotated[str, Query(max_length=_LONGEST)] = ""
    ) -> Response:
        try:
            parameters = _read(request.url.query)
            parameters.pop("patient_query", None)
            with identity.work() as work:
                asked = authorization.read_request(work, parameters)
                visitor = visits.visitor(request)
                if visitor is None and asked.prompt == "none":
                    raise authorization.login_required(asked)
                if visitor is not None and not asked.is_fresh(
                    visitor.session.authenticated_at, identity.clock.now()
                ):
                    if asked.prompt == "none":
                        raise authorization.login_required(asked)
                    return to_sign_in(f"{_AUTHORIZE}?{urlencode(_signed_in_anew(parameters))}", is_anew=True)
                if visitor is None:
                    return to_sign_in(f"{_AUTHORIZE}?{urlencode(parameters)}")
                offered = authorization.offer(work, asked, visitor.person)
                if asked.prompt == "none":
                    raise authorization.consent_required(asked)
                choices = _choices(work, store, visitor, offered, patient_query)
        except OAuth2Error as error:
            return _redirected(authorization.refusal_address(work, error))
        return pages.render(
            request,
            "authorize.html",
            headers=_headers(asked),
            client=asked.client,
            offered=offered,
            scopes=[(each, parse(each)) for each in offered.scopes],
            choices=choices,
            patient_query=patient_query,
            parameters=parameters,
            person=visitor.person,
            form_token=visitor.session.form_token,
        )

    @router.post(_AUTHORIZE)
    async def authorize_by_form(request: Request) -> Response:
        """Lead to the page: SMART lets a client post its request ("authorize-post")."""
        try:
            parameters = await read_form(request)
        except OAuth2Error as error:
            raise RequestError(error.description) from error
        return RedirectResponse(f"{_AUTHORIZE}?{urlencode(parameters)}", HTTPStatus.SEE_OTHER)

    _mount_decision(router, identity, store, visits)


def _signed_in_anew(parameters: Mapping[str, str]) -> dict[str, str]:
    """Return the request as it goes on after signing in anew: what asked for that is answered then."""
    kept = {name: value for name, value in parameters.items() if name not in {"prompt", "max_age"}}
    prompt = " ".join(each for each in parameters.get("prompt", "").split() if each != "login")
    return kept | {"max_age": str(_ANEW_SECONDS)} | ({"prompt": prompt} if prompt else {})


def _mount_decision(router: APIRouter, identity: Identity, store: VersionedStore, visits: Visits) -> None:
    @router.post(_DECISION)
    def decide(
        request: Request,
        request_query: Annotated[str, Form(max_length=16_000)],
        form_token: Annotated[str, Form(max_length=_LONGEST)],
        decision: Annotated[str, Form(max_length=20)],
        patient: Annotated[str, Form(max_length=64)] = "",
        chosen: Annotated[list[str] | None, Form()] = None,
    ) -> Response:
        visitor = visits.visitor(request)
        if visitor is None:
            return to_sign_in(f"{_AUTHORIZE}?{request_query}")
        visits.check_form(request, visitor, form_token)
        try:
            with identity.work() as work:
                asked = authorization.read_request(work, _read(request_query))
                offered = authorization.offer(work, asked, visitor.person)
                if decision != "grant":
                    raise authorization.denied(asked)
                if patient and patient not in offered.choices:
                    _require_readable(work, store, visitor, patient)
                address = authorization.grant(
                    work,
                    asked,
                    visitor.person,
                    visitor.session,
                    offered,
                    chosen=chosen or (),
                    patient=patient,
                )
                record_change(
                    work.transaction,
                    visitor,
                    "grant",
                    "C",
                    work.now,
                    client=asked.client.id,
                    scopes=" ".join(chosen or ()),
                )
        except OAuth2Error as error:
            address = authorization.refusal_address(work, error)
        return _redirected(address)


def _read(query: str) -> dict[str, str]:
    """Return the parameters of a request; raises RequestError where one is there twice."""
    try:
        return read_parameters(query)
    except OAuth2Error as error:
        raise RequestError(error.description) from error


def _choices(
    work: Work, store: VersionedStore, visitor: Visitor, offered: Offer, text: str
) -> tuple[Person, ...]:
    """Return the persons to choose from: one's own, and those that a search by name or number finds."""
    on_behalf = _on_behalf(work, visitor)
    known = [person_of(on_behalf, store, each) for each in offered.choices or _launched(offered)]
    if not offered.may_pick or not normal_query(text):
        return tuple(known)
    return (*known, *find(on_behalf, store, text).persons)


def _launched(offered: Offer) -> tuple[str, ...]:
    return (offered.patient,) if offered.patient else ()


def _require_readable(work: Work, store: VersionedStore, visitor: Visitor, patient: str) -> None:
    """Raise RequestError unless the visitor may read that Patient."""
    try:
        store.read(_on_behalf(work, visitor), "Patient", patient)
    except NotFoundError as error:
        raise RequestError("That patient cannot be chosen") from error


def _on_behalf(work: Work, visitor: Visitor) -> Transaction:
    """Return the transaction of `work`, in which the visitor is who reads."""
    requester: Requester = visitor.person.requester(session=str(visitor.session.id))
    work.transaction.requester = requester
    return work.transaction


def _headers(asked: AuthorizationRequest) -> dict[str, str]:
    """Return the headers of the page: its form may be answered by a redirection to the application.

    Browsers hold a redirection that follows a form against form-action
    (https://www.w3.org/TR/CSP3/#directive-form-action).
    """
    policy = HEADERS["Content-Security-Policy"]
    return {
        "Content-Security-Policy": policy.replace("form-action 'self'", f"form-action 'self' {asked.place}")
    }


def _redirected(address: str) -> Response:
    headers: Mapping[str, str] = {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
    return RedirectResponse(address, HTTPStatus.SEE_OTHER, headers)
