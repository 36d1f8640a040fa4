"""What a Reference leads to: a contained resource, one of this server, or nothing that can be followed.

https://hl7.org/fhir/R4/references.html#literal, https://hl7.org/fhir/R4/graphql.html#references.
"""

import re
from typing import Final

from fhir_server.graphql.loader import Loader, Pending, Target
from fhir_server.index.references import local_target
from hie.core.fhir.json import JsonObject

_VERSION: Final = re.compile(r"/_history/(\d{1,9})\Z")


def target_of(reference: str, base_url: str) -> Target | None:
    """Return the resource of this server that `reference` names, None for any other.

    >>> target_of("Patient/1/_history/2", "http://hie.example/fhir")
    ('Patient', '1', 2)
    """
    local = local_target(reference, base_url)
    if local is None:
        return None
    version = _VERSION.search(reference)
    if "/_history/" in reference and version is None:
        return None
    return (*local, int(version[1]) if version else None)


def resolve(
    reference: str, container: JsonObject, loader: Loader
) -> tuple[JsonObject, JsonObject] | Pending | None:
    """Return the resource that `reference` inside `container` leads to, and what that is contained in.

    A resource that is not contained is its own container. None where it leads nowhere.
    """
    if reference.startswith("#"):
        found = container if reference == "#" else _contained(reference[1:], container)
        return None if found is None else (found, container)
    target = target_of(reference, loader.server.base_url)
    if target is None:
        return None
    loaded = loader.resource(target)
    if loaded is None or isinstance(loaded, Pending):
        return loaded
    return loaded, loaded


def _contained(resource_id: str, container: JsonObject) -> JsonObject | None:
    contained = container.get("contained")
    for each in contained if isinstance(contained, list) else ():
        if isinstance(each, dict) and each.get("id") == resource_id:
            return each
    return None
