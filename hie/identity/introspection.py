"""The introspection endpoint, https://www.rfc-editor.org/rfc/rfc7662.

For resource servers that were registered to ask, and for a client about its own tokens; what SMART adds is
in http://hl7.org/fhir/smart-app-launch/STU2.2/token-introspection.html.
"""

from typing import TYPE_CHECKING, Any

from authlib.oauth2.rfc7662 import IntrospectionEndpoint

from hie.identity.clients import RegisteredClient
from hie.identity.oauth_request import FormRequest
from hie.identity.token_kinds import ShownAccessToken, ShownRefreshToken, find_token

if TYPE_CHECKING:
    from hie.identity.server import AuthorizationServer


class Introspection(IntrospectionEndpoint):  # type: ignore[misc] # authlib has no hints
    """Says what a token is good for, or that it is not."""

    CLIENT_AUTH_METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")
    server: "AuthorizationServer"

    def query_token(
        self,
        token_string: str,
        token_type_hint: str | None,  # noqa: ARG002 - the kinds are told apart by their looks
    ) -> ShownAccessToken | ShownRefreshToken | None:
        """Return the token, None where it is unknown."""
        return find_token(self.server.work, token_string)

    def check_permission(
        self,
        token: ShownAccessToken | ShownRefreshToken,
        client: RegisteredClient,
        request: FormRequest,  # noqa: ARG002 - authlib's words
    ) -> bool:
        """Return whether `client` may know what `token` is."""
        return client.row.may_introspect or token.check_client(client)

    def introspect_token(self, token: ShownAccessToken | ShownRefreshToken) -> dict[str, Any]:
        """Return what the token is good for."""
        if isinstance(token, ShownRefreshToken):
            grant = token.grant
            return {
                "active": True,
                "client_id": grant.client_id,
                "sub": str(grant.account_id),
                "scope": grant.scope,
                "exp": int(grant.ends_at.timestamp()),
            }
        names = ("scope", "client_id", "sub", "aud", "iss", "jti", "patient")
        shown = {name: token.claims[name] for name in names if name in token.claims}
        times = {name: int(token.claims[name]) for name in ("exp", "iat")}
        return {"active": True, "token_type": "Bearer", **shown, **times}
