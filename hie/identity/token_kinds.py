"""A token that somebody shows to be revoked or explained: which kind it is, and whose.

For https://www.rfc-editor.org/rfc/rfc7009 and https://www.rfc-editor.org/rfc/rfc7662.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from uuid import UUID

from joserfc import jws, jwt
from joserfc.errors import JoseError

from hie.core.fhir.json import Json
from hie.identity.clients import RegisteredClient
from hie.identity.secrets import digest
from hie.identity.tables import Grant
from hie.identity.tokens import ACCESS_TOKEN_TYPE

if TYPE_CHECKING:
    from hie.identity.server import Work

_FIND_GRANT: Final = """
SELECT grant_id FROM identity_refresh_token WHERE digest = %s AND used_at IS NULL
"""
_IS_REVOKED: Final = """
SELECT EXISTS (SELECT 1 FROM identity_revocation
    WHERE (kind, subject) IN (SELECT * FROM unnest(%s::text[], %s::text[])) AND before >= to_timestamp(%s))
"""


@dataclass(frozen=True, slots=True)
class ShownAccessToken:
    """An access token of ours; `claims` were verified but for the time."""

    claims: Mapping[str, Json]
    is_active: bool

    def check_client(self, client: RegisteredClient) -> bool:
        """Return whether it was issued to `client`."""
        return bool(self.claims["client_id"] == client.get_client_id())

    def is_expired(self) -> bool:
        """Return whether it is no longer taken."""
        return not self.is_active

    def is_revoked(self) -> bool:
        """Return whether it is no longer taken."""
        return not self.is_active


@dataclass(frozen=True, slots=True)
class ShownRefreshToken:
    """A refresh token that was not used yet."""

    grant: Grant
    is_active: bool

    def check_client(self, client: RegisteredClient) -> bool:
        """Return whether it was issued to `client`."""
        return self.grant.client_id == client.get_client_id()

    def is_expired(self) -> bool:
        """Return whether it is no longer taken."""
        return not self.is_active

    def is_revoked(self) -> bool:
        """Return whether it is no longer taken."""
        return not self.is_active


def find_token(work: "Work", text: str) -> ShownAccessToken | ShownRefreshToken | None:
    """Return the token that `text` is, None where it is none of ours."""
    return _access_token(work, text) if text.count(".") == 2 else _refresh_token(work, text)  # noqa: PLR2004 - a JWS


def subjects(claims: Mapping[str, Json]) -> tuple[tuple[str, str], ...]:
    """Return the (kind, subject) under which an access token of ours can be revoked."""
    found = [("token", str(claims["jti"])), ("client", str(claims["client_id"]))]
    if claims.get("grant"):
        found += [("grant", str(claims["grant"])), ("account", str(claims["sub"]))]
    return tuple(found)


def _access_token(work: "Work", text: str) -> ShownAccessToken | None:
    try:
        header = jws.extract_compact(text.encode()).headers()
        key = work.keys.verifying(str(header.get("kid", "")))
        if key is None or header.get("typ") != ACCESS_TOKEN_TYPE:
            return None
        claims = jwt.decode(text, key.key, algorithms=[key.algorithm]).claims
    except (JoseError, ValueError):
        return None
    kinds, names = zip(*subjects(claims), strict=True)
    row = work.transaction.connection.execute(
        _IS_REVOKED, (list(kinds), list(names), claims["iat"])
    ).fetchone()
    is_revoked = row is not None and bool(row[0])
    return ShownAccessToken(claims, work.now.timestamp() < claims["exp"] and not is_revoked)


def _refresh_token(work: "Work", text: str) -> ShownRefreshToken | None:
    row = work.transaction.connection.execute(_FIND_GRANT, (digest(text),)).fetchone()
    grant = None if row is None else work.transaction.session.get(Grant, UUID(str(row[0])))
    if grant is None:
        return None
    return ShownRefreshToken(grant, grant.revoked_at is None and work.now < grant.ends_at)
