"""JSON Merge Patch on a resource: https://www.rfc-editor.org/rfc/rfc7396.

FHIR does not name it, but clients that other servers accept send it (fhirpy: `patch`, `save(fields=...)`). A
member that is null is removed, an array is replaced whole. Whether the result is a valid resource is
not looked at.
"""

from fhir_server.patch.json_copy import copied
from hie.core.fhir.json import Json, JsonObject
from hie.core.language_errors import PatchError, PatchSyntaxError


def apply_merge_patch(resource: JsonObject, patch: Json) -> JsonObject:
    """Return `resource` with `patch` merged into it; `resource` is left as it is.

    Raises PatchSyntaxError where `patch` is no object, PatchError where it nests too deeply.
    """
    if not isinstance(patch, dict):
        raise PatchSyntaxError("A JSON Merge Patch of a resource is an object")
    try:
        return _merged(copied(resource), patch)
    except RecursionError as error:
        raise PatchError("The JSON Merge Patch is nested too deeply") from error


def _merged(target: Json, patch: JsonObject) -> JsonObject:
    merged: JsonObject = target if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            merged[name] = _merged(merged.get(name), value)
        else:
            merged[name] = copied(value)
    return merged
