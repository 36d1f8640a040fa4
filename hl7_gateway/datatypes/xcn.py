"""XCN, CNN: persons with a number: practitioners, operators, persons asking or informed.

Results are parts of resources without `resourceType`. A practitioner without number has no identifier.

https://build.fhir.org/ig/HL7/v2-to-fhir/datatype_maps.html (XCN[...], CNN[...])
"""

from functools import partial

from hie.core.fhir.json import JsonObject
from hl7_gateway.datatypes import primitives
from hl7_gateway.datatypes.codes import id_codeable_concept, use_of
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.dr import put_validity
from hl7_gateway.datatypes.identifiers import check_digit, identifier
from hl7_gateway.datatypes.nesting import within
from hl7_gateway.datatypes.registry import datatype
from hl7_gateway.datatypes.xpn import add_extensions, add_suffixes, drop_family_parts, name_of, text_of
from hl7_gateway.er7.message import Repetition
from hl7_gateway.er7.text import part

_FAMILY = (2, (1, 2, 3, 4, 5))
_NAME = (_FAMILY, 3, 4, 5, 6, 10, 15, (17, (1, 2)), 18, 19, 20, 21)
_IDENTIFIER = (1, (9, (1, 2, 3)), 11, 12, 13)
_OF_NAME = (10, 15, 17, 18, 19, 20, 21)
_OF_NUMBER = (9, 11, 12, 13)
_NAMESPACE = "Practitioner"
NO_NUMBER = "what an identifier says beside its number, without a number"
_NO_NAME = "what a name says beside itself, without a name"


@datatype("XCN_Practitioner", uses=(*_NAME, *_IDENTIFIER, 7))
def xcn_practitioner(rep: Repetition, ctx: Context, namespace: str = _NAMESPACE) -> JsonObject | None:
    """Return identifier, name and qualification (XCN.7, table 0360) of a Practitioner."""
    person = _person(rep, ctx, namespace, degree_is_suffix=False)
    if person is None:
        return None
    if len(rep) > 6:  # noqa: PLR2004 - XCN.7
        degree = id_codeable_concept((rep[6],), ctx, "DegreeLicenseCertificate")
        if degree is not None:
            person["qualification"] = [{"code": degree}]
    return person


@datatype("XCN_RelatedPerson", uses=(*_NAME, *_IDENTIFIER, 7))
@datatype("XCN_Patient", uses=(*_NAME, *_IDENTIFIER, 7))
@datatype("XCN_Person", uses=(*_NAME, *_IDENTIFIER, 7))
def xcn_related_person(rep: Repetition, ctx: Context, namespace: str = "Person") -> JsonObject | None:
    """Return identifier and name of a RelatedPerson or Patient; a degree is a suffix of the name."""
    return _person(rep, ctx, namespace, degree_is_suffix=True)


@datatype("XCN_Identifier", uses=_IDENTIFIER)
def xcn_identifier(rep: Repetition, ctx: Context, namespace: str = _NAMESPACE) -> JsonObject | None:
    """Return the Identifier of a person, None without number (XCN.1)."""
    value = primitives.string_at(rep, 1)
    size = len(rep)
    if value is None:
        if size > 8:  # noqa: PLR2004 - XCN.9
            ctx.drop_filled(rep, _OF_NUMBER, NO_NUMBER)
        return None
    type_code = (primitives.code(part(rep, 13)) or "") if size > 12 else ""  # noqa: PLR2004 - XCN.13
    result = identifier(value, rep, 9, type_code, ctx, namespace)
    if size > 10:  # noqa: PLR2004 - XCN.11
        extensions = check_digit(rep, 11)
        if extensions:
            result["extension"] = extensions
    return result


@datatype("XCN_HumanName", uses=(*_NAME, 7))
def xcn_human_name(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return the HumanName of a person with the degree as a suffix."""
    return _name(rep, ctx, degree_is_suffix=True)


@datatype("XCN_string", uses=(_FAMILY, 3, 4, 5, 6, 18))
def xcn_string(rep: Repetition, ctx: Context) -> str | None:
    """Return the person's name in one text."""
    name = name_of(rep, 2)
    if name is None:
        return None
    drop_family_parts(name, 2, ctx)
    return text_of(name, part(rep, 18))


@datatype("CNN_Practitioner", uses=(1, 2, 3, 4, 5, 6, 7, 9, 10, 11))
def cnn_practitioner(rep: Repetition, ctx: Context, namespace: str = _NAMESPACE) -> JsonObject | None:
    """Return identifier and name of a Practitioner."""
    practitioner: JsonObject = {}
    value = primitives.string(part(rep, 1))
    if value is not None:
        authority: Repetition = (tuple(part(rep, place) for place in (9, 10, 11)),)
        practitioner["identifier"] = [identifier(value, authority, 1, "", ctx, namespace)]
        if ctx.dropped:
            # CNN has the authority in three components of its own.
            ctx.dropped[:] = [(11 if place == 1 else place, reason) for place, reason in ctx.dropped]
    else:
        ctx.drop_filled(rep, (9, 10, 11), NO_NUMBER)
    name = name_of(rep, 2)
    if name is not None:
        add_suffixes(name, rep, (7,))
        name["text"] = text_of(name, "")
        practitioner["name"] = [name]
    return practitioner or None


@datatype("NDL_Practitioner", uses=((1, tuple(range(1, 12))),))
def ndl_practitioner(rep: Repetition, ctx: Context, namespace: str = _NAMESPACE) -> JsonObject | None:
    """Return identifier and name of the practitioner in NDL.1 (name with date and location)."""
    return within(rep, 1, ctx, partial(cnn_practitioner, namespace=namespace))


def _person(rep: Repetition, ctx: Context, namespace: str, *, degree_is_suffix: bool) -> JsonObject | None:
    person: JsonObject = {}
    number = xcn_identifier(rep, ctx, namespace)
    if number is not None:
        person["identifier"] = [number]
    name = _name(rep, ctx, degree_is_suffix=degree_is_suffix)
    if name is not None:
        person["name"] = [name]
    return person or None


def _name(rep: Repetition, ctx: Context, *, degree_is_suffix: bool) -> JsonObject | None:
    name = name_of(rep, 2)
    size = len(rep)
    if name is None:
        if size > 6:  # noqa: PLR2004 - XCN.7
            ctx.drop_filled(rep, (7, *_OF_NAME) if degree_is_suffix else _OF_NAME, _NO_NAME)
        return None
    if size > 6:  # noqa: PLR2004 - XCN.7
        add_suffixes(name, rep, (7, 21) if degree_is_suffix else (21,))
    text = text_of(name, part(rep, 18) if size > 17 else "")  # noqa: PLR2004 - XCN.18
    if size > 9:  # noqa: PLR2004 - XCN.10
        use_of(part(rep, 10), ctx, "NameType", name, "use")
        if size > 14:  # noqa: PLR2004 - XCN.15
            add_extensions(name, rep, ctx, representation_at=15, order_at=18)
            put_validity(name, rep, ctx, range_at=17, start_at=19)
    name["text"] = text
    return name
