"""An answer in XML, also where one of the resources in its Bundle cannot be written so.

Under ``HIE_VALIDATION=off`` anything that is JSON is stored: elements that R4 does not have, characters that
XML does not have (https://www.w3.org/TR/xml/#charsets). Asked for alone, such a resource is refused with its
reason; on a page of a search or a history it must not take the other entries with it.
"""

from typing import Final

from hie.core.errors import ExchangeError, Issue, NestedTooDeeplyError, NotAcceptableError, outcome
from hie.core.fhir.json import JsonObject
from hie.core.fhir.xml_write import to_xml

_UNWRITABLE: Final = (NotAcceptableError, NestedTooDeeplyError)


def xml_answer(resource: JsonObject, *, is_pretty: bool = False) -> bytes:
    """Return `resource` as XML.

    In a Bundle that was made for this answer, and so has no id, an entry that XML cannot hold is one that
    says so: of a search an OperationOutcome in the resource's place, else the ``outcome`` of its response.
    Raises NotAcceptableError and NestedTooDeeplyError for any other resource.
    """
    try:
        return to_xml(resource, is_pretty=is_pretty)
    except _UNWRITABLE:
        if resource.get("resourceType") != "Bundle" or "id" in resource:
            raise
        entries = [_writable(entry) for entry in resource.get("entry", ())]
        return to_xml({**resource, "entry": entries}, is_pretty=is_pretty)


def _writable(entry: JsonObject) -> JsonObject:
    """Return `entry` itself, or what stands for it."""
    resource = entry.get("resource")
    if resource is None:
        return entry
    try:
        to_xml(resource)
    except _UNWRITABLE as error:
        said = outcome([Issue("warning", error.code, _sentence(resource, error))])
    else:
        return entry
    if "response" in entry:
        rest = {name: value for name, value in entry.items() if name != "resource"}
        return {**rest, "response": {**entry["response"], "outcome": said}}
    return {"resource": said, "search": {"mode": "outcome"}}


def _sentence(resource: JsonObject, error: ExchangeError) -> str:
    name = f"{resource.get('resourceType')}/{resource.get('id')}"
    return f"`{name}` is left out. {error.message}"
