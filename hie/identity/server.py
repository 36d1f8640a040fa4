"""authlib's authorization server on our tables: one instance a request, in that request's transaction.

authlib decides what is a valid request and says so in the words of RFC 6749; here is what it asks of a
storage, and what our tokens are. What a request changed stays when it is refused: a code or assertion that
was used is used.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from authlib.oauth2.rfc6749 import AuthorizationServer as AuthlibServer

from hie.core import smart_scopes
from hie.core.access import Role
from hie.core.db.database import Transaction
from hie.core.errors import ConfigurationError
from hie.core.fhir.json import JsonObject
from hie.core.settings import Settings
from hie.identity import scopes
from hie.identity.client_authentication import PrivateKeyJWT
from hie.identity.clients import RegisteredClient, find_client
from hie.identity.grants import BackendGrant, Challenge, CodeGrant, RefreshGrant, User
from hie.identity.introspection import Introspection
from hie.identity.keys import KeyRing
from hie.identity.oauth_request import FormRequest
from hie.identity.published_keys import PublishedKeys
from hie.identity.revocation import TokenRevocation
from hie.identity.secrets import digest, new_secret
from hie.identity.sessions import Lifetimes
from hie.identity.tables import Grant, RefreshToken
from hie.identity.tokens import Tokens

# RFC 6749, 5.1
NO_STORE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_MODES: Final = ("offline_access", "online_access")


@dataclass(frozen=True, slots=True)
class Terms:
    """How long everything lasts, and under which URLs the server is found."""

    issuer: str
    base_url: str
    access_token: timedelta
    backend_token: timedelta
    code: timedelta
    refresh_token: timedelta
    sessions: Lifetimes
    second_factor_roles: frozenset[Role] = frozenset()

    @classmethod
    def of(cls, settings: Settings) -> "Terms":
        """Return what the settings say."""
        return cls(
            settings.issuer,
            settings.base_url.rstrip("/"),
            timedelta(seconds=settings.access_token_seconds),
            timedelta(seconds=settings.backend_token_seconds),
            timedelta(seconds=settings.authorization_code_seconds),
            timedelta(days=settings.refresh_token_days),
            Lifetimes(
                timedelta(minutes=settings.session_idle_minutes), timedelta(hours=settings.session_hours)
            ),
            _roles(settings.second_factor_roles),
        )

    @property
    def longest_token(self) -> timedelta:
        """The longest life of an access token."""
        return max(self.access_token, self.backend_token)

    @property
    def token_endpoint(self) -> str:
        """The URL of the token endpoint."""
        return f"{self.issuer}/oauth/token"


@dataclass(frozen=True, slots=True)
class Work:
    """What one request works with."""

    transaction: Transaction
    now: datetime
    terms: Terms
    tokens: Tokens
    keys: KeyRing
    published: PublishedKeys


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer of an OAuth endpoint, before it is one of HTTP."""

    status: int
    body: JsonObject
    headers: Mapping[str, str]


class AuthorizationServer(AuthlibServer):  # type: ignore[misc] # authlib has no hints
    """The authorization server, for one request."""

    def __init__(self, work: Work) -> None:
        """Take what the request works with."""
        super().__init__()
        self.work = work
        self.register_grant(CodeGrant, [Challenge(required=True)])
        self.register_grant(RefreshGrant)
        self.register_grant(BackendGrant)
        self.register_endpoint(TokenRevocation(self))
        self.register_endpoint(Introspection(self))
        self.register_client_auth_method(
            "private_key_jwt",
            PrivateKeyJWT(
                work.transaction,
                work.published,
                (work.terms.token_endpoint, work.terms.issuer),
                work.now,
            ),
        )

    def query_client(self, client_id: str | None) -> RegisteredClient | None:
        """Return the client of that id."""
        return find_client(self.work.transaction, client_id)

    def generate_token(
        self,
        grant_type: str,
        client: RegisteredClient,
        user: User | None = None,
        scope: str | None = None,
        expires_in: int | None = None,  # noqa: ARG002 - authlib's words
        include_refresh_token: bool = True,  # noqa: FBT001, FBT002 - authlib's words
    ) -> dict[str, Any]:
        """Return the token response (RFC 6749, 5.1; SMART App Launch, "Obtain access token")."""
        work = self.work
        if user is None:
            granted = self.backend_scopes(client, scope)
            token = work.tokens.for_client(client.row, granted, now=work.now, life=work.terms.backend_token)
            return {
                "access_token": token.text,
                "token_type": "Bearer",
                "expires_in": token.expires_in,
                "scope": " ".join(granted),
            }
        # Roles may have changed since; a scope lasts as long as a role permits it.
        granted = scopes.for_person(smart_scopes.split(scope or ""), client.row.scopes, user.person.roles)
        token = work.tokens.for_person(
            user.person, user.grant, granted, now=work.now, life=work.terms.access_token
        )
        response: dict[str, Any] = {
            "access_token": token.text,
            "token_type": "Bearer",
            "expires_in": token.expires_in,
            "scope": " ".join(granted),
            **_launch_context(user.grant),
        }
        if "openid" in granted and grant_type == "authorization_code":
            response["id_token"] = work.tokens.id_token(
                user.person, user.grant, token, now=work.now, life=work.terms.access_token
            )
        if include_refresh_token and any(mode in granted for mode in _MODES):
            response["refresh_token"] = self._new_refresh_token(user.grant)
        return response

    def backend_scopes(self, client: RegisteredClient, scope: str | None) -> Sequence[str]:
        """Return what a client is granted on its own behalf of the `scope` that it asks for."""
        return scopes.for_client(smart_scopes.split(scope or ""), client.row.scopes)

    def save_token(self, token: JsonObject, request: FormRequest) -> None:
        """Do nothing: an access token says all of itself, a refresh token was stored when it was made."""

    def send_signal(self, name: str, *args: object, **kwargs: object) -> None:
        """Do nothing: nobody listens."""

    def create_oauth2_request(self, request: FormRequest) -> FormRequest:
        """Return `request`, which is one already."""
        return request

    def handle_response(self, status: int, body: JsonObject, headers: Sequence[tuple[str, str]]) -> Answer:
        """Return the answer."""
        kept = {name: value for name, value in headers if name.lower() != "content-type"}
        return Answer(status, body, {**kept, **NO_STORE})

    def _new_refresh_token(self, grant: Grant) -> str:
        secret = new_secret()
        self.work.transaction.session.add(
            RefreshToken(digest=digest(secret), grant_id=grant.id, created_at=self.work.now)
        )
        self.work.transaction.session.flush()
        return secret


def _roles(names: Sequence[str]) -> frozenset[Role]:
    try:
        return frozenset(map(Role, names))
    except ValueError as error:
        raise ConfigurationError(f"HIE_SECOND_FACTOR_ROLES: {error}") from error


def _launch_context(grant: Grant) -> dict[str, Any]:
    """Return what the app was launched for, as the token response tells it."""
    context: dict[str, Any] = {}
    if grant.patient_id:
        # The portal's chart, if there is one, is another window: the app shows who its patient is.
        context = {"patient": grant.patient_id, "need_patient_banner": True}
    if grant.encounter_id:
        context["encounter"] = grant.encounter_id
    return context
