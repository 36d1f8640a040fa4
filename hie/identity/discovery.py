"""What clients discover of the authorization server.

http://hl7.org/fhir/smart-app-launch/STU2.2/conformance.html;
https://openid.net/specs/openid-connect-discovery-1_0.html#ProviderMetadata;
https://www.rfc-editor.org/rfc/rfc8414#section-2. Only what there is stands in it.
"""

from typing import Final

from hie.core.fhir.json import JsonObject
from hie.identity.clients import ASSERTION_ALGORITHMS, AUTH_METHODS, GRANT_TYPES, OTHER_SCOPES
from hie.identity.server import Terms

CAPABILITIES: Final = (
    "launch-ehr",
    "launch-standalone",
    "authorize-post",
    "client-public",
    "client-confidential-symmetric",
    "client-confidential-asymmetric",
    "sso-openid-connect",
    "context-banner",
    "context-ehr-patient",
    "context-ehr-encounter",
    "context-standalone-patient",
    "permission-offline",
    "permission-online",
    "permission-patient",
    "permission-user",
    "permission-v1",
    "permission-v2",
)
_RESOURCE_SCOPES: Final = (
    "patient/*.cruds",
    "user/*.cruds",
    "system/*.cruds",
    "patient/*.rs",
    "user/*.rs",
    "system/*.rs",
    "patient/*.read",
    "user/*.read",
    "system/*.read",
)


def smart_configuration(terms: Terms) -> JsonObject:
    """Return the document of ``/fhir/.well-known/smart-configuration``."""
    return {
        **_endpoints(terms),
        "introspection_endpoint": f"{terms.issuer}/oauth/introspect",
        "revocation_endpoint": f"{terms.issuer}/oauth/revoke",
        "capabilities": list(CAPABILITIES),
    }


def openid_configuration(terms: Terms) -> JsonObject:
    """Return the document of ``/.well-known/openid-configuration``."""
    return {
        **_endpoints(terms),
        "userinfo_endpoint": f"{terms.issuer}/oauth/userinfo",
        "introspection_endpoint": f"{terms.issuer}/oauth/introspect",
        "revocation_endpoint": f"{terms.issuer}/oauth/revoke",
        "response_modes_supported": ["query"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
        "claims_supported": [
            *("sub", "iss", "aud", "exp", "iat", "auth_time", "nonce", "amr", "at_hash"),
            *("fhirUser", "name", "preferred_username"),
        ],
        "authorization_response_iss_parameter_supported": True,
        "request_parameter_supported": False,
        "request_uri_parameter_supported": False,
        "claims_parameter_supported": False,
    }


def _endpoints(terms: Terms) -> JsonObject:
    return {
        "issuer": terms.issuer,
        "jwks_uri": f"{terms.issuer}/oauth/jwks",
        "authorization_endpoint": f"{terms.issuer}/oauth/authorize",
        "token_endpoint": terms.token_endpoint,
        "token_endpoint_auth_methods_supported": list(AUTH_METHODS),
        "token_endpoint_auth_signing_alg_values_supported": list(ASSERTION_ALGORITHMS),
        "grant_types_supported": list(GRANT_TYPES),
        "scopes_supported": [*OTHER_SCOPES, *_RESOURCE_SCOPES],
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
    }
