"""EI, EIP: identifiers of things: orders, specimens, documents, devices.

https://build.fhir.org/ig/HL7/v2-to-fhir/datatype_maps.html (EI[...], EIP[...])
"""

from functools import partial
from typing import NamedTuple

from hie.core.fhir.json import JsonObject
from hl7_gateway.datatypes import primitives
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.hd import NO_UNIVERSAL_ID
from hl7_gateway.datatypes.nesting import within
from hl7_gateway.datatypes.registry import datatype
from hl7_gateway.er7.message import Repetition
from hl7_gateway.er7.text import part

_TYPES = "http://terminology.hl7.org/CodeSystem/v2-0203"
_FOUR = (1, 2, 3, 4)
_PLACER = "placer"
_FILLER = "filler"


class _Known(NamedTuple):
    """What an Identifier of one authority and namespace has beside its value; nobody changes the assigner."""

    system: str
    assigner: JsonObject | None
    drops: bool
    """Whether the authority has a universal id type without universal id."""


@datatype("EI_Identifier", uses=_FOUR)
def ei_identifier(rep: Repetition, ctx: Context, namespace: str = "EI") -> JsonObject | None:
    """Return an Identifier, None without entity identifier (EI.1).

    Without namespace and universal id it is unique in `namespace` of the sender.
    """
    value = primitives.string_at(rep, 1)
    if value is None:
        for place in (2, 3, 4):
            if part(rep, place):
                ctx.drop(place, "a namespace without an entity identifier")
        return None
    authority = rep[1:4]
    place_of = ("EI", authority, namespace)
    known: _Known | None = ctx.known.get(place_of)
    if known is None:
        known = _know(authority, ctx, namespace)
        ctx.keep(place_of, known)
    system, assigner, drops = known
    if drops:
        ctx.drop(4, NO_UNIVERSAL_ID)
    if assigner is None:
        return {"system": system, "value": value}
    return {"system": system, "value": value, "assigner": assigner}


@datatype("EI_PlacerIdentifier", uses=_FOUR)
def ei_placer_identifier(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return the Identifier of a placer order number, type PLAC (table 0203)."""
    return _typed(ei_identifier(rep, ctx, _PLACER), "PLAC")


@datatype("EI_FillerIdentifier", uses=_FOUR)
def ei_filler_identifier(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return the Identifier of a filler order number, type FILL (table 0203)."""
    return _typed(ei_identifier(rep, ctx, _FILLER), "FILL")


@datatype("EI_string", uses=(1,))
def ei_string(rep: Repetition, _ctx: Context) -> str | None:
    """Return the entity identifier alone."""
    return primitives.string(part(rep, 1))


@datatype("EI_Coding", uses=_FOUR)
def ei_coding(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return a Coding of the entity identifier in the system of its namespace."""
    code = primitives.code(part(rep, 1))
    if code is None:
        return None
    system = ctx.system_for(rep[1:4]) if len(rep) > 1 else None
    return {"system": system or ctx.coding_system(""), "code": code}


@datatype("EIP_PlacerIdentifier", uses=((1, _FOUR),))
def eip_placer_identifier(rep: Repetition, ctx: Context, namespace: str = _PLACER) -> JsonObject | None:
    """Return the placer's Identifier (EIP.1), type PGN (table 0203: placer group number) as the IG has it."""
    return _typed(within(rep, 1, ctx, partial(ei_identifier, namespace=namespace)), "PGN")


@datatype("EIP_FillerIdentifier", uses=((2, _FOUR),))
def eip_filler_identifier(rep: Repetition, ctx: Context, namespace: str = _FILLER) -> JsonObject | None:
    """Return the filler's Identifier (EIP.2), type FGN (table 0203: filler group number) as the IG has it."""
    return _typed(within(rep, 2, ctx, partial(ei_identifier, namespace=namespace)), "FGN")


@datatype("EIP_Identifier", uses=((1, _FOUR), (2, _FOUR)))
def eip_identifier(rep: Repetition, ctx: Context, namespace: str = "EI") -> JsonObject | None:
    """Return the one Identifier of a logical reference: the filler's, else the placer's."""
    filler = eip_filler_identifier(rep, ctx, namespace)
    placer = eip_placer_identifier(rep, ctx, namespace)
    if filler is not None and placer is not None:
        ctx.drop(1, "a logical reference has one identifier, the filler's")
    return filler if filler is not None else placer


@datatype("EIP_PlacerOrder", uses=((1, _FOUR),))
def eip_placer_order(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return the Identifier of the placer order that EIP.1 points to, as ORC-2 and OBR-2 wrote it."""
    return within(rep, 1, ctx, ei_placer_identifier)


@datatype("EIP_FillerOrder", uses=((2, _FOUR),))
def eip_filler_order(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return the Identifier of the filler order that EIP.2 points to, as ORC-3 and OBR-3 wrote it."""
    return within(rep, 2, ctx, ei_filler_identifier)


def _know(authority: Repetition, ctx: Context, namespace: str) -> _Known:
    assigner = primitives.string_at(authority, 1)
    return _Known(
        system=ctx.system_for(authority) or ctx.sender.system(namespace),
        assigner=None if assigner is None else {"display": assigner},
        drops=bool(part(authority, 3)) and not part(authority, 2).strip(),
    )


def _typed(result: JsonObject | None, type_code: str) -> JsonObject | None:
    if result is None:
        return None
    return {"type": {"coding": [{"system": _TYPES, "code": type_code}]}, **result}
