"""Reads type definitions from the classes of fhir.resources (R4B).

fhir.resources defines validity for every type whose R4B shape is that of R4 4.0.1. Its classes
are imported one module at a time, when a type is first asked for: all of them take seconds.
What they only document is left out, as they leave it out: `enum_values` (required bindings) and
`enum_reference_types` (targets of references) are not enforced.
"""

from typing import Any, get_args, get_origin

from fhir.resources.R4B import get_fhir_model_class
from fhir_core.fhirabstractmodel import FHIR_COMMENTS_FIELD_NAME
from fhir_core.types import FhirBase
from fhir_core.utils import get_fhir_type_name, is_list_type, is_primitive_type
from pydantic.fields import FieldInfo

from fhir_server.validation.definition import Element, TypeDefinition


def load(name: str) -> TypeDefinition | None:
    """Return the definition that the class `name` ("Patient", "PatientContact") gives, None if none."""
    try:
        model = get_fhir_model_class(name)
    except ValueError:
        return None
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    return TypeDefinition(
        name=name,
        is_resource=model.has_resource_base(),
        elements=tuple(
            _element(property_name, field, has_sibling=f"_{property_name}" in fields)
            for property_name, field in fields.items()
            if property_name != FHIR_COMMENTS_FIELD_NAME and not property_name.startswith("_")
        ),
    )


def _element(name: str, field: FieldInfo, *, has_sibling: bool) -> Element:
    documented = field.json_schema_extra
    extra: dict[str, Any] = documented if isinstance(documented, dict) else {}
    return Element(
        name=name,
        type=_type_name(field),
        is_list=is_list_type(field),
        is_required=field.is_required()
        or bool(extra.get("element_required"))
        or bool(extra.get("one_of_many_required")),
        choice=extra.get("one_of_many"),
        has_sibling=has_sibling,
    )


def _type_name(field: FieldInfo) -> str:
    if is_primitive_type(field):
        return str(get_fhir_type_name(field))
    base = _fhir_base(field.annotation)
    if base is None:
        raise TypeError(f"{field.annotation} names no FHIR type")
    # The class is named by its path; importing it would import every type that it refers to.
    return base._model_klass.rpartition(".")[2]  # noqa: SLF001  # the only lazy way to its name


def _fhir_base(annotation: Any) -> type[FhirBase] | None:
    """Return the type marker inside ``list[XType] | None``."""
    if get_origin(annotation) is None:
        return annotation if isinstance(annotation, type) and issubclass(annotation, FhirBase) else None
    for argument in get_args(annotation):
        found = _fhir_base(argument)
        if found is not None:
            return found
    return None
