"""The grant types of the token endpoint: authlib's, on our tables.

authorization_code with PKCE by S256 (https://www.rfc-editor.org/rfc/rfc7636), always; refresh_token with
rotation, where a second use ends the whole grant (https://www.rfc-editor.org/rfc/rfc9700#section-4.14.2);
client_credentials for `system/` scopes.
"""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from authlib.oauth2.rfc6749 import InvalidGrantError, InvalidScopeError
from authlib.oauth2.rfc6749.grants import (
    AuthorizationCodeGrant,
    ClientCredentialsGrant,
    RefreshTokenGrant,
)
from authlib.oauth2.rfc7636 import CodeChallenge

from hie.core.errors import NotFoundError
from hie.identity import revocations, sessions
from hie.identity.accounts import Person, person_of
from hie.identity.clients import RegisteredClient
from hie.identity.secrets import digest
from hie.identity.tables import Grant

if TYPE_CHECKING:
    from hie.identity.server import AuthorizationServer

_METHODS: Final = ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"]
_CONFIDENTIAL_METHODS: Final = _METHODS[:-1]
# The SHA-256 in base64url (RFC 7636, 4.2)
CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}")

# Of several uses at the same time one finds it unused.
_USE_CODE: Final = """
UPDATE identity_authorization_code AS code SET used_at = %s
FROM identity_grant WHERE identity_grant.id = code.grant_id AND code.digest = %s
    AND identity_grant.client_id = %s AND code.used_at IS NULL
RETURNING code.grant_id, code.redirect_uri, code.code_challenge, code.expires_at
"""
_USED_CODE: Final = """
SELECT code.grant_id FROM identity_authorization_code AS code
JOIN identity_grant ON identity_grant.id = code.grant_id
WHERE code.digest = %s AND identity_grant.client_id = %s
"""
_REFRESH: Final = """
UPDATE identity_refresh_token AS token SET used_at = %s
FROM identity_grant WHERE identity_grant.id = token.grant_id AND token.digest = %s
    AND identity_grant.client_id = %s AND token.used_at IS NULL
RETURNING token.grant_id
"""
_REFRESHED_BEFORE: Final = """
SELECT token.grant_id FROM identity_refresh_token AS token
JOIN identity_grant ON identity_grant.id = token.grant_id
WHERE token.digest = %s AND identity_grant.client_id = %s
"""


@dataclass(frozen=True, slots=True)
class User:
    """Who granted, and the grant; what authlib hands through as the user."""

    person: Person
    grant: Grant


@dataclass(frozen=True, slots=True)
class Code:
    """A code that was just used, as authlib asks about it."""

    grant: Grant
    redirect_uri: str
    code_challenge: str
    code_challenge_method: str = "S256"

    def get_redirect_uri(self) -> str:
        """Return the redirect URI that the token request must repeat."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """Return what was granted."""
        return self.grant.scope


@dataclass(frozen=True, slots=True)
class Refreshing:
    """The grant of a refresh token that was just used, as authlib asks about it."""

    grant: Grant

    def check_client(self, client: RegisteredClient) -> bool:
        """Return whether it was granted to `client`."""
        return self.grant.client_id == client.get_client_id()

    def get_scope(self) -> str:
        """Return what was granted."""
        return self.grant.scope


class CodeGrant(AuthorizationCodeGrant):  # type: ignore[misc] # authlib has no hints
    """authorization_code at the token endpoint; the other endpoint is `hie.identity.authorization`'s."""

    TOKEN_ENDPOINT_AUTH_METHODS = _METHODS
    server: "AuthorizationServer"

    def query_authorization_code(self, code: str, client: RegisteredClient) -> Code | None:
        """Return the code, used now; a second use ends the grant and all its tokens (RFC 6749, 4.1.2)."""
        work = self.server.work
        key = (digest(code), client.get_client_id())
        row = work.transaction.connection.execute(_USE_CODE, (work.now, *key)).fetchone()
        if row is None:
            used = work.transaction.connection.execute(_USED_CODE, key).fetchone()
            if used is not None:
                revocations.revoke_grant(
                    work.transaction, used[0], now=work.now, token_life=work.terms.longest_token
                )
            return None
        grant_id, redirect_uri, challenge, expires_at = row
        grant = work.transaction.session.get(Grant, grant_id)
        if grant is None or grant.revoked_at is not None or work.now >= expires_at:
            return None
        return Code(grant, redirect_uri, challenge)

    def delete_authorization_code(self, authorization_code: Code) -> None:
        """Keep the code as used, so that a second use is seen."""

    def authenticate_user(self, authorization_code: Code) -> User | None:
        """Return who granted; None if it may not any more."""
        return _user(self.server, authorization_code.grant)


class Challenge(CodeChallenge):  # type: ignore[misc] # authlib has no hints
    """PKCE by S256 and nothing else, also for clients that have a secret."""

    SUPPORTED_CODE_CHALLENGE_METHOD: Final = ["S256"]
    DEFAULT_CODE_CHALLENGE_METHOD = "S256"


class RefreshGrant(RefreshTokenGrant):  # type: ignore[misc] # authlib has no hints
    """refresh_token: each is good once and gives the next."""

    TOKEN_ENDPOINT_AUTH_METHODS = _METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True
    server: "AuthorizationServer"

    def authenticate_refresh_token(self, refresh_token: str) -> Refreshing | None:
        """Return its grant, the token used now; a second use ends the grant."""
        work = self.server.work
        key = (digest(refresh_token), self.request.client.get_client_id())
        row = work.transaction.connection.execute(_REFRESH, (work.now, *key)).fetchone()
        if row is None:
            used = work.transaction.connection.execute(_REFRESHED_BEFORE, key).fetchone()
            if used is not None:
                revocations.revoke_grant(
                    work.transaction, used[0], now=work.now, token_life=work.terms.longest_token
                )
            return None
        grant = work.transaction.session.get(Grant, row[0])
        if grant is None or grant.revoked_at is not None or work.now >= grant.ends_at:
            return None
        if not _is_online(self.server, grant, work.now):
            return None
        return Refreshing(grant)

    def authenticate_user(self, refresh_token: Refreshing) -> User | None:
        """Return who granted; raises InvalidGrantError if it may not any more."""
        user = _user(self.server, refresh_token.grant)
        if user is None:
            raise InvalidGrantError("Who granted this may not any more.")
        return user

    def revoke_old_credential(self, refresh_token: Refreshing) -> None:
        """Do nothing: it was used up when it was looked at."""


class BackendGrant(ClientCredentialsGrant):  # type: ignore[misc] # authlib has no hints
    """client_credentials of a system, http://hl7.org/fhir/smart-app-launch/STU2.2/backend-services.html."""

    TOKEN_ENDPOINT_AUTH_METHODS = _CONFIDENTIAL_METHODS
    server: "AuthorizationServer"

    def validate_requested_scope(self) -> None:
        """Raise InvalidScopeError if nothing of what is asked for can be granted."""
        if not self.server.backend_scopes(self.request.client, self.request.payload.scope):
            raise InvalidScopeError


def _user(server: "AuthorizationServer", grant: Grant) -> User | None:
    try:
        person = person_of(server.work.transaction, grant.account_id)
    except NotFoundError:
        return None
    return None if person.account.is_disabled else User(person, grant)


def _is_online(server: "AuthorizationServer", grant: Grant, now: datetime) -> bool:
    """Say whether the person is still signed in, where the grant is for that long only."""
    if "online_access" not in grant.scope.split() or grant.session_id is None:
        return True
    work = server.work
    return sessions.is_alive(work.transaction, grant.session_id, lifetimes=work.terms.sessions, now=now)
