"""What CX, XCN, XON, EI have in common: value, system, type and assigner of an Identifier.

`system` is, in this order: the nation's namespace where the value is a national identifier, the assigning
authority's, the sender's. A bare namespace id stays as `assigner.display`. Identifiers of one kind share type
and assigner: nobody changes these.

https://hl7.org/fhir/R4/datatypes.html#Identifier
"""

from typing import NamedTuple

from hie.core.fhir.json import JsonObject
from hl7_gateway.datatypes import primitives
from hl7_gateway.datatypes.codes import as_json
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.national import National, national_namespace
from hl7_gateway.er7.message import Repetition
from hl7_gateway.er7.text import lift, part

CHECK_DIGIT = "http://hl7.org/fhir/StructureDefinition/identifier-checkDigit"
CHECK_DIGIT_SCHEME = "http://hl7.org/fhir/StructureDefinition/namingsystem-checkDigit"


class _Known(NamedTuple):
    """What an Identifier of one authority, type and namespace has beside its value."""

    kind: JsonObject | None
    system: str
    assigner: JsonObject | None
    national: National | None
    """Namespace of the nation for values that are national identifiers."""
    drops: bool
    """Whether the authority has a universal id type that qualifies nothing."""
    drops_national: bool
    """Whether the authority has a universal id or type, for which a national identifier has no place."""


def identifier(
    value: str,
    rep: Repetition,
    authority_at: int,
    type_code: str,
    ctx: Context,
    namespace: str | None,
) -> JsonObject:
    """Return an Identifier of `value`; component `authority_at` of `rep` is the HD of its authority.

    Without authority, `namespace` (else the type code, else "ID") names the namespace of the sender.
    """
    authority = rep[authority_at - 1] if len(rep) >= authority_at else ()
    place = ("identifier", authority, type_code, namespace)
    known: _Known | None = ctx.known.get(place)
    if known is None:
        known = _know(lift(authority), type_code, ctx, namespace)
        ctx.keep(place, known)
    kind, system, assigner, national, drops, drops_national = known
    if national is not None and national.holds(value):
        system, drops = national.system, drops_national
    if drops:
        ctx.drop(authority_at, "the universal ID or its type has no place in the identifier")
    result: JsonObject = (
        {"system": system, "value": value}
        if kind is None
        else {"type": kind, "system": system, "value": value}
    )
    if assigner is not None:
        result["assigner"] = assigner
    return result


def _know(authority: Repetition, type_code: str, ctx: Context, namespace: str | None) -> _Known:
    has_id, has_type = bool(part(authority, 2).strip()), bool(part(authority, 3))
    assigner = primitives.string(part(authority, 1))
    return _Known(
        kind=identifier_type(type_code, ctx) if type_code else None,
        system=ctx.system_for(authority) or ctx.sender.system(namespace or type_code or "ID"),
        assigner=None if assigner is None else {"display": assigner},
        national=national_namespace(type_code),
        drops=not has_id and (has_type or bool(part(authority, 2))),
        drops_national=has_type or bool(part(authority, 2)),
    )


def identifier_type(type_code: str, ctx: Context) -> JsonObject:
    """Return the CodeableConcept of an identifier type (table 0203)."""
    target = ctx.translator.translate("IdentifierType", type_code)
    return {"coding": [as_json(target or ctx.source_coding("IdentifierType", type_code))]}


def check_digit(rep: Repetition, digit_at: int) -> list[JsonObject]:
    """Return the extensions of a check digit and its scheme in the next component, as the IG names them."""
    extensions: list[JsonObject] = []
    digit, scheme = primitives.string_at(rep, digit_at), primitives.string_at(rep, digit_at + 1)
    if digit is not None:
        extensions.append({"url": CHECK_DIGIT, "valueString": digit})
    if scheme is not None:
        extensions.append({"url": CHECK_DIGIT_SCHEME, "valueString": scheme})
    return extensions
