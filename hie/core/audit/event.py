"""The AuditEvent that a record is shown as: https://hl7.org/fhir/R4/auditevent.html.

RESTful interactions that succeeded are events of IHE BALP (https://profiles.ihe.net/ITI/BALP/) and claim its
profile; what was refused or failed has the same shape and claims none, as BALP has profiles for
success only. Rendered from the compact record when somebody reads it, and never stored.
"""

from base64 import b64encode
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Final

from hie.core.audit.event_codes import DCM, Codes, codes_of, coding
from hie.core.audit.record import outcome_code, seen_of
from hie.core.fhir.json import JsonObject

_ENTITY_TYPE: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_OBJECT_ROLE: Final = "http://terminology.hl7.org/CodeSystem/object-role"
_SOURCE_TYPE: Final = "http://terminology.hl7.org/CodeSystem/security-source-type"
_PARTICIPATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_PARTICIPANT: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"
_ACT_REASON: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_BALP_ENTITY: Final = "https://profiles.ihe.net/ITI/BALP/CodeSystem/BasicAuditEntityType"
ROLE: Final = "http://hie.example/fhir/CodeSystem/role"

_SOURCE: Final = ("110153", "Source Role ID")
_DESTINATION: Final = ("110152", "Destination Role ID")
_MACHINE_NAME, _IP_ADDRESS = "1", "2"  # https://hl7.org/fhir/R4/valueset-network-type.html


def render(body: JsonObject) -> JsonObject:
    """Return the AuditEvent of a chained record."""
    codes = codes_of(body["kind"], body["do"])
    patients = body.get("patients", [])
    outcome = outcome_code(body["status"])
    meta: JsonObject = {"versionId": "1", "lastUpdated": body["at"]}
    profile = codes.profile(has_patient=bool(patients)) if outcome == "0" else None
    # What a search was asked for stands in its query; other interactions name what they are about.
    if profile is not None and (codes.is_query or "/" in body.get("on", "")):
        meta["profile"] = [profile]
    made: JsonObject = {
        "resourceType": "AuditEvent",
        "id": body["id"],
        "meta": meta,
        "type": codes.type,
    }
    if codes.subtype is not None:
        made["subtype"] = [codes.subtype]
    made["action"] = "E" if codes.is_query else body["action"]
    made["recorded"] = body["at"]
    made["outcome"] = outcome
    if outcome != "0":
        made["outcomeDesc"] = " ".join(str(each) for each in (body["status"], body.get("error")) if each)
    made["agent"] = list(_agents(body, codes))
    made["source"] = {
        "site": body["site"],
        "observer": {"display": body["site"]},
        "type": [coding(_SOURCE_TYPE, "4", "Application Server")],
    }
    entities = list(_entities(body, codes))
    if entities:
        made["entity"] = entities
    return made


def _agents(body: JsonObject, codes: Codes) -> Iterator[JsonObject]:
    who = body["who"]
    is_person = who["kind"] == "person"
    client, server = _roles(codes)
    name = who.get("client") or (who.get("id") if not is_person else "") or who["kind"]
    yield {
        "type": {"coding": [client]},
        "who": {"identifier": {"value": name}, "display": name},
        "requestor": not is_person,
        "network": _network(body.get("from") or name),
    }
    yield {
        "type": {"coding": [server]},
        "who": {"identifier": {"value": body["site"]}, "display": body["site"]},
        "requestor": False,
        "network": _network(body["site"]),
    }
    if is_person:
        yield _person(who, codes, body["action"])


def _roles(codes: Codes) -> tuple[JsonObject, JsonObject]:
    """Return the roles of client and server: what BALP says of reads, deletes, and all others."""
    if codes.interaction in ("read", "vread"):
        return coding(DCM, *_DESTINATION), coding(DCM, *_SOURCE)
    if codes.interaction == "delete":
        return coding(DCM, "110150", "Application"), coding(_PARTICIPANT, "custodian", "Custodian")
    return coding(DCM, *_SOURCE), coding(DCM, *_DESTINATION)


def _person(who: JsonObject, codes: Codes, action: str) -> JsonObject:
    is_author = action in ("C", "U", "D") and not codes.is_query
    kind = coding(_PARTICIPATION, *(("AUT", "author") if is_author else ("IRCP", "information recipient")))
    said: JsonObject = {"identifier": {"value": who["id"]}}
    if who.get("practitioner"):
        said["reference"] = f"Practitioner/{who['practitioner']}"
    elif who.get("patient"):
        said["reference"] = f"Patient/{who['patient']}"
    made: JsonObject = {"type": {"coding": [kind]}}
    if who.get("roles"):
        made["role"] = [{"coding": [coding(ROLE, role)]} for role in who["roles"]]
    made |= {"who": said, "altId": who["id"], "requestor": True}
    if who.get("session"):
        made["policy"] = [who["session"]]
    if who.get("purpose"):
        made["purposeOfUse"] = [{"coding": [coding(_ACT_REASON, who["purpose"])]}]
    return made


def _network(address: str) -> JsonObject:
    try:
        ip_address(address)
    except ValueError:
        return {"address": address, "type": _MACHINE_NAME}
    return {"address": address, "type": _IP_ADDRESS}


def _entities(body: JsonObject, codes: Codes) -> Iterator[JsonObject]:
    for patient in body.get("patients", ()):
        yield {
            "what": {"reference": f"Patient/{patient}"},
            "type": coding(_ENTITY_TYPE, "1", "Person"),
            "role": coding(_OBJECT_ROLE, "1", "Patient"),
        }
    target = str(body.get("on", ""))
    query = str(body.get("query", ""))
    if codes.is_query:
        yield {
            "type": coding(_ENTITY_TYPE, "2", "System Object"),
            "role": coding(_OBJECT_ROLE, "24", "Query"),
            "query": b64encode(f"{target}?{query}".encode()).decode(),
        }
    else:
        yield from _objects(body, target, query)
    if body.get("request"):
        yield {
            "what": {"identifier": {"value": body["request"]}},
            "type": coding(_BALP_ENTITY, "XrequestId"),
        }


def _objects(body: JsonObject, target: str, query: str) -> Iterator[JsonObject]:
    """Yield what the interaction was about: the resource named, else what was shown, else the path."""
    shown = [f"{kind}/{each}" for kind, each in seen_of(body)]
    is_resource = "/" in target and not target.startswith("/")
    named = [target] if is_resource else []
    named += [each for each in shown if each != target.partition("/_history/")[0]]
    details = [{"type": name, "valueString": value} for name, value in body.get("detail", {}).items()]
    if query and is_resource:
        details.append({"type": "query", "valueString": query})
    for number, reference in enumerate(named):
        made: JsonObject = {
            "what": {"reference": reference},
            "type": coding(_ENTITY_TYPE, "2", "System Object"),
            "role": coding(_OBJECT_ROLE, "4", "Domain Resource"),
        }
        if number == 0 and details:
            made["detail"] = details
        yield made
    if not named and (target or query or details):
        made = {
            "type": coding(_ENTITY_TYPE, "2", "System Object"),
            "role": coding(_OBJECT_ROLE, "24" if query else "4", "Query" if query else "Domain Resource"),
        }
        if query:
            made["query"] = b64encode(f"{target}?{query}".encode()).decode()
        else:
            made["name"] = target or body["do"]
        if details:
            made["detail"] = details
        yield made
