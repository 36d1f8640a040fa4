"""What a FHIR type looks like, whatever source says so: its elements, their types and cardinality.

The common form of the two sources of truth, the classes of fhir.resources
(`fhir_server.validation.r4b`) and the R4 definitions (`fhir_server.validation.r4`); compiled to
rules by `fhir_server.validation.rules`. Bindings, invariants and profiles are not part of it.
See https://hl7.org/fhir/R4/elementdefinition.html.
"""

from dataclasses import dataclass
from typing import Final

PRIMITIVE_TYPES: Final = frozenset(
    {
        "base64Binary",
        "boolean",
        "canonical",
        "code",
        "date",
        "dateTime",
        "decimal",
        "id",
        "instant",
        "integer",
        "markdown",
        "oid",
        "positiveInt",
        "string",
        "time",
        "unsignedInt",
        "uri",
        "url",
        "uuid",
        "xhtml",
    }
)
"""The primitive types of R4 (https://hl7.org/fhir/R4/datatypes.html#primitive)."""

PRIMITIVE_EXTENSION: Final = "FHIRPrimitiveExtension"
"""The type of ``_birthDate``: the id and extensions of a primitive, beside its value."""

ANY_RESOURCE: Final = "Resource"
"""The type of an element that holds a resource of any type (`contained`, `Bundle.entry.resource`)."""


@dataclass(frozen=True, slots=True)
class Element:
    """One JSON property of a type.

    `name` is the property ("valueQuantity"), `type` a primitive or the name of a `TypeDefinition`,
    `choice` the stem ("value") where the property is one form of ``value[x]``. A required choice
    is required as a whole: `is_required` is then true for each of its forms.
    """

    name: str
    type: str
    is_list: bool = False
    is_required: bool = False
    choice: str | None = None
    has_sibling: bool = False
    """Whether the property may come with, or as, its ``_`` twin that carries id and extensions."""

    @property
    def segment(self) -> str:
        """The step in a FHIRPath expression (https://hl7.org/fhir/R4/fhirpath.html#simple)."""
        if self.choice is None:
            return self.name
        return f"{self.choice}.ofType({self.type})"


@dataclass(frozen=True, slots=True)
class TypeDefinition:
    """One resource type, data type or backbone element, with its elements in any order."""

    name: str
    is_resource: bool
    elements: tuple[Element, ...]

    def choices(self) -> dict[str, list[Element]]:
        """Return the forms of each choice by its stem."""
        found: dict[str, list[Element]] = {}
        for element in self.elements:
            if element.choice is not None:
                found.setdefault(element.choice, []).append(element)
        return found


def choice_name(stem: str, type_name: str) -> str:
    """Return the property of one form: ("value", "dateTime") gives "valueDateTime"."""
    return f"{stem}{type_name[0].upper()}{type_name[1:]}"
