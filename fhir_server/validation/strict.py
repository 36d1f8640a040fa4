"""Validation by fhir.resources itself: the R4B class reads the resource, its errors become issues.

Takes hundreds of microseconds a resource, so it stands under `$validate`, the level `strict` and
the checks of a new sender, not on every write. It adds to `fhir_server.validation.structure` and
does not replace it: what fhir.resources would convert or skip (``"active": "true"``, nulls, empty
arrays) is still refused there.
"""

import logging
from collections.abc import Sequence
from typing import Final

from fhir.resources.R4B import get_fhir_model_class
from pydantic import ValidationError

from fhir_server.validation import r4
from fhir_server.validation.definition import (
    ANY_RESOURCE,
    PRIMITIVE_EXTENSION,
    PRIMITIVE_TYPES,
    TypeDefinition,
)
from fhir_server.validation.rules import RESOURCE_TYPE
from fhir_server.validation.structure import load_definition
from hie.core.errors import Issue
from hie.core.fhir.json import JsonObject

_logger: Final = logging.getLogger(__name__)

# pydantic's and fhir_core's error types that have a closer FHIR code than "value"
# (https://docs.pydantic.dev/latest/errors/validation_errors/,
# https://hl7.org/fhir/R4/valueset-issue-type.html).
_CODES: Final = {
    "extra_forbidden": "structure",
    "list_type": "structure",
    "dict_type": "structure",
    "model_validation_format": "structure",
    "json_invalid": "structure",
    "missing": "required",
    "model_field_validation.missing": "required",
}


def validate_strictly(resource: JsonObject) -> list[Issue]:
    """Return what fhir.resources finds wrong with `resource`, whose structure has been found valid.

    Empty also for types that are checked from R4 definitions only, since fhir.resources has no such
    class. Where its classes crash instead of answering, as they do on an R4 type without R4B class
    inside a Bundle, they have said nothing about the resource: the structural verdict stands.
    """
    name = resource[RESOURCE_TYPE]
    if name in r4.names():
        return []
    model = get_fhir_model_class(name)
    try:
        model.model_validate(resource)
    except ValidationError as error:
        return [
            Issue(
                "error",
                _CODES.get(found["type"], "value"),
                f"fhir.resources: {found['msg']}",
                expression(name, found["loc"]),
            )
            for found in error.errors(include_url=False, include_input=False)
        ]
    except (AttributeError, KeyError, TypeError, RecursionError) as error:
        _logger.warning("fhir.resources cannot judge this %s: %s", name, type(error).__name__)
    return []


def expression(resource_type: str, location: Sequence[str | int]) -> str:
    """Return the FHIRPath of pydantic's `location`: ("name", 0, "family") gives "Patient.name[0].family".

    Steps that are no element, pydantic's names for its own validators, end the path.
    """
    path = resource_type
    definition: TypeDefinition | None = load_definition(resource_type)
    for step in location:
        if isinstance(step, int):
            path += f"[{step}]"
            continue
        name = step.removeprefix("_")
        elements = definition.elements if definition is not None else ()
        element = next((element for element in elements if element.name == name), None)
        if element is None:
            break
        path += f".{element.segment}"
        below = element.type if step == name else PRIMITIVE_EXTENSION
        definition = None if below == ANY_RESOURCE or below in PRIMITIVE_TYPES else load_definition(below)
    return path
