"""Compacts R4 StructureDefinitions into the element tables under `fhir_server/definitions/r4/`.

A developer's tool, not part of the running server. It reads the Bundles of StructureDefinitions
that come with the specification (`Bundle-resources.json` and `Bundle-types.json` of the package
hl7.fhir.r4.examples 4.0.1, CC0-1.0) and writes one file for each type named:

    python -m fhir_server.definitions.r4_extract BUNDLE... --type Evidence --type Extension

What is kept of an element: its name, types, whether it repeats, whether it is required
(https://hl7.org/fhir/R4/elementdefinition.html). Bindings, invariants and texts are left out.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path

from hie.core.fhir.json import JsonObject, dumps_pretty, loads

SOURCE = "hl7.fhir.r4.examples 4.0.1 (HL7)"
LICENCE = "CC0-1.0"

_FHIR_TYPE = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"
_SYSTEM_TYPE = "http://hl7.org/fhirpath/System."


def element_table(structure: JsonObject) -> JsonObject:
    """Return the compact table of one StructureDefinition.

    `elements` maps each type with children ("Evidence", "Evidence.referenceInformation") to its
    elements in order; each element has `types`, and `list` or `required` when true. A `bare` element
    is a value that takes no id and extensions (`id`, `Extension.url`). A choice keeps its name
    ("value[x]"); the type of a contentReference is the path that it names.
    """
    name = structure["name"]
    elements: dict[str, JsonObject] = {name: {}}
    paths = [element["path"] for element in structure["snapshot"]["element"]]
    parents = {path.rpartition(".")[0] for path in paths}
    for element in structure["snapshot"]["element"][1:]:
        path = element["path"]
        parent, _, own_name = path.rpartition(".")
        entry: JsonObject = {"types": [path] if path in parents else list(_types(element, name))}
        if any(declared["code"].startswith(_SYSTEM_TYPE) for declared in element.get("type", [])):
            entry["bare"] = True
        if element["max"] != "1":
            entry["list"] = True
        if element["min"] > 0:
            entry["required"] = True
        elements.setdefault(parent, {})[own_name] = entry
    return {
        "source": f"{SOURCE}, {structure['url']}",
        "version": structure["version"],
        "licence": LICENCE,
        "kind": structure["kind"],
        "elements": elements,
    }


def structures(bundles: Iterable[Path]) -> dict[str, JsonObject]:
    """Return the StructureDefinitions of `bundles` by name, constraints (profiles) left out."""
    found = {}
    for bundle in bundles:
        for entry in loads(bundle.read_bytes())["entry"]:
            resource = entry["resource"]
            if (
                resource["resourceType"] == "StructureDefinition"
                and resource.get("derivation") != "constraint"
            ):
                found[resource["name"]] = resource
    return found


def _types(element: JsonObject, definition: str) -> Iterable[str]:
    if "contentReference" in element:
        yield element["contentReference"].removeprefix("#")
        return
    for declared in element["type"]:
        code = declared["code"]
        if code.startswith(_SYSTEM_TYPE):
            code = _fhir_type(declared, element, definition)
        yield code


def _fhir_type(declared: JsonObject, element: JsonObject, definition: str) -> str:
    """Return the FHIR type behind a FHIRPath system type, as the definition's extension names it."""
    # R4 4.0.1 says "string" for Resource.id although the element is an id
    # (https://hl7.org/fhir/R4/resource-definitions.html#Resource.id).
    if element["path"] == f"{definition}.id" and element["base"]["path"] == "Resource.id":
        return "id"
    for extension in declared.get("extension", []):
        if extension["url"] == _FHIR_TYPE:
            return str(extension["valueUrl"])
    raise ValueError(f"{element['path']} has no FHIR type")


def main(arguments: Sequence[str] | None = None) -> None:
    """Write one JSON file for each `--type` beside this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--type", action="append", required=True, dest="types")
    options = parser.parse_args(arguments)
    known = structures(options.bundles)
    folder = Path(__file__).parent / "r4"
    for name in options.types:
        (folder / f"{name}.json").write_bytes(dumps_pretty(element_table(known[name])) + b"\n")


if __name__ == "__main__":
    main()
