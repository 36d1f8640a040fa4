"""A provider by OpenID Connect: https://openid.net/specs/openid-connect-core-1_0.html, code flow.

The ID token is checked as section 3.1.3.7 says, the issuer of the answer as RFC 9207 says (mix-up,
https://www.rfc-editor.org/rfc/rfc9207), sign-out after
https://openid.net/specs/openid-connect-rpinitiated-1_0.html.
"""

import base64
import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256, sha384, sha512
from threading import Lock
from typing import Final
from urllib.parse import urlencode

from authlib.common.urls import add_params_to_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, RSAKey

from hie.core.clock import Clock
from hie.core.errors import UnavailableError
from hie.core.fhir.json import Json, JsonObject
from hie.core.security_errors import OutsideIdentityError, RegistrationError
from hie.core.web.outgoing import Caller, Destinations
from hie.identity.outside.configuration import ProviderConfiguration, is_confidential
from hie.identity.outside.oauth2 import client_authentication
from hie.identity.outside.provider import OutsideIdentity, Ticket, code_of, fetch
from hie.identity.published_keys import PublishedKeys

# "none" and the symmetric ones are no proof that the provider signed.
_ALGORITHMS: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
_HASHES: Final = {"256": sha256, "384": sha384, "512": sha512}
_DISCOVER_AGAIN: Final = timedelta(hours=1)
_SKEW_SECONDS: Final = 30.0
# An ID token is used at once; one that was made long ago is a replayed one.
_OLDEST_SECONDS: Final = 600.0


class OIDCProvider:
    """A provider that publishes its configuration; safe to share between threads."""

    def __init__(self, configuration: ProviderConfiguration, clock: Clock) -> None:
        """Take the registration; nothing is fetched until somebody signs in."""
        self._settings = configuration
        self._clock = clock
        beginnings = [configuration.issuer, *configuration.further_urls]
        self._caller = Caller(Destinations(beginnings))
        self._published = PublishedKeys(beginnings, clock)
        self._found: JsonObject | None = None
        self._found_at: datetime | None = None
        self._lock = Lock()

    def address(self, ticket: Ticket, *, is_fresh: bool) -> str:
        """Return the authorization request (section 3.1.2.1)."""
        parameters = [
            ("response_type", "code"),
            ("client_id", self._settings.client_id),
            ("redirect_uri", ticket.redirect_uri),
            ("scope", " ".join(dict.fromkeys(("openid", *self._settings.scopes)))),
            ("state", ticket.state),
            ("nonce", ticket.nonce),
            ("code_challenge", create_s256_code_challenge(ticket.verifier)),
            ("code_challenge_method", "S256"),
        ]
        if is_fresh:
            parameters += [("prompt", "login"), ("max_age", "0")]
        endpoint = self._endpoint("authorization_endpoint")
        if not is_confidential(endpoint):
            raise UnavailableError("The provider's authorization endpoint is no https URL")
        return str(add_params_to_uri(endpoint, parameters))

    def identity(self, ticket: Ticket, answer: Mapping[str, str]) -> OutsideIdentity:
        """Return whom the ID token names, with its claims and those of the userinfo endpoint."""
        promised = self._configuration().get("authorization_response_iss_parameter_supported") is True
        issuer = answer.get("iss")
        if (promised or issuer is not None) and issuer != self._settings.issuer:
            raise OutsideIdentityError("The answer is of another issuer")
        form, headers = client_authentication(self._settings)
        form |= {
            "grant_type": "authorization_code",
            "code": code_of(answer),
            "redirect_uri": ticket.redirect_uri,
            "code_verifier": ticket.verifier,
        }
        tokens = fetch(self._caller, "POST", self._endpoint("token_endpoint"), form=form, headers=headers)
        token = tokens.get("id_token")
        if not isinstance(token, str):
            raise OutsideIdentityError("The provider gave no ID token")
        claims = self._claims(token, ticket.nonce, str(tokens.get("access_token", "")))
        return OutsideIdentity(str(claims["sub"]), {**self._userinfo(tokens, str(claims["sub"])), **claims})

    def sign_out_address(self, back: str) -> str:
        """Return the logout request (RP-Initiated Logout, section 2); "" where the provider has none."""
        try:
            endpoint = self._configuration().get("end_session_endpoint")
        except UnavailableError:
            return ""
        if not isinstance(endpoint, str) or self._caller.destinations.refusal(endpoint) is not None:
            return ""
        query = urlencode({"client_id": self._settings.client_id, "post_logout_redirect_uri": back})
        return f"{endpoint}{'&' if '?' in endpoint else '?'}{query}"

    def _claims(self, token: str, nonce: str, access_token: str) -> Mapping[str, Json]:
        try:
            header = jws.extract_compact(token.encode()).headers()
        except (JoseError, ValueError) as error:
            raise OutsideIdentityError("The ID token is no JWT") from error
        algorithm = str(header.get("alg"))
        if algorithm not in _ALGORITHMS or "crit" in header:
            raise OutsideIdentityError("The ID token is signed with an algorithm that is not taken")
        try:
            key = self._key(str(header.get("kid", "")), algorithm)
            claims = jwt.decode(token, key, algorithms=[algorithm]).claims
        except (JoseError, ValueError, TypeError) as error:
            raise OutsideIdentityError("The signature of the ID token is not valid") from error
        self._check(claims, nonce)
        given = claims.get("at_hash")
        if given is not None and not hmac.compare_digest(str(given), _half_hash(access_token, algorithm)):
            raise OutsideIdentityError("The ID token is of another access token")
        return claims

    def _check(self, claims: Mapping[str, Json], nonce: str) -> None:
        now = self._clock.now().timestamp()
        audience = claims.get("aud")
        audiences = audience if isinstance(audience, list) else [audience]
        if claims.get("iss") != self._settings.issuer:
            raise OutsideIdentityError("The ID token has another issuer")
        if self._settings.client_id not in audiences:
            raise OutsideIdentityError("The ID token is for another client")
        party = claims.get("azp")
        if (len(audiences) > 1 or party is not None) and party != self._settings.client_id:
            raise OutsideIdentityError("The ID token was made for another client")
        expires, issued = claims.get("exp"), claims.get("iat")
        if not isinstance(expires, (int, float)) or now >= expires + _SKEW_SECONDS:
            raise OutsideIdentityError("The ID token has expired")
        if not isinstance(issued, (int, float)) or not -_SKEW_SECONDS <= now - issued <= _OLDEST_SECONDS:
            raise OutsideIdentityError("The ID token was not made now")
        if not isinstance(claims.get("sub"), str) or not claims["sub"]:
            raise OutsideIdentityError("The ID token has no subject")
        if not hmac.compare_digest(str(claims.get("nonce", "")).encode(), nonce.encode()):
            raise OutsideIdentityError("The ID token answers another request")

    def _userinfo(self, tokens: Mapping[str, Json], subject: str) -> Mapping[str, Json]:
        """Return the claims of the userinfo endpoint (section 5.3), which must be the same person's."""
        endpoint = self._configuration().get("userinfo_endpoint")
        access_token = tokens.get("access_token")
        if not isinstance(endpoint, str) or not isinstance(access_token, str):
            return {}
        found = fetch(self._caller, "GET", endpoint, headers={"Authorization": f"Bearer {access_token}"})
        if found.get("sub") != subject:
            raise OutsideIdentityError("The userinfo endpoint tells of somebody else")
        return found

    def _key(self, key_id: str, algorithm: str) -> Key:
        try:
            keys = self._published.of(self._endpoint("jwks_uri"), key_id).keys
        except RegistrationError as error:
            raise UnavailableError("The keys of the provider cannot be had") from error
        kind = ECKey if algorithm.startswith("ES") else RSAKey
        fitting = [
            each for each in keys if isinstance(each, kind) and each.get("alg", algorithm) == algorithm
        ]
        named = [each for each in fitting if each.kid == key_id] if key_id else fitting
        if len(named) != 1:
            raise OutsideIdentityError("The ID token is signed with a key that is not known")
        return named[0]

    def _endpoint(self, name: str) -> str:
        found = self._configuration().get(name)
        if not isinstance(found, str):
            raise UnavailableError(f"The provider's configuration names no {name}")
        return found

    def _configuration(self) -> JsonObject:
        """Return the provider's configuration; raises UnavailableError where it is none of this issuer."""
        now = self._clock.now()
        with self._lock:
            is_old = self._found_at is None or now - self._found_at >= _DISCOVER_AGAIN
            if self._found is not None and not is_old:
                return self._found
        url = f"{self._settings.issuer.rstrip('/')}/.well-known/openid-configuration"
        try:
            found = fetch(self._caller, "GET", url)
        except OutsideIdentityError as error:
            raise UnavailableError("The provider does not tell its configuration") from error
        if found.get("issuer") != self._settings.issuer:
            raise UnavailableError("The provider's configuration is another issuer's")
        with self._lock:
            self._found, self._found_at = found, now
        return found


def _half_hash(access_token: str, algorithm: str) -> str:
    """Return the `at_hash` of an access token (section 3.1.3.6)."""
    found = _HASHES[algorithm[-3:]](access_token.encode()).digest()
    return base64.urlsafe_b64encode(found[: len(found) // 2]).rstrip(b"=").decode()
