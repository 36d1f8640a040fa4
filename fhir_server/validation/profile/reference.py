"""References as far as they can be followed: contained, in the same Bundle, or in the repository.

https://hl7.org/fhir/R4/references.html#contained, https://hl7.org/fhir/R4/bundle.html#references.
"""

import re
from collections.abc import Callable
from typing import Final

from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.validation.profile.item import Item, root_item
from hie.core.fhir.json import JsonObject

Resolve = Callable[[str], JsonObject | None]
"""Returns the resource that a literal reference ("Patient/1") names outside of what is checked."""

# Base, type, id, version (https://hl7.org/fhir/R4/references.html#literal).
_LITERAL: Final = re.compile(
    r"((?:https?|HTTPS?)://(?:[A-Za-z0-9\-.:%$]*/)+)?([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})(?:/_history/[A-Za-z0-9\-.]{1,64})?"
)
_TYPES: Final = frozenset(R4_RESOURCE_TYPES)


def named_type(reference: Item) -> str | None:
    """Return the type of resource that a Reference says it names, None if it does not say."""
    value = reference.value if isinstance(reference.value, dict) else {}
    literal = value.get("reference")
    if isinstance(literal, str):
        found = _LITERAL.fullmatch(literal)
        if found is not None and found[2] in _TYPES:
            return found[2]
    named: str | None = value.get("type")
    return named if named in _TYPES else None


class Targets:
    """Finds what references name; the entries of each Bundle are listed once."""

    def __init__(self, resolve: Resolve | None) -> None:
        self._resolve = resolve
        self._bundles: dict[int, _Entries] = {}
        self._outside: dict[str, Item | None] = {}

    def of(self, reference: Item) -> Item | None:
        """Return the resource that a Reference, canonical or uri names, None if it cannot be found."""
        value = reference.value
        literal = value.get("reference") if isinstance(value, dict) else value
        if not isinstance(literal, str) or not literal:
            return None
        if literal.startswith("#"):
            return _contained(reference, literal[1:])
        for holder in reference.holders():
            entry = holder.parent
            if entry is not None and entry.content == "Bundle.entry" and entry.parent is not None:
                bundle = entry.parent
                entries = self._bundles.get(id(bundle.value))
                if entries is None:
                    entries = self._bundles[id(bundle.value)] = _Entries(bundle)
                found = entries.find(entry, literal)
                if found is not None:
                    return found
        if literal not in self._outside:
            resource = self._resolve(literal) if self._resolve is not None else None
            self._outside[literal] = None if resource is None else root_item(resource)
        return self._outside[literal]


def _contained(reference: Item, resource_id: str) -> Item | None:
    """Return the contained resource; "#" alone is the one that contains."""
    container = next(
        (
            holder
            for holder in reference.holders()
            if holder.element is None or holder.element.name != "contained"
        ),
        None,
    )
    if container is None or not resource_id:
        return container
    for contained in container.children("contained"):
        if contained.value.get("id") == resource_id:
            return contained
    return None


class _Entries:
    """The resources of a Bundle by fullUrl, and by type and id."""

    def __init__(self, bundle: Item) -> None:
        self._by_url: dict[str, Item] = {}
        self._by_id: dict[tuple[str, str], Item] = {}
        for entry in bundle.children("entry"):
            for resource in entry.children("resource"):
                self._by_url.setdefault(entry.value.get("fullUrl", ""), resource)
                self._by_id.setdefault((resource.type, resource.value.get("id", "")), resource)

    def find(self, entry: Item, literal: str) -> Item | None:
        """Return the resource that `literal`, in `entry`, names."""
        parts = _LITERAL.fullmatch(literal)
        wanted = literal.partition("/_history/")[0]
        if parts is None or parts[1] is not None:
            return self._by_url.get(wanted)
        base = _LITERAL.fullmatch(entry.value.get("fullUrl", ""))
        if base is not None and base[1] is not None:
            return self._by_url.get(f"{base[1]}{wanted}")
        # From an entry whose fullUrl has no base, only type and id can be meant.
        return self._by_id.get((parts[2], parts[3]))
