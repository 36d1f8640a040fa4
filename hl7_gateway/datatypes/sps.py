"""SPS: specimen source, the field OBR-15 of versions up to 2.5, which later became the segment SPM.

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-datatype-sps-to-specimen-source.html
"""

from functools import partial

from hie.core.fhir.json import JsonObject
from hl7_gateway.datatypes import primitives
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.cwe import cwe_codeable_concept
from hl7_gateway.datatypes.nesting import within
from hl7_gateway.datatypes.registry import datatype
from hl7_gateway.er7.message import Repetition
from hl7_gateway.er7.text import part

_CODED = (1, 2, 3, 4, 5, 6)


def _concept(rep: Repetition, place: int, ctx: Context, concept_map: str) -> JsonObject | None:
    return within(rep, place, ctx, partial(cwe_codeable_concept, concept_map=concept_map))


@datatype("SPS_Type", uses=((1, _CODED),))
def sps_type(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return Specimen.type (SPS.1)."""
    return _concept(rep, 1, ctx, "SpecimenType")


@datatype("SPS_Additive", uses=((2, _CODED),))
def sps_additive(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return Specimen.container.additiveCodeableConcept (SPS.2)."""
    return _concept(rep, 2, ctx, "AdditivePreservative")


@datatype("SPS_Annotation", uses=(3,))
def sps_annotation(rep: Repetition, _ctx: Context) -> JsonObject | None:
    """Return Specimen.note (SPS.3)."""
    text = primitives.markdown(part(rep, 3))
    return None if text is None else {"text": text}


@datatype("SPS_BodySite", uses=((4, _CODED),))
def sps_body_site(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return Specimen.collection.bodySite (SPS.4)."""
    return _concept(rep, 4, ctx, "BodySite")


@datatype("SPS_Condition", uses=((6, _CODED),))
def sps_condition(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return Specimen.condition (SPS.6)."""
    return _concept(rep, 6, ctx, "SpecimenCondition")
