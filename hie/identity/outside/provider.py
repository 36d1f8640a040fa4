"""What every provider does: lead a browser to sign in there, and say who came back.

The authorization code grant (https://www.rfc-editor.org/rfc/rfc6749#section-4.1) with PKCE
(https://www.rfc-editor.org/rfc/rfc7636) and, by OpenID Connect, a nonce. Not here: whose account it is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final, Protocol
from urllib.parse import urlencode, urlsplit

from hie.core.errors import MalformedJSONError, UnavailableError
from hie.core.fhir.json import Json, JsonObject, loads
from hie.core.security_errors import OutsideIdentityError
from hie.core.web.outgoing import Caller, origin

_SECONDS: Final = 10.0
_LARGEST_BYTES: Final = 256 * 1024


@dataclass(frozen=True, slots=True)
class Ticket:
    """What one attempt to sign in is known by: `state` to the browser, the others to us and the provider."""

    state: str
    nonce: str
    verifier: str
    redirect_uri: str


@dataclass(frozen=True, slots=True)
class OutsideIdentity:
    """Who came back: `subject` names the person at the provider for ever, `claims` are what it says."""

    subject: str
    claims: Mapping[str, Json]


class Provider(Protocol):
    """One provider of identity."""

    def address(self, ticket: Ticket, *, is_fresh: bool) -> str:
        """Return where the browser goes; `is_fresh` asks the provider to authenticate the person anew.

        Raises UnavailableError where the provider does not say where that is.
        """
        ...

    def identity(self, ticket: Ticket, answer: Mapping[str, str]) -> OutsideIdentity:
        """Return who came back with the parameters `answer`, whose `state` was found to be the ticket's.

        Raises OutsideIdentityError where the provider's answer is not acceptable or a refusal,
        UnavailableError where it cannot be asked.
        """
        ...

    def sign_out_address(self, back: str) -> str:
        """Return where the browser signs out there too, and is sent to `back` from; "" where it cannot."""
        ...


def code_of(answer: Mapping[str, str]) -> str:
    """Return the code of the parameters; raises OutsideIdentityError for a refusal."""
    if answer.get("error"):
        raise OutsideIdentityError("The provider did not let the person in")
    code = answer.get("code", "")
    if not code:  # WeChat comes back without a code from somebody who refused
        raise OutsideIdentityError("The provider gave no code")
    return code


def fetch(
    caller: Caller,
    method: str,
    url: str,
    *,
    form: Mapping[str, str] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JsonObject:
    """Return the JSON object that answers; raises OutsideIdentityError for a refusal, UnavailableError.

    What refuses is told by status 4xx; the body of a refusal is not shown to anybody.
    """
    sent = {"Accept": "application/json", **(headers or {})}
    body = None
    if form is not None:
        body = urlencode(form).encode("ascii")
        sent["Content-Type"] = "application/x-www-form-urlencoded"
    status, content = caller.call(
        method, url, headers=sent, body=body, seconds=_SECONDS, limit_bytes=_LARGEST_BYTES
    )
    place = origin(urlsplit(url))
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR:
        raise OutsideIdentityError(f"{place} refused with {status}")
    if status != HTTPStatus.OK:
        raise UnavailableError(f"{place} answers {status}")
    try:
        found = loads(content)
    except MalformedJSONError as error:
        raise OutsideIdentityError(f"{place} answers no JSON") from error
    if not isinstance(found, dict):
        raise OutsideIdentityError(f"{place} answers no JSON object")
    return found


def text_at(claims: Mapping[str, Json], path: str) -> str:
    """Return the text of the claim at `path`, its parts joined by dots; "" where there is none."""
    value = value_at(claims, path)
    return value if isinstance(value, str) else ""


def value_at(claims: Mapping[str, Json], path: str) -> Json:
    """Return the claim at `path`, its parts joined by dots (``realm_access.roles``)."""
    value: Json = dict(claims)
    for step in path.split("."):
        value = value.get(step) if isinstance(value, Mapping) else None
    return value
