"""What a PATCH does, whatever its language: https://hl7.org/fhir/R4/http.html#patch.

In a Bundle the resource of a PATCH entry is a Parameters resource (FHIRPath Patch) or a Binary
with a JSON Patch or JSON Merge Patch. The languages themselves are in `fhir_server.patch`.
"""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from fhir_server.patch.fhirpath_patch import apply_fhirpath_patch
from fhir_server.patch.json_patch import apply_json_patch
from fhir_server.patch.merge_patch import apply_merge_patch
from hie.core.errors import RequestError, UnsupportedMediaTypeError
from hie.core.fhir.json import Json, JsonObject, loads

JSON_PATCH: Final = "application/json-patch+json"
MERGE_PATCH: Final = "application/merge-patch+json"


@dataclass(frozen=True, slots=True)
class Patch:
    """A pure function of the current content, and the interaction that the access policy is asked about.

    `apply` does not change what it is given; it may be called again when somebody else changed
    the resource meanwhile. Raises ExchangeError for what cannot be applied.
    """

    apply: Callable[[JsonObject], JsonObject]
    interaction: str = "patch"


def json_patch(operations: Json) -> Patch:
    """Return the patch of a JSON Patch document (RFC 6902)."""
    return Patch(lambda resource: apply_json_patch(resource, operations))


def merge_patch(document: Json) -> Patch:
    """Return the patch of a JSON Merge Patch document (RFC 7396)."""
    return Patch(lambda resource: apply_merge_patch(resource, document))


def fhirpath_patch(parameters: JsonObject) -> Patch:
    """Return the patch of a Parameters resource (https://hl7.org/fhir/R4/fhirpatch.html)."""
    return Patch(lambda resource: apply_fhirpath_patch(resource, parameters))


def read_patch(resource: Json, *, expression: str) -> Patch:
    """Return the patch that `resource`, which stands at `expression`, holds; raises RequestError."""
    kind = resource.get("resourceType") if isinstance(resource, dict) else None
    if kind == "Parameters":
        return fhirpath_patch(resource)
    if kind != "Binary":
        raise RequestError(
            "A patch is a Parameters resource, or in a Bundle a Binary with a JSON Patch",
            expression=expression or None,
        )
    media_type = resource.get("contentType")
    if media_type not in (JSON_PATCH, MERGE_PATCH):
        raise UnsupportedMediaTypeError(
            f"The patch format `{media_type}` is not supported; {JSON_PATCH} is",
            expression=f"{expression}.contentType",
        )
    try:
        text = b64decode(resource.get("data", ""), validate=True)
    except (TypeError, ValueError, Base64Error) as error:
        raise RequestError("Binary.data is not base64", expression=f"{expression}.data") from error
    document = loads(text, has_unique_names=False)
    return json_patch(document) if media_type == JSON_PATCH else merge_patch(document)
