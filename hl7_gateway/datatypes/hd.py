"""HD: the namespace or the place that a hierarchic designator names.

https://build.fhir.org/ig/HL7/v2-to-fhir/datatype_maps.html (HD[...])
"""

from hie.core.fhir.json import JsonObject
from hl7_gateway.datatypes import primitives
from hl7_gateway.datatypes.context import Context, universal_uri
from hl7_gateway.datatypes.registry import datatype
from hl7_gateway.er7.message import Repetition
from hl7_gateway.er7.text import part

# Identifiers that are URIs themselves: https://hl7.org/fhir/R4/identifier-registry.html
URI_SYSTEM = "urn:ietf:rfc:3986"
_ALL = (1, 2, 3)
NO_UNIVERSAL_ID = "a universal ID type without universal ID"


@datatype("HD_uri", uses=_ALL)
def hd_uri(rep: Repetition, ctx: Context) -> str | None:
    """Return the URI of the namespace; see Context.system_for."""
    if not part(rep, 2).strip():
        _drop_type(rep, ctx)
    return ctx.system_for(rep)


@datatype("HD_string", uses=_ALL)
def hd_string(rep: Repetition, ctx: Context) -> str | None:
    """Return the namespace id, with the universal id and its type behind it."""
    namespace = primitives.string(part(rep, 1))
    universal_id = primitives.string(part(rep, 2))
    if universal_id is None:
        _drop_type(rep, ctx)
        return namespace
    id_type = primitives.string(part(rep, 3))
    qualified = f"{id_type}:{universal_id}" if id_type is not None else universal_id
    return qualified if namespace is None else f"{namespace} - {qualified}"


@datatype("HD_Identifier", uses=_ALL)
def hd_identifier(rep: Repetition, ctx: Context, namespace: str = "HD") -> JsonObject | None:
    """Return the first Identifier of the designator: its universal id, else its namespace id."""
    identifiers = hd_identifiers(rep, ctx, namespace)
    return identifiers[-1] if identifiers else None


@datatype("HD_Organization", uses=_ALL)
def hd_organization(rep: Repetition, ctx: Context, namespace: str = "Organization") -> JsonObject | None:
    """Return identifiers and name of an Organization."""
    identifiers = hd_identifiers(rep, ctx, namespace)
    if not identifiers:
        return None
    organization: JsonObject = {"identifier": identifiers}
    name = primitives.string(part(rep, 1))
    if name is not None:
        organization["name"] = name
    return organization


@datatype("HD_Location", uses=_ALL)
def hd_location(rep: Repetition, ctx: Context, namespace: str = "Location") -> JsonObject | None:
    """Return identifiers, name and physical type (site) of a Location."""
    identifiers = hd_identifiers(rep, ctx, namespace)
    if not identifiers:
        return None
    location: JsonObject = {"identifier": identifiers}
    name = primitives.string(part(rep, 1))
    if name is not None:
        location["name"] = name
    location["physicalType"] = {
        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/location-physical-type", "code": "si"}]
    }
    return location


def hd_identifiers(rep: Repetition, ctx: Context, namespace: str) -> list[JsonObject]:
    """Return an Identifier for the namespace id and one for the universal id, where they are filled.

    The namespace id is unique in `namespace` of the sender; so is a universal id that is no URI.
    """
    identifiers: list[JsonObject] = []
    name = primitives.string(part(rep, 1))
    if name is not None:
        identifiers.append({"system": ctx.sender.system(namespace), "value": name})
    universal_id = primitives.string(part(rep, 2))
    if universal_id is not None:
        id_type = primitives.code(part(rep, 3))
        identifier: JsonObject = {}
        if id_type is not None:
            source = ctx.source_coding("UniversalIDType", id_type)
            identifier["type"] = {"coding": [{"system": source.system, "code": source.code}]}
        uri = universal_uri(universal_id, id_type or "")
        if uri is not None:
            identifier["system"], identifier["value"] = URI_SYSTEM, uri
        else:
            identifier["system"] = ctx.sender.system(namespace, id_type or "universal")
            identifier["value"] = universal_id
        identifiers.append(identifier)
    else:
        _drop_type(rep, ctx)
    return identifiers


def _drop_type(rep: Repetition, ctx: Context) -> None:
    if part(rep, 3):
        ctx.drop(3, NO_UNIVERSAL_ID)
