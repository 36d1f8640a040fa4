"""Who sends a request: by a bearer token of ours, by one of an external provider, or by a portal session.

`Authenticator` of `hie.core.ports`. A token is verified once and then known by its digest until it expires,
since a signature costs more than all else; that it was not revoked is asked each time, of a list in memory.
https://www.rfc-editor.org/rfc/rfc6750; https://www.rfc-editor.org/rfc/rfc9068#section-4;
https://www.rfc-editor.org/rfc/rfc8725 (algorithms belong to keys, types of tokens are told apart).
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from threading import Lock
from typing import Final

from joserfc import jws, jwt
from joserfc.errors import JoseError

from hie.core.access import ANONYMOUS, Requester
from hie.core.clock import Clock
from hie.core.db.database import Database
from hie.core.errors import NotFoundError
from hie.core.fhir.json import Json
from hie.core.security_errors import InvalidTokenError
from hie.identity import sessions
from hie.identity.accounts import person_of
from hie.identity.external import ExternalProvider
from hie.identity.keys import KeyRing
from hie.identity.revocations import Revocations
from hie.identity.server import Terms
from hie.identity.token_kinds import subjects
from hie.identity.tokens import ACCESS_TOKEN_TYPE, requester_of

# About 1 kB each.
_KNOWN_TOKENS: Final = 10_000
_LONGEST_TOKEN: Final = 16 * 1024
# Another machine of ours, whose clock is a little ahead, may have issued the token.
_CLOCK_SKEW_SECONDS: Final = 5.0
_PARTS: Final = 2


@dataclass(frozen=True, slots=True)
class _Verified:
    """A token that was verified: until when it is good, and under what it can be revoked."""

    requester: Requester
    issued_at: float
    expires_at: float
    subjects: tuple[tuple[str, str], ...]


class TokenAuthenticator:
    """Says who sends a request; safe to share between threads."""

    def __init__(
        self,
        database: Database,
        keys: KeyRing,
        revocations: Revocations,
        terms: Terms,
        clock: Clock,
        *,
        external: ExternalProvider | None = None,
    ) -> None:
        """Take the keys of our tokens and, where there is one, the external provider of others."""
        self._database = database
        self._keys = keys
        self._revocations = revocations
        self._terms = terms
        self._clock = clock
        self._external = external
        self._known: dict[bytes, _Verified] = {}
        self._lock = Lock()

    def recall(self, headers: Mapping[str, str]) -> Requester | None:
        """Return who sends the request if that is known without waiting for anything, else None."""
        given = headers.get("authorization")
        if given is None:
            return None if cookie_name(self._terms) in headers.get("cookie", "") else ANONYMOUS
        if not self._revocations.is_fresh():
            return None
        found = self._known.get(_digest(_bearer(given)))
        return None if found is None else self._accepted(found)

    def authenticate(self, headers: Mapping[str, str], *, with_session: bool = True) -> Requester:
        """Return who sends the request; ANONYMOUS where it has no credentials.

        Raises InvalidTokenError for a token that is not taken. The portal's session counts only where
        `with_session`; one that has ended is nobody's.
        """
        given = headers.get("authorization")
        if given is not None:
            return self._by_token(_bearer(given))
        return self._by_session(headers.get("cookie", "")) if with_session else ANONYMOUS

    def _by_token(self, token: str) -> Requester:
        self._revocations.refresh()
        name = _digest(token)
        found = self._known.get(name)
        if found is None:
            found = self._verify(token)
            with self._lock:
                if len(self._known) >= _KNOWN_TOKENS:
                    self._forget()
                self._known[name] = found
        return self._accepted(found)

    def _accepted(self, found: _Verified) -> Requester:
        if self._clock.now().timestamp() >= found.expires_at:
            raise InvalidTokenError("The access token has expired")
        if self._revocations.is_revoked(found.issued_at, found.subjects):
            raise InvalidTokenError("The access token was revoked")
        return found.requester

    def _verify(self, token: str) -> _Verified:
        if len(token) > _LONGEST_TOKEN:
            raise InvalidTokenError("The access token is too long")
        try:
            header = jws.extract_compact(token.encode()).headers()
        except (JoseError, ValueError) as error:
            raise InvalidTokenError("The access token is no JWT") from error
        key = self._keys.verifying(str(header.get("kid", "")))
        if key is None and self._external is not None:
            requester, claims = self._external.verify(token, header)
            return _Verified(requester, float(claims.get("iat", 0)), float(claims["exp"]), ())
        if key is None:
            raise InvalidTokenError("The access token was signed with a key that is not known here")
        if header.get("typ") != ACCESS_TOKEN_TYPE or "crit" in header:
            raise InvalidTokenError("The token is no access token")
        try:
            claims = jwt.decode(token, key.key, algorithms=[key.algorithm]).claims
        except (JoseError, ValueError) as error:
            raise InvalidTokenError("The signature of the access token is not valid") from error
        self._check(claims)
        return _Verified(requester_of(claims), float(claims["iat"]), float(claims["exp"]), subjects(claims))

    def _check(self, claims: Mapping[str, Json]) -> None:
        now = self._clock.now().timestamp()
        audience = claims.get("aud")
        if claims.get("iss") != self._terms.issuer:
            raise InvalidTokenError("The access token has another issuer")
        if self._terms.base_url not in (audience if isinstance(audience, list) else [audience]):
            raise InvalidTokenError("The access token is for another server")
        missing = [name for name in ("exp", "iat", "sub", "client_id", "jti") if name not in claims]
        if missing:
            raise InvalidTokenError(f"The access token lacks {missing[0]}")
        if float(claims.get("nbf", claims["iat"])) > now + _CLOCK_SKEW_SECONDS:
            raise InvalidTokenError("The access token is not valid yet")

    def _by_session(self, cookies: str) -> Requester:
        secret = session_secret(cookies, self._terms)
        if not secret:
            return ANONYMOUS
        with self._database.transaction() as transaction:
            row = sessions.find(transaction, secret, lifetimes=self._terms.sessions, now=self._clock.now())
            if row is None or not row.is_complete:
                return ANONYMOUS
            try:
                person = person_of(transaction, row.account_id)
            except NotFoundError:
                return ANONYMOUS
        if person.account.is_disabled:
            return ANONYMOUS
        return person.limited(self._terms.second_factor_roles).requester(session=str(row.id))

    def _forget(self) -> None:
        """Make room: what has expired goes, and where that is nothing, the half that was met first."""
        now = self._clock.now().timestamp()
        live = {name: each for name, each in self._known.items() if each.expires_at > now}
        if len(live) > _KNOWN_TOKENS // 2:
            live = dict(list(live.items())[_KNOWN_TOKENS // 2 :])
        self._known = live


def cookie_name(terms: Terms) -> str:
    """Return the name of the session's cookie; ``__Host-`` binds it to the host, but needs https.

    https://www.ietf.org/archive/id/draft-ietf-httpbis-rfc6265bis-22.html#name-the-__host-prefix
    """
    return "__Host-session" if terms.issuer.startswith("https://") else "session"


def session_secret(cookies: str, terms: Terms) -> str:
    """Return the secret that the Cookie header holds, "" without one."""
    try:
        morsel = SimpleCookie(cookies).get(cookie_name(terms))
    except CookieError:
        return ""
    return "" if morsel is None else morsel.value


def _bearer(authorization: str) -> str:
    """Return the token of an Authorization header; raises InvalidTokenError for another scheme."""
    parts = authorization.split(" ")
    if len(parts) != _PARTS or parts[0].lower() != "bearer" or not parts[1]:
        raise InvalidTokenError("The Authorization header holds no bearer token")
    return parts[1]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("latin-1", "replace")).digest()
