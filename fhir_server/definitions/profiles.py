"""The profiles and extension definitions that FHIR R4 itself publishes.

Reads `profiles.json` (made by `profiles_extract`, which says what is left out). They need not be
stored to be checked.
https://hl7.org/fhir/R4/profilelist.html, https://hl7.org/fhir/R4/extensibility-registry.html
"""

from functools import cache
from pathlib import Path
from typing import Final

import orjson

from hie.core.fhir.json import JsonObject

_FILE: Final = Path(__file__).with_name("profiles.json")


def structure_definition(canonical: str) -> JsonObject | None:
    """Return the StructureDefinition at `canonical`, any version of it; None where R4 has none there."""
    url = canonical.partition("|")[0]
    entry = _table().get(url)
    if entry is None:
        return None
    return {
        "resourceType": "StructureDefinition",
        "url": url,
        "version": "4.0.1",
        "derivation": "constraint",
        "type": entry["type"],
        "baseDefinition": entry["base"],
        "differential": {"element": entry["elements"]},
    }


def urls() -> tuple[str, ...]:
    """Return the canonical URLs, sorted."""
    return tuple(_table())


@cache
def _table() -> JsonObject:
    return orjson.loads(_FILE.read_bytes())["profiles"]  # type: ignore[no-any-return] # our own file
