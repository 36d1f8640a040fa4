"""References `:below` and `:above` a resource: its parts, and what it is part of.

https://hl7.org/fhir/R4/search.html#reference. Types have a hierarchy when they
refer to their own kind as the whole (Location.partOf).
"""

from typing import Final

from fhir_server.definitions.search_parameters import SearchParameter
from fhir_server.index.hashing import param_id, reference_key
from fhir_server.index.references import local_target
from fhir_server.search.conditions import ReferenceIs
from fhir_server.search.look_up import LookUp
from fhir_server.search.syntax import split_list, unescape

# The parameter that leads from a part to the whole, by type.
_WHOLE: Final = {
    "Encounter": "part-of",
    "Location": "partof",
    "Organization": "partof",
    "Procedure": "part-of",
    "Task": "part-of",
}


def related(
    parameter: SearchParameter, text: str, look_up: LookUp, base_url: str, *, is_above: bool
) -> ReferenceIs:
    """Return that `parameter` refers to a resource of `text`, or to one below (above) it.

    Raises ValueError for what is no id or reference of a type that has a hierarchy.
    """
    types = [each for each in _WHOLE if parameter.may_target(each)]
    if not types:
        raise ValueError("the resources that it refers to have no hierarchy")
    targets: dict[int, None] = {}
    for part in split_list(text):
        literal = unescape(part)
        target = local_target(literal, base_url)
        if target is None and len(types) > 1:
            raise ValueError(f"`{literal}` does not say which of {', '.join(types)} is meant")
        resource_type, resource_id = target or (types[0], literal)
        if resource_type not in types:
            raise ValueError(f"`{literal}` is not a reference to {' or '.join(types)}")
        whole = param_id(resource_type, _WHOLE[resource_type])
        found = look_up.parts(resource_type, resource_id, whole, is_above=is_above)
        targets |= dict.fromkeys(reference_key(resource_type, each) for each in found)
    return ReferenceIs(parameter.number, tuple(targets))
