"""PL, NDL, DLD: places of persons, as chains of Locations from the bed to the facility.

A bed, room or floor is only unique inside the levels above it: the namespace of its identifier names those.
The IG has no physical type for a point of care but a text.

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-datatype-pl-to-location.html
"""

from functools import partial

from hie.core.fhir.json import JsonObject
from hl7_gateway.datatypes import primitives
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.cwe import cwe_codeable_concept
from hl7_gateway.datatypes.ei import ei_identifier
from hl7_gateway.datatypes.hd import NO_UNIVERSAL_ID
from hl7_gateway.datatypes.nesting import within
from hl7_gateway.datatypes.registry import datatype
from hl7_gateway.er7.message import Component, Repetition
from hl7_gateway.er7.text import lift, part

_PHYSICAL_TYPES = "http://terminology.hl7.org/CodeSystem/location-physical-type"
_POINT_OF_CARE: JsonObject = {"text": "Point of care"}
# Component of the level in a PL, its name in namespaces, its physical type; the smallest level first.
_LEVELS: tuple[tuple[int, str, str], ...] = (
    (3, "bed", "bd"),
    (2, "room", "ro"),
    (8, "floor", "lvl"),
    (1, "point-of-care", ""),
    (7, "building", "bu"),
    (4, "facility", "si"),
)
_COMPREHENSIVE = partial(ei_identifier, namespace="Location")
_HD = (1, 2, 3)
# NDL.4 to NDL.11 in the places that a PL has for them.
_NDL_IN_PL = {4: 1, 5: 2, 6: 3, 7: 4, 8: 5, 9: 6, 10: 7, 11: 8}
_PL_IN_NDL = {target: source for source, target in _NDL_IN_PL.items()}


@datatype(
    "PL_Location",
    uses=((1, _HD), (2, _HD), (3, _HD), (4, _HD), (7, _HD), (8, _HD), 9, (10, (1, 2, 3, 4)), (11, _HD)),
)
def pl_location(rep: Repetition, ctx: Context) -> list[JsonObject] | None:
    """Return the Locations of a PL, the most granular first; each is part of the next.

    Description (PL.9) and comprehensive identifier (PL.10) belong to the first. Without any level a PL
    that has them is one Location of its own.
    """
    authority: str | None = None
    if len(rep) > 10:  # noqa: PLR2004 - PL.11
        authority = ctx.system_for(rep[10])
        if part(rep, 11, 3) and not part(rep, 11, 2):
            ctx.drop(11, NO_UNIVERSAL_ID)
    locations: list[JsonObject] = []
    names = [_name(rep, place) for place, _, _ in _LEVELS]
    for index, (place, level, physical_type) in enumerate(_LEVELS):
        name = names[index]
        if name is None:
            if part(rep, place, 3):
                ctx.drop(place, NO_UNIVERSAL_ID)
            continue
        above = [text for text in reversed(names[index + 1 :]) if text is not None]
        locations.append(_location(rep[place - 1], place, name, level, above, physical_type, authority, ctx))
    comprehensive = within(rep, 10, ctx, _COMPREHENSIVE)
    description = primitives.string_at(rep, 9)
    if not locations:
        if comprehensive is None and description is None:
            return None
        locations.append({"mode": "instance"})
    smallest = locations[0]
    if comprehensive is not None:
        smallest.setdefault("identifier", []).append(comprehensive)
    if description is not None:
        smallest["description"] = description
    return locations


@datatype("NDL_Location", uses=(4, 5, 6, (7, _HD), 10, 11))
def ndl_location(rep: Repetition, ctx: Context) -> list[JsonObject] | None:
    """Return the Locations of the place in NDL.4 to NDL.11, the most granular first."""
    places: list[Component] = [()] * 8
    for source, target in _NDL_IN_PL.items():
        if len(rep) >= source:
            places[target - 1] = rep[source - 1]
    before = len(ctx.dropped)
    locations = pl_location(tuple(places), ctx)
    ctx.dropped[before:] = [(_PL_IN_NDL.get(place, place), reason) for place, reason in ctx.dropped[before:]]
    return locations


@datatype("DLD_Location", uses=((1, (1, 2, 3, 4, 5, 6, 7, 8, 9)),))
def dld_location(rep: Repetition, ctx: Context, namespace: str = "Location") -> JsonObject | None:
    """Return the Location discharged to: its code as type and as identifier, its text as name."""
    concept = within(rep, 1, ctx, partial(cwe_codeable_concept, concept_map="DischargedToLocation"))
    if concept is None:
        return None
    location: JsonObject = {"mode": "instance", "type": [concept]}
    code = primitives.string(part(rep, 1, 1))
    name = primitives.string(part(rep, 1, 2)) or code
    if code is not None:
        location["identifier"] = [{"system": ctx.sender.system(namespace), "value": code}]
    if name is not None:
        location["name"] = name
    return location


def _name(rep: Repetition, place: int) -> str | None:
    """Return what tells one level from its neighbours: the namespace id, else the universal id."""
    name = primitives.string_at(rep, place)
    if name is None and place <= len(rep) and len(rep[place - 1]) > 1:
        return primitives.string(part(rep, place, 2))
    return name


def _location(
    component: Component,
    place: int,
    name: str,
    level: str,
    above: list[str],
    physical_type: str,
    authority: str | None,
    ctx: Context,
) -> JsonObject:
    identifiers: list[JsonObject] = []
    scope = ("Location", level, *above)
    identifiers.append({"system": ctx.sender.system(*scope), "value": name})
    if authority is not None:
        identifiers[0]["assigner"] = {"identifier": {"system": "urn:ietf:rfc:3986", "value": authority}}
    if len(component) > 1:
        own = lift(component)
        universal_id = part(own, 2).strip()
        if universal_id and (universal_id != name or part(own, 3)):
            universal = ctx.system_of("", universal_id, part(own, 3).strip())
            if universal is not None:
                identifiers.append({"system": "urn:ietf:rfc:3986", "value": universal})
        elif part(own, 3) and not universal_id:
            ctx.drop(place, NO_UNIVERSAL_ID)
    physical = (
        {"coding": [{"system": _PHYSICAL_TYPES, "code": physical_type}]}
        if physical_type
        else dict(_POINT_OF_CARE)
    )
    return {"identifier": identifiers, "name": name, "mode": "instance", "physicalType": physical}
