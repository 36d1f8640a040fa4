"""What the CapabilityStatement says of subscriptions: the topics of the server, and where the websocket is.

https://hl7.org/fhir/uv/subscriptions-backport/STU1.1/StructureDefinition-capabilitystatement-subscriptiontopic-canonical.html
and https://hl7.org/fhir/R4/extension-capabilitystatement-websocket.html.
"""

from fhir_server.subscriptions.extensions import SUBSCRIPTION_PROFILE, TOPIC_CANONICAL, WEBSOCKET
from fhir_server.subscriptions.topic import own_topics
from fhir_server.subscriptions.websocket import websocket_url
from hie.core.fhir.json import JsonObject


def of_resource(resource_type: str) -> JsonObject:
    """Return what ``rest.resource`` of `resource_type` has beside what all types have."""
    if resource_type != "Subscription":
        return {}
    topics = [{"url": TOPIC_CANONICAL, "valueCanonical": url} for url in sorted(own_topics())]
    return {"extension": topics, "supportedProfile": [SUBSCRIPTION_PROFILE]}


def of_rest(base_url: str) -> JsonObject:
    """Return what ``rest`` has of the server at `base_url`."""
    return {"extension": [{"url": WEBSOCKET, "valueUri": websocket_url(base_url)}]}
