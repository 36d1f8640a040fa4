"""Links of a resource that are no references: the elements of type uri and url that name an entry's fullUrl.

"Servers SHALL replace all matching links in the bundle, whether they are found in the resource ids, resource
references, elements of type uri, url, oid, uuid, and <a href="" & <img src="" in the narrative. Elements of
type canonical are not replaced" (https://hl7.org/fhir/R4/http.html#trules). What an element is comes from
its definition, not from its name: `url` is a link in an Attachment, a canonical in StructureMap.structure.

Left as they are, although of these types:

* oid and uuid: what would replace them, ``Patient/1``, is neither, and the resource no longer valid;
* what names and does not link: `Extension.url`, `Meta.source`, and the `url` of a resource that canonicals
  name it by (https://hl7.org/fhir/R4/resource.html#canonical): those are not replaced, so both would part.
  The `url` of Device and DeviceDefinition is a network address, and a link;
* systems of codes and identifiers, rules and types, which `NAMES` does not hold.
"""

from collections.abc import Callable
from typing import Final

from hie.core.fhir.json import Json, JsonObject
from hie.core.fhir.structure import elements_of, is_subtype

# The elements that can link to a resource, by name. Left out are names that no resource of a Bundle has.
NAMES: Final = frozenset(
    {
        "address",
        "authorizationUrl",
        "definitionUri",
        "derivedFromUri",
        "endpoint",
        "eventUri",
        "instantiatesUri",
        "link",
        "moduleUri",
        "nameUrl",
        "onlineInformation",
        "policy",
        "protocol",
        "rendering",
        "sourceUri",
        "targetUri",
        "uri",
        "url",
        "valueUri",
        "valueUrl",
    }
)
_LINKING: Final = frozenset({"uri", "url"})
# The `url` of their resources is where the device is, not what it is called.
_AT_AN_ADDRESS: Final = frozenset({"Device", "DeviceDefinition"})

Target = Callable[[str], str | None]
"""Returns what a link leads to now, None for one that leads out of the Bundle."""


def relinked(resource: JsonObject, target: Target) -> JsonObject:
    """Return `resource` with its links replaced by what `target` says; itself where there is none."""
    return _object(resource, str(resource.get("resourceType")), target)


def _object(node: JsonObject, path: str, target: Target) -> JsonObject:
    if path == "Bundle":
        return node  # its links are its own
    elements = elements_of(path)
    copy: JsonObject | None = None
    for key, item in node.items():
        found = elements.get(key)
        if found is not None:
            _, type_name, content = found
        elif key.startswith("_"):
            type_name = content = "Element"  # the id and extensions of a primitive
        else:
            continue
        if type_name in _LINKING and (key not in NAMES or _is_name(path, key)):
            continue
        new = _value(item, type_name, content, target)
        if new is not item:
            copy = copy if copy is not None else dict(node)
            copy[key] = new
    return node if copy is None else copy


def _value(item: Json, type_name: str, content: str, target: Target) -> Json:
    if isinstance(item, list):
        made = [_value(each, type_name, content, target) for each in item]
        return item if all(new is old for new, old in zip(made, item, strict=True)) else made
    if isinstance(item, str):
        return (target(item) or item) if type_name in _LINKING else item
    if isinstance(item, dict):
        return _object(item, str(item.get("resourceType")) if type_name == "Resource" else content, target)
    return item


def _is_name(path: str, key: str) -> bool:
    """Say whether the element names what it stands in."""
    if key != "url":
        return False
    return path == "Extension" or (is_subtype(path, "Resource") and path not in _AT_AN_ADDRESS)
