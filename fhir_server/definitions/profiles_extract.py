"""Compacts the profiles and extension definitions of FHIR R4 into `profiles.json`.

A developer's tool, not part of the running server. It reads the Bundles of StructureDefinitions that
come with the specification (package hl7.fhir.r4.examples 4.0.1, CC0-1.0) from a folder:

    python -m fhir_server.definitions.profiles_extract FOLDER

Kept: by canonical URL the type and base, and of the differential what can be checked
(https://hl7.org/fhir/R4/elementdefinition.html). Texts, mappings, examples and example bindings are
left out, and so are the contexts of extensions: more than a hundred of HL7's own R4 examples use
extensions outside of the contexts that R4 states for them.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from fhir_server.definitions.invariants_extract import read_structures
from fhir_server.definitions.terminology_extract import LICENCE, SOURCE, one_line_each
from hie.core.fhir.json import JsonObject

_FILES = ("Bundle-extensions.json", "Bundle-profiles-others.json")
_KEPT = ("path", "sliceName", "min", "max", "maxLength", "contentReference", "slicing", "isModifier")
_VALUES = ("fixed", "pattern", "minValue", "maxValue")


def profiles(structures: Iterable[JsonObject]) -> dict[str, JsonObject]:
    """Return type, base and elements of each StructureDefinition that constrains, by url."""
    return {
        structure["url"]: {
            "type": structure["type"],
            "base": structure["baseDefinition"],
            "elements": [_element(element) for element in structure["differential"]["element"]],
        }
        for structure in sorted(structures, key=lambda each: str(each["url"]))
        if structure.get("derivation") == "constraint"
    }


def _element(element: JsonObject) -> JsonObject:
    kept: JsonObject = {name: element[name] for name in _KEPT if name in element}
    kept |= {name: value for name, value in element.items() if name.startswith(_VALUES)}
    if "slicing" in kept:
        kept["slicing"] = {
            k: v for k, v in kept["slicing"].items() if k in ("discriminator", "rules", "ordered")
        }
    if "type" in element:
        kept["type"] = [
            {name: value for name, value in declared.items() if name in ("code", "profile", "targetProfile")}
            for declared in element["type"]
        ]
    bound = element.get("binding", {})
    if bound.get("strength") in ("required", "extensible", "preferred") and "valueSet" in bound:
        kept["binding"] = {"strength": bound["strength"], "valueSet": bound["valueSet"]}
    if "constraint" in element:
        kept["constraint"] = [
            {name: constraint[name] for name in ("key", "severity", "human", "expression")}
            for constraint in element["constraint"]
            if "expression" in constraint
        ]
    return kept


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the file beside this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(arguments).folder
    found = profiles(read_structures(folder / name for name in _FILES))
    table = {"source": SOURCE, "version": "4.0.1", "licence": LICENCE, "profiles": found}
    (Path(__file__).parent / "profiles.json").write_bytes(one_line_each(table))


if __name__ == "__main__":
    main()
