"""The AuditEvent as a message of DICOM PS3.15 A.5, which ITI-20 carries over syslog.

https://dicom.nema.org/medical/dicom/current/output/chtml/part15/sect_A.5.html
"""

from base64 import b64encode
from typing import Final
from xml.etree.ElementTree import Element, SubElement, tostring

from hie.core.audit.event_codes import DCM
from hie.core.fhir.json import JsonObject

_SYSTEMS: Final = {DCM: "DCM"}
_PATIENT, _SEARCH, _URI = "2", "10", "12"
_OBJECT_ID_TYPES: Final = {
    _PATIENT: "Patient Number",
    _SEARCH: "Search Criteria",
    _URI: "URI",
}
_RFC_3881: Final = "RFC-3881"


def message(event: JsonObject) -> bytes:
    """Return the XML of the AuditMessage of `event`, an AuditEvent of `hie.core.audit.event`."""
    root = Element("AuditMessage")
    _event(root, event)
    for agent in event["agent"]:
        _participant(root, agent)
    source = SubElement(root, "AuditSourceIdentification")
    source.set("AuditSourceID", event["source"]["site"])
    for kind in event["source"].get("type", ()):
        _code(source, "AuditSourceTypeCode", kind)
    for entity in event.get("entity", ()):
        _object(root, entity)
    made: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return made


def _event(root: Element, event: JsonObject) -> None:
    made = SubElement(root, "EventIdentification")
    made.set("EventActionCode", event["action"])
    made.set("EventDateTime", event["recorded"])
    made.set("EventOutcomeIndicator", event["outcome"])
    _code(made, "EventID", event["type"])
    for subtype in event.get("subtype", ()):
        _code(made, "EventTypeCode", subtype)
    if event.get("outcomeDesc"):
        SubElement(made, "EventOutcomeDescription").text = event["outcomeDesc"]
    for agent in event["agent"]:
        for purpose in agent.get("purposeOfUse", ()):
            _code(made, "PurposeOfUse", purpose["coding"][0])


def _participant(root: Element, agent: JsonObject) -> None:
    made = SubElement(root, "ActiveParticipant")
    who = agent["who"]
    made.set("UserID", who.get("reference") or who["identifier"]["value"])
    if agent.get("altId"):
        made.set("AlternativeUserID", agent["altId"])
    made.set("UserIsRequestor", "true" if agent["requestor"] else "false")
    network = agent.get("network")
    if network is not None:
        made.set("NetworkAccessPointID", network["address"])
        made.set("NetworkAccessPointTypeCode", network["type"])
    _code(made, "RoleIDCode", agent["type"]["coding"][0])
    for role in agent.get("role", ()):
        _code(made, "RoleIDCode", role["coding"][0])


def _object(root: Element, entity: JsonObject) -> None:
    made = SubElement(root, "ParticipantObjectIdentification")
    what = entity.get("what", {})
    identity = what.get("reference") or what.get("identifier", {}).get("value") or entity.get("name", "")
    made.set("ParticipantObjectID", identity or "query")
    kind = entity.get("type", {}).get("code", "")
    if kind.isdigit():
        made.set("ParticipantObjectTypeCode", kind)
    role = entity.get("role", {}).get("code", "")
    if role:
        made.set("ParticipantObjectTypeCodeRole", role)
    number = _PATIENT if role == "1" else _SEARCH if "query" in entity else _URI
    _coded(made, "ParticipantObjectIDTypeCode", number, _RFC_3881, _OBJECT_ID_TYPES[number])
    if "query" in entity:
        SubElement(made, "ParticipantObjectQuery").text = entity["query"]
    else:
        SubElement(made, "ParticipantObjectName").text = entity.get("name") or identity
    for detail in entity.get("detail", ()):
        part = SubElement(made, "ParticipantObjectDetail")
        part.set("type", detail["type"])
        part.set("value", b64encode(detail["valueString"].encode()).decode())


def _code(parent: Element, name: str, coding: JsonObject) -> None:
    system = str(coding.get("system", ""))
    _coded(
        parent, name, coding["code"], _SYSTEMS.get(system, system), coding.get("display") or coding["code"]
    )


def _coded(parent: Element, name: str, code: str, system: str, text: str) -> None:
    made = SubElement(parent, name)
    made.set("csd-code", code)
    made.set("codeSystemName", system)
    made.set("originalText", text)
