"""What the search index and summaries ask of the elements of R4: JSON keys, types, systems of codes.

Holds no table of its own: elements are those of `hie.core.fhir.structure`, systems come of the bindings.
"""

from functools import cache

from fhir_server.definitions.bindings import bindings
from fhir_server.definitions.value_sets import system_of_all
from hie.core.fhir.structure import Element, elements_of


@cache
def children(parent: str, name: str) -> tuple[tuple[str, str], ...]:
    """Return the (JSON key, type) pairs of element `name` of type or backbone path `parent`.

    A choice gives one pair for each type: `value` of Observation gives ("valueQuantity", "Quantity") and so
    on. The type of an element with content of its own is the path of that. Empty when there is none.
    """
    return tuple(
        (key, content) for key, (element, _, content) in elements_of(parent).items() if element.name == name
    )


def choice(parent: str, key: str) -> tuple[tuple[str, str], ...]:
    """Return the (JSON key, type) pair of the choice that is `key` in JSON (`valueDateTime`), or nothing."""
    found = elements_of(parent).get(key)
    return () if found is None else ((key, found[2]),)


@cache
def system_of(path: str) -> str | None:
    """Return the system of the codes of ``Patient.gender``, None where no single one is required."""
    parent, _, name = path.rpartition(".")
    binding = bindings().get(path)
    if binding is None or binding.strength != "required" or children(parent, name) != ((name, "code"),):
        return None
    return system_of_all(binding.value_set)


@cache
def summary_of(resource_type: str) -> frozenset[str]:
    """Return the JSON names right below `resource_type` that its summary has (isSummary)."""
    return frozenset(key for key, element in _keys(resource_type) if element.is_summary)


@cache
def required_of(resource_type: str) -> frozenset[str]:
    """Return the JSON names right below `resource_type` that it must have (min > 0)."""
    return frozenset(key for key, element in _keys(resource_type) if element.min > 0)


def _keys(resource_type: str) -> list[tuple[str, Element]]:
    return [(key, element) for key, (element, _, _) in elements_of(resource_type).items()]
