"""What the CapabilityStatement says of security: SMART App Launch, and where its endpoints are.

https://hl7.org/fhir/R4/capabilitystatement-definitions.html#CapabilityStatement.rest.security; the extension
is http://hl7.org/fhir/smart-app-launch/STU1/conformance.html#declaring-support-for-oauth2-endpoints, which
clients of SMART 1 read. Those of SMART 2 read `.well-known/smart-configuration`.
"""

from typing import Final

from hie.core.fhir.json import JsonObject
from hie.core.settings import Settings

_OAUTH_URIS: Final = "http://fhir-registry.smarthealthit.org/StructureDefinition/oauth-uris"
_SERVICES: Final = "http://terminology.hl7.org/CodeSystem/restful-security-service"
_ENDPOINTS: Final = ("authorize", "token", "introspect", "revoke")


def of_rest(settings: Settings) -> JsonObject:
    """Return the element `security` of `rest`; {} where nobody is asked who they are."""
    if settings.auth == "off":
        return {}
    endpoints = [{"url": each, "valueUri": f"{settings.issuer}/oauth/{each}"} for each in _ENDPOINTS]
    service = {
        "coding": [{"system": _SERVICES, "code": "SMART-on-FHIR", "display": "SMART-on-FHIR"}],
        "text": "OAuth2 using SMART-on-FHIR profile (see http://docs.smarthealthit.org)",
    }
    return {
        "security": {
            "extension": [{"url": _OAUTH_URIS, "extension": endpoints}],
            "cors": bool(settings.cors_origins),
            "service": [service],
        }
    }
