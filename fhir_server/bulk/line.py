"""One line of NDJSON to a resource, exactly as it was written (http://ndjson.org)."""

import re
from typing import Final

import orjson

from hie.core.errors import RequestError
from hie.core.fhir.json import Json, JsonObject, loads
from hie.core.fhir.nesting import check_nesting

# References that only a look-up resolves (https://hl7.org/fhir/R4/http.html#trefs), or, outside of a
# Bundle, nothing.
_TO_RESOLVE: Final = re.compile(rb'"reference":"(?:[A-Z][A-Za-z]+\?|urn:)')


def read_line(text: bytes, max_nesting: int) -> JsonObject:
    """Return the resource on the line; raises MalformedJSONError, or RequestError for another value.

    Also raises NestedTooDeeplyError.

    Most NDJSON is compact. What prints back the same bytes has no name twice and no decimal whose digits
    were lost, and needs no slower reader: 20 microseconds a resource and not 60.
    """
    value = _read(text.strip(), max_nesting)
    if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
        raise RequestError("This is not a FHIR resource", expression="resourceType")
    return value


def needs_resolution(body: bytes) -> bool:
    """Say whether the resource of the compact JSON `body` has references that must be resolved first."""
    return _TO_RESOLVE.search(body) is not None


def _read(text: bytes, max_nesting: int) -> Json:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return loads(text, has_unique_names=False)
    check_nesting(value, text, max_nesting)
    return value if orjson.dumps(value) == text else loads(text, has_unique_names=False)
