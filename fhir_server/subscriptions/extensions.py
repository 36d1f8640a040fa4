"""Reads extensions, and names those of the Subscriptions R5 Backport guide, version 1.1.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/artifacts.html
"""

from typing import Final

from hie.core.fhir.json import Json, JsonObject

_GUIDE: Final = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/"
FILTER_CRITERIA: Final = f"{_GUIDE}backport-filter-criteria"
PAYLOAD_CONTENT: Final = f"{_GUIDE}backport-payload-content"
HEARTBEAT_PERIOD: Final = f"{_GUIDE}backport-heartbeat-period"
TIMEOUT: Final = f"{_GUIDE}backport-timeout"
MAX_COUNT: Final = f"{_GUIDE}backport-max-count"
CHANNEL_TYPE: Final = f"{_GUIDE}backport-channel-type"
TOPIC_CANONICAL: Final = f"{_GUIDE}capabilitystatement-subscriptiontopic-canonical"
SUBSCRIPTION_PROFILE: Final = f"{_GUIDE}backport-subscription"
STATUS_PROFILE: Final = f"{_GUIDE}backport-subscription-status-r4"
NOTIFICATION_PROFILE: Final = f"{_GUIDE}backport-subscription-notification-r4"
# https://hl7.org/fhir/R4/extension-capabilitystatement-websocket.html
WEBSOCKET: Final = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-websocket"


def values(element: Json, url: str, key: str) -> list[Json]:
    """Return the values under `key` ("valueString") of the extensions `url` of `element`, in order."""
    if not isinstance(element, dict):
        return []
    listed = element.get("extension")
    if not isinstance(listed, list):
        return []
    return [each[key] for each in listed if isinstance(each, dict) and each.get("url") == url and key in each]


def value(element: Json, url: str, key: str) -> Json:
    """Return the first of `values`, None when there is none."""
    return next(iter(values(element, url, key)), None)


def inner(extension: JsonObject, url: str) -> list[JsonObject]:
    """Return the extensions `url` inside the complex extension `extension`, in order."""
    listed = extension.get("extension")
    if not isinstance(listed, list):
        return []
    return [each for each in listed if isinstance(each, dict) and each.get("url") == url]
