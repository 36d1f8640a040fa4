"""The revocation endpoint, https://www.rfc-editor.org/rfc/rfc7009."""

from typing import TYPE_CHECKING

from authlib.oauth2.rfc7009 import RevocationEndpoint

from hie.identity import revocations
from hie.identity.oauth_request import FormRequest
from hie.identity.token_kinds import ShownAccessToken, ShownRefreshToken, find_token

if TYPE_CHECKING:
    from hie.identity.server import AuthorizationServer


class TokenRevocation(RevocationEndpoint):  # type: ignore[misc] # authlib has no hints
    """Revokes an access token alone, and with a refresh token the whole grant (RFC 7009, 2.1)."""

    CLIENT_AUTH_METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt", "none")
    server: "AuthorizationServer"

    def query_token(
        self,
        token_string: str,
        token_type_hint: str | None,  # noqa: ARG002 - the kinds are told apart by their looks
    ) -> ShownAccessToken | ShownRefreshToken | None:
        """Return the token, None where it is unknown, which is no error."""
        return find_token(self.server.work, token_string)

    def revoke_token(
        self,
        token: ShownAccessToken | ShownRefreshToken,
        request: FormRequest,  # noqa: ARG002 - authlib's words
    ) -> None:
        """Revoke it."""
        work = self.server.work
        life = work.terms.longest_token
        if isinstance(token, ShownRefreshToken):
            revocations.revoke_grant(work.transaction, token.grant.id, now=work.now, token_life=life)
        else:
            subject = str(token.claims["jti"])
            revocations.revoke(work.transaction, "token", subject, now=work.now, token_life=life)
