"""Compacts the invariants of FHIR R4 into `invariants.json`.

A developer's tool, not part of the running server. It reads the Bundles of StructureDefinitions that
come with the specification (package hl7.fhir.r4.examples 4.0.1, CC0-1.0) from a folder:

    python -m fhir_server.definitions.invariants_extract FOLDER

Kept: by the path of the element that defines it, each constraint's key, severity, expression and
sentence (https://hl7.org/fhir/R4/elementdefinition-definitions.html#ElementDefinition.constraint).
What an element inherits from its type or base type stands there only. The rule of SimpleQuantity,
which R4 asks for by a profile on the type, stands on every element of that profile.
"""

import argparse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from fhir_server.definitions.terminology_extract import LICENCE, SOURCE, one_line_each
from hie.core.fhir.json import JsonObject, loads

_FILES = ("Bundle-types.json", "Bundle-resources.json")
# A pattern that types follow, no type.
_PATTERNS = ("MetadataResource",)
_QUANTITY_PROFILES = ("SimpleQuantity", "MoneyQuantity")


def invariants(structures: Sequence[JsonObject]) -> dict[str, list[list[str]]]:
    """Return [key, severity, expression, sentence] of each constraint by path, without [x]."""
    by_name = {structure["name"]: structure for structure in structures}
    inherited = {
        (constraint["key"], constraint["expression"])
        for name in ("Element", "Extension", "Resource", "DomainResource")
        for element in by_name[name]["snapshot"]["element"]
        for constraint in element.get("constraint", ())
    }
    found: dict[str, list[list[str]]] = {}
    for structure in structures:
        if structure.get("derivation") == "constraint" or structure["name"] in _PATTERNS:
            continue
        above = _on_root(by_name.get(structure.get("baseDefinition", "").rpartition("/")[2]))
        for element in structure["snapshot"]["element"]:
            path = element["path"]
            is_root = "." not in path
            rows = []
            for constraint in element.get("constraint", ()):
                key = (constraint["key"], constraint["expression"])
                if key in (above if is_root else inherited) or key in _of_types(element, by_name):
                    continue
                rows.append([*_row(constraint)])
            rows += _of_quantity_profile(element, by_name)
            if rows:
                found[path.removesuffix("[x]")] = rows
    return dict(sorted(found.items()))


def _on_root(structure: JsonObject | None) -> set[tuple[str, str]]:
    if structure is None:
        return set()
    return {(c["key"], c["expression"]) for c in structure["snapshot"]["element"][0].get("constraint", ())}


def _of_types(element: JsonObject, by_name: dict[str, JsonObject]) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    for declared in element.get("type", ()):
        found |= _on_root(by_name.get(declared["code"]))
    return found if "." in element["path"] else set()


def _of_quantity_profile(element: JsonObject, by_name: dict[str, JsonObject]) -> Iterator[list[str]]:
    for declared in element.get("type", ()):
        for profile in declared.get("profile", ()):
            name = profile.partition("|")[0].rpartition("/")[2]
            if name in _QUANTITY_PROFILES:
                own = by_name[name]["snapshot"]["element"][0]["constraint"]
                of_base = _on_root(by_name["Quantity"])
                yield from (list(_row(c)) for c in own if (c["key"], c["expression"]) not in of_base)


def _row(constraint: JsonObject) -> tuple[str, str, str, str]:
    return constraint["key"], constraint["severity"], constraint["expression"], constraint["human"]


def read_structures(bundles: Iterable[Path]) -> list[JsonObject]:
    """Return the StructureDefinitions of `bundles`."""
    return [
        entry["resource"]
        for bundle in bundles
        for entry in loads(bundle.read_bytes())["entry"]
        if entry["resource"]["resourceType"] == "StructureDefinition"
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the file beside this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(arguments).folder
    found = invariants(read_structures(folder / name for name in _FILES))
    table = {"source": SOURCE, "version": "4.0.1", "licence": LICENCE, "invariants": found}
    (Path(__file__).parent / "invariants.json").write_bytes(one_line_each(table))


if __name__ == "__main__":
    main()
