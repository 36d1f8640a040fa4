"""What a value of FHIR JSON is for FHIRPath: its type, its children by name, its System counterpart.

A shape is made once a type from `hie.core.fhir.structure` and knows nothing of any resource. FHIRPath names a
choice without its type (`value`, not `valueQuantity`: https://hl7.org/fhir/R4/fhirpath.html#polymorphism),
and sees FHIR's primitives as System types where an operator needs one (section "use of FHIRPath", "FHIR
types").
"""

from functools import cache
from typing import Final, Literal

from hie.core.fhir.structure import elements_of, structure_of

SystemName = Literal["Boolean", "String", "Integer", "Decimal", "Date", "DateTime", "Time", "Quantity"]

# https://hl7.org/fhir/R4/fhirpath.html#types
_SYSTEM_OF: Final[dict[str, SystemName]] = {
    "boolean": "Boolean",
    **dict.fromkeys(
        (
            "string",
            "uri",
            "code",
            "oid",
            "id",
            "uuid",
            "markdown",
            "base64Binary",
            "url",
            "canonical",
            "xhtml",
        ),
        "String",
    ),
    **dict.fromkeys(("integer", "unsignedInt", "positiveInt"), "Integer"),
    "decimal": "Decimal",
    "date": "Date",
    "dateTime": "DateTime",
    "instant": "DateTime",
    "time": "Time",
    "Quantity": "Quantity",
}


class Variant:
    """One JSON name of a child: `key`, its shape, whether it repeats; `extra` is `_key` of primitives."""

    __slots__ = ("extra", "is_list", "is_resource", "key", "shape")

    def __init__(self, key: str, shape: "Shape", *, is_list: bool) -> None:
        self.key = key
        self.shape = shape
        self.is_list = is_list
        self.extra = "_" + key if shape.is_primitive else None
        # Only the resource itself says what it is.
        self.is_resource = shape.name in {"Resource", "DomainResource"}


class Shape:
    """A FHIR type, or the content of an element that has its own.

    `path` is "Patient", "HumanName" or "Patient.contact"; `name` is the type that FHIRPath sees
    ("BackboneElement" for the last); `ancestors` are the names it is a subtype of, itself included; `system`
    is the System type that it converts to, None where there is none. `is_known` is False for what R4 does not
    define.
    """

    __slots__ = (
        "_by_key",
        "_children",
        "ancestors",
        "is_known",
        "is_primitive",
        "is_resource",
        "name",
        "path",
        "system",
    )

    def __init__(self, path: str) -> None:
        structure = structure_of(path)
        self.path = path
        self.is_known = structure is not None
        self.is_primitive = structure is not None and structure.kind == "primitive"
        self.is_resource = structure is not None and structure.kind == "resource"
        is_backbone = structure is not None and structure.kind == "backbone"
        self.name = structure.base if is_backbone and structure and structure.base else path
        self.ancestors = frozenset(_ancestors(self.name))
        self.system = next((_SYSTEM_OF[name] for name in _ancestors(self.name) if name in _SYSTEM_OF), None)
        self._children: dict[str, tuple[Variant, ...]] | None = None
        self._by_key: dict[str, Variant] | None = None

    def by_key(self) -> dict[str, Variant]:
        """Return JSON name -> child, the names of extensions of primitives included."""
        if self._by_key is None:
            self._by_key = {}
            for variant in (variant for variants in self.children().values() for variant in variants):
                self._by_key[variant.key] = variant
                if variant.extra is not None:
                    self._by_key[variant.extra] = variant
        return self._by_key

    def children(self) -> dict[str, tuple[Variant, ...]]:
        """Return FHIRPath name -> the JSON names it may have here, in the order of the definition."""
        if self._children is None:
            found: dict[str, list[Variant]] = {}
            for key, (element, _, content) in elements_of(self.path).items():
                found.setdefault(element.name, []).append(
                    Variant(key, shape_of(content), is_list=element.is_list)
                )
            self._children = {name: tuple(variants) for name, variants in found.items()}
        return self._children


@cache
def _known(path: str) -> Shape:
    return Shape(path)


def shape_of(path: str) -> Shape:
    """Return the shape at `path` ("Patient", "HumanName", "Patient.contact"), UNKNOWN where R4 has none."""
    return _known(path) if structure_of(path) is not None else UNKNOWN


def is_type(name: str) -> bool:
    """Return whether R4 defines a type `name`."""
    return "." not in name and structure_of(name) is not None


def _ancestors(name: str | None) -> list[str]:
    found: list[str] = []
    while name is not None:
        found.append(name)
        structure = structure_of(name)
        name = structure.base if structure else None
    return found


UNKNOWN: Final = Shape("")
