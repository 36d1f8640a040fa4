"""Bundles and resources that tests of the store write."""

from hie.core.fhir.json import Json, JsonObject

SYSTEM = "http://hospital.example/mrn"


def bundle(*entries: JsonObject) -> JsonObject:
    return {"resourceType": "Bundle", "type": "transaction", "entry": list(entries)}


def patient(value: str | None = None, **elements: Json) -> JsonObject:
    made: JsonObject = {"resourceType": "Patient"}
    if value is not None:
        made["identifier"] = [{"system": SYSTEM, "value": value}]
    return {**made, **elements}


def observation(subject: str, **elements: Json) -> JsonObject:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
        "subject": {"reference": subject},
        **elements,
    }


def post(resource: JsonObject, full_url: str | None = None, if_none_exist: str | None = None) -> JsonObject:
    request = {"method": "POST", "url": resource["resourceType"]}
    if if_none_exist is not None:
        request["ifNoneExist"] = if_none_exist
    return _entry(request, resource, full_url)


def put(
    url: str, resource: JsonObject, full_url: str | None = None, if_match: str | None = None
) -> JsonObject:
    request = {"method": "PUT", "url": url}
    if if_match is not None:
        request["ifMatch"] = if_match
    return _entry(request, resource, full_url)


def upsert(resource: JsonObject, full_url: str | None = None) -> JsonObject:
    """A conditional update on the resource's first identifier."""
    identifier = resource["identifier"][0]
    url = f"{resource['resourceType']}?identifier={identifier['system']}|{identifier['value']}"
    return put(url, resource, full_url)


def delete(url: str) -> JsonObject:
    return {"request": {"method": "DELETE", "url": url}}


def _entry(request: JsonObject, resource: JsonObject, full_url: str | None) -> JsonObject:
    entry: JsonObject = {"resource": resource, "request": request}
    return {"fullUrl": full_url, **entry} if full_url else entry
