"""Reads type definitions from R4 4.0.1, of types that fhir.resources (R4B) lacks or shapes differently.

They are the types that R4B dropped (MedicinalProduct, SubstanceSpecification and so on) and those
whose R4B class differs from R4 4.0.1 in its elements (Evidence, Extension and so on). All other
types come from the classes of fhir.resources (`fhir_server.validation.r4b`).
"""

from typing import Final

from fhir_server.validation.definition import PRIMITIVE_TYPES, Element, TypeDefinition
from hie.core.fhir.structure import elements_of, structure_of

_NAMES: Final = (
    "ActivityDefinition",
    "EffectEvidenceSynthesis",
    "ElementDefinition",
    "Evidence",
    "EvidenceVariable",
    "Extension",
    "MarketingStatus",
    "MedicinalProduct",
    "MedicinalProductAuthorization",
    "MedicinalProductContraindication",
    "MedicinalProductIndication",
    "MedicinalProductIngredient",
    "MedicinalProductInteraction",
    "MedicinalProductManufactured",
    "MedicinalProductPackaged",
    "MedicinalProductPharmaceutical",
    "MedicinalProductUndesirableEffect",
    "PlanDefinition",
    "RiskEvidenceSynthesis",
    "SubstanceAmount",
    "SubstanceNucleicAcid",
    "SubstancePolymer",
    "SubstanceProtein",
    "SubstanceReferenceInformation",
    "SubstanceSourceMaterial",
    "SubstanceSpecification",
)


def names() -> tuple[str, ...]:
    """Return the types that are checked from R4 definitions, resources and data types, sorted."""
    return _NAMES


def load(name: str) -> TypeDefinition | None:
    """Return the definition of `name` ("Evidence", "Evidence.referenceInformation"), None if not held."""
    if name.partition(".")[0] not in _NAMES:
        return None
    structure = structure_of(name)
    if structure is None:
        return None
    return TypeDefinition(
        name=name,
        is_resource=structure.kind == "resource",
        elements=tuple(
            Element(
                name=key,
                type=content,
                is_list=element.is_list,
                is_required=element.min > 0,
                choice=element.name if element.is_choice else None,
                has_sibling=content in PRIMITIVE_TYPES and not _is_bare(name, key),
            )
            for key, (element, _, content) in elements_of(name).items()
        ),
    )


def _is_bare(owner: str, key: str) -> bool:
    """Say whether a value is of a FHIRPath type, which takes no id and extensions: an id, Extension.url."""
    return key == "id" or (owner, key) == ("Extension", "url")
