"""The authorization endpoint without its page: what a client asks for, what may be granted, the code.

http://hl7.org/fhir/smart-app-launch/STU2.2/app-launch.html#obtain-authorization-code;
https://www.rfc-editor.org/rfc/rfc6749#section-4.1; https://www.rfc-editor.org/rfc/rfc9700#section-2.1. Until
client and redirect URI are known to belong together nothing is sent anywhere; from then on errors go back to
the client as authlib's OAuth2Error with a redirect URI.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final
from uuid import uuid4

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc6749 import (
    InvalidRequestError,
    InvalidScopeError,
    OAuth2Error,
    UnauthorizedClientError,
)

from hie.core import smart_scopes
from hie.core.access import Role
from hie.core.errors import RequestError
from hie.identity import scopes
from hie.identity.accounts import Person, patients_of
from hie.identity.clients import find_client, place_of
from hie.identity.grants import CHALLENGE
from hie.identity.secrets import digest, new_secret
from hie.identity.server import Work
from hie.identity.tables import AuthorizationCode, Client, Grant, LaunchContext, PortalSession

_SECONDS: Final = re.compile(r"[0-9]{1,9}")
LAUNCH_LIFE: Final = timedelta(minutes=5)
# Roles that meet many patients, and so choose one.
PICKING_ROLES: Final = frozenset({Role.CLINICIAN, Role.PHARMACIST})
_PATIENT_SCOPES: Final = ("launch/patient", "launch/encounter")
_NOT_SUPPORTED: Final = {"request": "request_not_supported", "request_uri": "request_uri_not_supported"}


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """What a client asks for; checked but for the person."""

    client: Client
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str
    code_challenge: str
    nonce: str = ""
    launch: str = ""
    prompt: str = ""
    max_age: timedelta | None = None

    def is_fresh(self, authenticated_at: datetime, now: datetime) -> bool:
        """Return whether a sign-in then is recent enough by `prompt` and `max_age` (OIDC Core, 3.1.2.1)."""
        if "login" in self.prompt.split():
            return False
        return self.max_age is None or now - authenticated_at <= self.max_age

    @property
    def place(self) -> str:
        """Where the answer goes, as a Content-Security-Policy names it."""
        return place_of(self.redirect_uri)


@dataclass(frozen=True, slots=True)
class Offer:
    """What a person can grant: scopes, and the patient that it is about.

    The patient is that of a launch (`patient`), one of `choices`, or any that the person may look up
    (`may_pick`); none of them where no scope needs one.
    """

    scopes: tuple[str, ...]
    patient: str = ""
    encounter: str = ""
    choices: tuple[str, ...] = ()
    may_pick: bool = False

    @property
    def needs_choice(self) -> bool:
        """Whether the person must say which patient it is about."""
        return not self.patient and bool(self.choices or self.may_pick)


def read_request(work: Work, parameters: Mapping[str, str]) -> AuthorizationRequest:
    """Return the request that `parameters` make.

    Raises RequestError for what must not be answered by a redirection, authlib's OAuth2Error for the rest.
    """
    client = find_client(work.transaction, parameters.get("client_id"))
    if client is None:
        raise RequestError("The application is not registered here")
    redirect_uri = parameters.get("redirect_uri", "")
    if not client.check_redirect_uri(redirect_uri):
        raise RequestError("The application did not register this redirect_uri")
    state = parameters.get("state", "")
    fault = _fault(work, client.row, parameters)
    if fault is not None:
        fault.redirect_uri, fault.state = redirect_uri, state
        raise fault
    return AuthorizationRequest(
        client.row,
        redirect_uri,
        smart_scopes.split(parameters["scope"]),
        state,
        parameters["code_challenge"],
        nonce=parameters.get("nonce", ""),
        launch=parameters.get("launch", ""),
        prompt=parameters.get("prompt", ""),
        max_age=timedelta(seconds=int(parameters["max_age"])) if "max_age" in parameters else None,
    )


def offer(work: Work, request: AuthorizationRequest, person: Person) -> Offer:
    """Return what `person` can grant of what is asked for; raises OAuth2Error where that is nothing."""
    granted = scopes.for_person(request.scopes, request.client.scopes, person.roles)
    patient, encounter = "", ""
    choices: tuple[str, ...] = ()
    may_pick = False
    if request.launch:
        context = _launch(work, request, person)
        if context is None or "launch" not in granted:
            raise _refused(request, InvalidRequestError("The launch is unknown, over, or of somebody else."))
        patient, encounter = context.patient_id, context.encounter_id
    elif _needs_patient(granted):
        choices = patients_of(work.transaction, person, work.now)
        may_pick = not PICKING_ROLES.isdisjoint(person.roles)
    granted = tuple(each for each in granted if each != "launch" or request.launch)
    if not (patient or choices or may_pick):
        granted = tuple(each for each in granted if not _is_about_patient(each))
    if not any(smart_scopes.is_resource_scope(each) or each == "openid" for each in granted):
        raise _refused(request, InvalidScopeError("Nothing of this can be granted by who is signed in."))
    return Offer(granted, patient, encounter, choices, may_pick)


def grant(
    work: Work,
    request: AuthorizationRequest,
    person: Person,
    session: PortalSession,
    offered: Offer,
    *,
    chosen: Sequence[str],
    patient: str,
) -> str:
    """Return the address that carries the code to the client, after `person` granted the `chosen` scopes.

    `patient` is the id that was chosen, "" where none had to be; whether the person may see a picked one
    is asked before. Raises RequestError for what was not offered.
    """
    kept = tuple(each for each in offered.scopes if each in chosen)
    if not kept:
        raise _refused(request, InvalidScopeError("Nothing was granted."))
    if patient and not offered.may_pick and patient not in offered.choices:
        raise RequestError("That patient cannot be chosen")
    about = offered.patient or patient
    if not about and any(_is_about_patient(each) for each in kept):
        raise RequestError("A patient must be chosen")
    row = Grant(
        id=uuid4(),
        client_id=request.client.id,
        account_id=person.account.id,
        session_id=session.id,
        scope=" ".join(kept),
        patient_id=about if any(_is_about_patient(each) or each == "launch" for each in kept) else "",
        encounter_id=offered.encounter,
        nonce=request.nonce,
        methods=list(session.methods),
        authenticated_at=session.authenticated_at,
        created_at=work.now,
        ends_at=work.now + work.terms.refresh_token,
    )
    code = new_secret()
    work.transaction.session.add(row)
    work.transaction.session.flush()
    work.transaction.session.add(
        AuthorizationCode(
            digest=digest(code),
            grant_id=row.id,
            redirect_uri=request.redirect_uri,
            code_challenge=request.code_challenge,
            expires_at=work.now + work.terms.code,
        )
    )
    if request.launch:
        work.transaction.connection.execute(
            "DELETE FROM identity_launch_context WHERE digest = %s", (digest(request.launch),)
        )
    # https://www.rfc-editor.org/rfc/rfc9207#section-2
    answer = [("code", code), ("state", request.state), ("iss", work.terms.issuer)]
    return str(add_params_to_uri(request.redirect_uri, answer))


def refusal_address(work: Work, error: OAuth2Error) -> str:
    """Return the address that carries `error` to the client."""
    return str(add_params_to_uri(error.redirect_uri, [*error.get_body(), ("iss", work.terms.issuer)]))


def denied(request: AuthorizationRequest) -> OAuth2Error:
    """Return the error that says that the person granted nothing."""
    return _refused(request, OAuth2Error("The request was denied.", error="access_denied"))


def login_required(request: AuthorizationRequest) -> OAuth2Error:
    """Return the error that says that nobody is signed in, where no page may be shown (OpenID, 3.1.2.6)."""
    return _refused(request, OAuth2Error("Nobody is signed in.", error="login_required"))


def consent_required(request: AuthorizationRequest) -> OAuth2Error:
    """Return the error that says that the person must be asked, where no page may be shown."""
    return _refused(request, OAuth2Error("The person must be asked.", error="consent_required"))


def make_launch(
    work: Work, person: Person, client_id: str, *, patient: str, encounter: str = ""
) -> tuple[Client, str]:
    """Return the client and the `launch` parameter that stands for this chart, for this person and client.

    Raises RequestError where the client cannot be launched. That the person may see the patient was asked
    before.
    """
    client = find_client(work.transaction, client_id)
    if client is None or not client.row.launch_uri:
        raise RequestError("The application cannot be launched from here")
    secret = new_secret()
    work.transaction.session.add(
        LaunchContext(
            digest=digest(secret),
            account_id=person.account.id,
            client_id=client_id,
            patient_id=patient,
            encounter_id=encounter,
            expires_at=work.now + LAUNCH_LIFE,
        )
    )
    work.transaction.session.flush()
    return client.row, secret


def _fault(work: Work, client: Client, parameters: Mapping[str, str]) -> OAuth2Error | None:
    """Return what is wrong with a request whose client and redirect URI are right."""
    wanted = smart_scopes.split(parameters.get("scope", ""))
    is_about_resources = any(smart_scopes.is_resource_scope(each) for each in wanted)
    audience = parameters.get("aud", "").rstrip("/")
    checks: tuple[tuple[bool, OAuth2Error], ...] = (
        (
            parameters.get("response_type") != "code",
            OAuth2Error("response_type must be code.", error="unsupported_response_type"),
        ),
        (
            "authorization_code" not in client.grant_types,
            UnauthorizedClientError("The client is not registered for authorization_code."),
        ),
        (
            parameters.get("response_mode", "query") != "query",
            InvalidRequestError("response_mode must be query."),
        ),
        ("state" not in parameters, InvalidRequestError("state is missing.")),
        (
            parameters.get("code_challenge_method") != "S256"
            or not CHALLENGE.fullmatch(parameters.get("code_challenge", "")),
            InvalidRequestError("code_challenge with code_challenge_method S256 is missing."),
        ),
        (
            not wanted or not all(smart_scopes.is_token(each) for each in wanted),
            InvalidScopeError("scope is missing or malformed."),
        ),
        (
            audience != work.terms.base_url if audience or is_about_resources else False,
            InvalidRequestError("aud must be the base URL of this FHIR server."),
        ),
        (
            "none" in parameters.get("prompt", "").split() and parameters["prompt"] != "none",
            InvalidRequestError("prompt cannot be none and something else."),
        ),
        (
            not _SECONDS.fullmatch(parameters.get("max_age", "0")),
            InvalidRequestError("max_age is no number of seconds."),
        ),
    )
    for name, error in _NOT_SUPPORTED.items():
        if name in parameters:
            return OAuth2Error(f"{name} is not supported.", error=error)
    return next((error for is_so, error in checks if is_so), None)


def _launch(work: Work, request: AuthorizationRequest, person: Person) -> LaunchContext | None:
    found = work.transaction.session.get(LaunchContext, digest(request.launch))
    is_right = (
        found is not None
        and found.account_id == person.account.id
        and found.client_id == request.client.id
        and work.now < found.expires_at
    )
    return found if is_right else None


def _needs_patient(granted: Sequence[str]) -> bool:
    return any(_is_about_patient(each) for each in granted)


def _is_about_patient(scope: str) -> bool:
    return scope in _PATIENT_SCOPES or scope.startswith("patient/")


def _refused(request: AuthorizationRequest, error: OAuth2Error) -> OAuth2Error:
    error.redirect_uri, error.state = request.redirect_uri, request.state
    return error
