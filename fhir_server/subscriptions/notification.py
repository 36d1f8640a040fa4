"""Notifications of topics: Bundles of type history that begin with the status of the subscription.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/StructureDefinition-backport-subscription-notification-r4.html
and .../StructureDefinition-backport-subscription-status-r4.html. Pure: what is shown is handed over.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final, Literal
from uuid import uuid4

from fhir_server.store.content import instant
from fhir_server.subscriptions.definition import Content
from fhir_server.subscriptions.extensions import NOTIFICATION_PROFILE, STATUS_PROFILE
from fhir_server.subscriptions.shown import Focus, Shown
from hie.core.fhir.json import JsonObject, loads
from hie.core.ports import StoredResource

# https://hl7.org/fhir/R4B/valueset-subscription-notification-type.html
Kind = Literal["handshake", "heartbeat", "event-notification", "query-status", "query-event"]

# https://terminology.hl7.org/CodeSystem-subscription-error.html
_ERRORS: Final = "http://terminology.hl7.org/CodeSystem/subscription-error"


def status_of(
    base_url: str,
    subscription_id: str,
    *,
    kind: Kind,
    status: str,
    event_count: int,
    topic: str | None,
    content: Content,
    error: str | None = None,
    shown: Sequence[Shown] = (),
) -> JsonObject:
    """Return the status as Parameters; `content` "empty" names neither topic nor focus."""
    parameters: list[JsonObject] = [
        {
            "name": "subscription",
            "valueReference": {"reference": f"{base_url}/Subscription/{subscription_id}"},
        }
    ]
    if topic is not None and content != "empty":
        parameters.append({"name": "topic", "valueCanonical": topic})
    parameters += [
        {"name": "status", "valueCode": status},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": str(event_count)},
        *(_event(base_url, each, content) for each in shown),
    ]
    if error is not None:
        concept = {"coding": [{"system": _ERRORS, "code": "no-response"}], "text": error}
        parameters.append({"name": "error", "valueCodeableConcept": concept})
    return {
        "resourceType": "Parameters",
        "id": str(uuid4()),
        "meta": {"profile": [STATUS_PROFILE]},
        "parameter": parameters,
    }


def notification(
    base_url: str,
    subscription_id: str,
    status: JsonObject,
    *,
    shown: Sequence[Shown] = (),
    content: Content = "empty",
    now: datetime,
) -> JsonObject:
    """Return the Bundle of `status` (from `status_of`) and, but for "empty", of what is shown."""
    entries: list[JsonObject] = [status_entry(base_url, subscription_id, status)]
    if content != "empty":
        entries += _entries(base_url, shown, content)
    return {
        "resourceType": "Bundle",
        "id": str(uuid4()),
        "meta": {"profile": [NOTIFICATION_PROFILE]},
        "type": "history",
        "timestamp": instant(now),
        "entry": entries,
    }


def status_entry(base_url: str, subscription_id: str, status: JsonObject) -> JsonObject:
    """Return the entry of a status, as an answer to $status."""
    return {
        "fullUrl": f"urn:uuid:{status['id']}",
        "resource": status,
        "request": {"method": "GET", "url": f"{base_url}/Subscription/{subscription_id}/$status"},
        "response": {"status": "200"},
    }


def _event(base_url: str, shown: Shown, content: Content) -> JsonObject:
    parts: list[JsonObject] = [
        {"name": "event-number", "valueString": str(shown.event.number)},
        {"name": "timestamp", "valueInstant": instant(shown.event.occurred_at)},
    ]
    if content != "empty" and shown.focus is not None:
        parts.append({"name": "focus", "valueReference": {"reference": f"{base_url}/{shown.focus.name}"}})
        parts += [
            {
                "name": "additional-context",
                "valueReference": {"reference": f"{base_url}/{each.type}/{each.id}"},
            }
            for each in shown.included
        ]
    return {"name": "notification-event", "part": parts}


def _entries(base_url: str, shown: Sequence[Shown], content: Content) -> Iterator[JsonObject]:
    included: dict[tuple[str, str], StoredResource] = {}
    for each in shown:
        if each.focus is not None:
            yield _focus(base_url, each.focus, content)
            included.update({(other.type, other.id): other for other in each.included})
    for (resource_type, resource_id), stored in included.items():
        entry: JsonObject = {
            "fullUrl": f"{base_url}/{resource_type}/{resource_id}",
            "request": {"method": "GET", "url": f"{resource_type}/{resource_id}"},
            "response": {"status": "200", "etag": f'W/"{stored.version}"'},
        }
        if content == "full-resource":
            entry["resource"] = loads(stored.body or b"{}")
        yield entry


def _focus(base_url: str, focus: Focus, content: Content) -> JsonObject:
    resource_type = focus.name.partition("/")[0]
    entry: JsonObject = {"fullUrl": f"{base_url}/{focus.name}"}
    if content == "full-resource" and focus.resource is not None:
        entry["resource"] = focus.resource
    url = resource_type if focus.method == "POST" else focus.name
    entry["request"] = {"method": focus.method, "url": url}
    entry["response"] = {"status": str(int(focus.status))}
    if focus.stored is not None:
        entry["response"]["etag"] = f'W/"{focus.stored.version}"'
        entry["response"]["lastModified"] = instant(focus.stored.last_updated)
    return entry
