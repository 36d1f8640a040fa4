"""A provider by plain OAuth 2: the code grant, then a user-info resource that names the person.

https://www.rfc-editor.org/rfc/rfc6749#section-4.1. Without an ID token nothing is signed: what is believed
is what the configured endpoint answers to the access token that our own code brought.
"""

import base64
from collections.abc import Mapping
from urllib.parse import quote

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from hie.core.security_errors import OutsideIdentityError
from hie.core.web.outgoing import Caller, Destinations
from hie.identity.outside.configuration import ProviderConfiguration
from hie.identity.outside.provider import OutsideIdentity, Ticket, code_of, fetch, text_at


class OAuth2Provider:
    """A provider whose three endpoints are configured."""

    def __init__(self, configuration: ProviderConfiguration) -> None:
        """Take the registration."""
        self._settings = configuration
        self._caller = Caller(Destinations([configuration.token_url, configuration.userinfo_url]))

    def address(self, ticket: Ticket, *, is_fresh: bool) -> str:  # noqa: ARG002 - OAuth 2 has no word for it
        """Return the authorization request (RFC 6749, 4.1.1)."""
        parameters = [
            ("response_type", "code"),
            ("client_id", self._settings.client_id),
            ("redirect_uri", ticket.redirect_uri),
            ("state", ticket.state),
            ("code_challenge", create_s256_code_challenge(ticket.verifier)),
            ("code_challenge_method", "S256"),
        ]
        if self._settings.scopes:
            parameters.append(("scope", " ".join(self._settings.scopes)))
        return str(add_params_to_uri(self._settings.authorization_url, parameters))

    def identity(self, ticket: Ticket, answer: Mapping[str, str]) -> OutsideIdentity:
        """Return whom the user-info resource names."""
        form, headers = client_authentication(self._settings)
        form |= {
            "grant_type": "authorization_code",
            "code": code_of(answer),
            "redirect_uri": ticket.redirect_uri,
            "code_verifier": ticket.verifier,
        }
        tokens = fetch(self._caller, "POST", self._settings.token_url, form=form, headers=headers)
        access_token = tokens.get("access_token")
        if not isinstance(access_token, str) or str(tokens.get("token_type", "")).lower() != "bearer":
            raise OutsideIdentityError("The provider gave no bearer token")
        bearer = {"Authorization": f"Bearer {access_token}"}
        claims = fetch(self._caller, "GET", self._settings.userinfo_url, headers=bearer)
        subject = text_at(claims, self._settings.subject_claim)
        if not subject:
            raise OutsideIdentityError("The provider does not say who it is")
        return OutsideIdentity(subject, claims)

    def sign_out_address(self, back: str) -> str:  # noqa: ARG002 - OAuth 2 has no sign-out
        """Return ""."""
        return ""


def client_authentication(configuration: ProviderConfiguration) -> tuple[dict[str, str], dict[str, str]]:
    """Return the fields of the form and the headers by which we are known (RFC 6749, 2.3.1)."""
    if configuration.client_authentication == "client_secret_post":
        return {"client_id": configuration.client_id, "client_secret": configuration.secret}, {}
    pair = f"{quote(configuration.client_id, safe='')}:{quote(configuration.secret, safe='')}"
    return {}, {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}
