"""Parameters that no definition's expression explains: `_filter`, `_has`, `_list` and its named lists.

https://hl7.org/fhir/R4/search.html#all. Reads values only.
"""

from collections.abc import Mapping
from typing import Final

# The lists of https://hl7.org/fhir/R4/lifecycle.html#current as searches of the resources themselves: no
# List is kept for them, so that they are never out of date. By name, then resource type.
_CURRENT: Final[Mapping[str, Mapping[str, tuple[tuple[str, str], ...]]]] = {
    "$current-problems": {
        "Condition": (("clinical-status", "active,recurrence,relapse"), ("category", "problem-list-item")),
    },
    "$current-medications": {
        "MedicationStatement": (("status", "active"),),
        "MedicationRequest": (("status", "active"),),
    },
    "$current-allergies": {"AllergyIntolerance": (("clinical-status", "active"),)},
    "$current-drug-allergies": {
        "AllergyIntolerance": (("clinical-status", "active"), ("category", "medication")),
    },
}


def functional_list(resource_type: str, name: str) -> tuple[tuple[str, str], ...]:
    """Return the parameters that the list `name` ("$current-problems") stands for.

    Raises ValueError for another name and for a type that the list does not hold.
    """
    by_type = _CURRENT.get(name)
    if by_type is None:
        raise ValueError(f"`{name}` is not a list that this server keeps ({', '.join(_CURRENT)})")
    if resource_type not in by_type:
        raise ValueError(f"`{name}` holds {' and '.join(by_type)}, not {resource_type}")
    return by_type[resource_type]
