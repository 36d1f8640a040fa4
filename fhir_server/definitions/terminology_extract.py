"""Compacts the bindings and value sets of FHIR R4 into `bindings.json` and `value_sets.json`.

A developer's tool, not part of the running server. It reads the Bundles that come with the
specification (package hl7.fhir.r4.examples 4.0.1, CC0-1.0) from a folder:

    python -m fhir_server.definitions.terminology_extract FOLDER

Kept of a binding: its path, strength and value set (https://hl7.org/fhir/R4/terminologies.html#strength);
example bindings bind nothing and are left out. Kept of a value set: the codes that its definition
selects (https://hl7.org/fhir/R4/valueset.html#compositions) from the code systems of HL7 that the
package holds whole, and those it lists of ISO 3166, BCP 47 and UCUM. One that also selects from
others is marked `open`: what else is in it is not known here. Licensed vocabularies (SNOMED CT,
LOINC, DICOM, ICD-10 and so on) are among these: no code of theirs is kept.
"""

import argparse
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hie.core.fhir.json import Json, JsonObject, dumps, loads

SOURCE = "hl7.fhir.r4.examples 4.0.1 (HL7)"
LICENCE = "CC0-1.0"

_STRUCTURES = ("Bundle-types.json", "Bundle-resources.json")
_TERMINOLOGY = ("Bundle-valuesets.json", "Bundle-v3-valuesets.json")

# HL7's own systems, and the standards whose codes anyone may list.
_FREE = (
    "http://hl7.org/fhir/",
    "http://terminology.hl7.org/",
    "http://unitsofmeasure.org",
    "urn:ietf:",
    "urn:iso:std:iso:3166",
)

Codes = dict[str, set[str]]
"""Codes by system."""


@dataclass(frozen=True, slots=True)
class Terminology:
    """The definitions of a package by canonical URL."""

    value_sets: Mapping[str, JsonObject]
    systems: Mapping[str, "System"]


@dataclass(slots=True)
class System:
    """The codes of a code system, each with the codes right above it."""

    is_whole: bool
    parents: dict[str, list[str]] = field(default_factory=dict)

    def add(self, concepts: Iterable[JsonObject], parent: str | None = None) -> None:
        """Take `concepts` and those nested in them.

        A property `subsumedBy` or `parent` states a parent instead of nesting, or a second one
        (http://hl7.org/fhir/concept-properties).
        """
        for concept in concepts:
            above = self.parents.setdefault(concept["code"], [])
            stated = [
                value["valueCode"]
                for value in concept.get("property", ())
                if value["code"] in ("subsumedBy", "parent") and "valueCode" in value
            ]
            above += [code for code in (parent, *stated) if code is not None and code not in above]
            self.add(concept.get("concept", ()), concept["code"])

    def is_a(self, code: str, ancestor: str) -> bool:
        """Say whether `code` is `ancestor` or stands below it."""
        waiting, seen = [code], set[str]()
        while waiting:
            current = waiting.pop()
            if current == ancestor:
                return True
            if current not in seen:
                seen.add(current)
                waiting += self.parents.get(current, ())
        return False


def read_terminology(bundles: Iterable[Path]) -> Terminology:
    """Return the ValueSets and CodeSystems of `bundles`."""
    value_sets: dict[str, JsonObject] = {}
    systems: dict[str, System] = {}
    for resource in _resources(bundles):
        if resource["resourceType"] == "ValueSet":
            value_sets[resource["url"]] = resource
        elif resource["resourceType"] == "CodeSystem":
            system = System(resource["content"] == "complete")
            system.add(resource.get("concept", ()))
            systems[resource["url"]] = system
    return Terminology(value_sets, systems)


def enumerate_value_set(url: str, known: Terminology) -> tuple[Codes, bool]:
    """Return the codes of value set `url`, and whether it has more that cannot be told."""
    compose = known.value_sets[url].get("compose", {})
    codes: Codes = {}
    is_open = "include" not in compose
    for part in compose.get("include", ()):
        found, more = _selected(part, known)
        is_open = is_open or more
        for system, members in found.items():
            codes.setdefault(system, set()).update(members)
    for part in compose.get("exclude", ()):
        found, more = _selected(part, known)
        if more:
            return {}, True
        for system, members in found.items():
            codes.get(system, set()).difference_update(members)
    return {system: members for system, members in codes.items() if members}, is_open


def _selected(part: JsonObject, known: Terminology) -> tuple[Codes, bool]:
    """Return what one include or exclude selects: from its system AND all of its value sets."""
    selections: list[tuple[Codes, bool]] = []
    if "system" in part:
        selections.append(_of_system(part, known))
    for canonical in part.get("valueSet", ()):
        url = canonical.partition("|")[0]
        selections.append(enumerate_value_set(url, known) if url in known.value_sets else ({}, True))
    codes, is_open = selections[0]
    for other, other_open in selections[1:]:
        codes = {system: members & other[system] for system, members in codes.items() if system in other}
        is_open = is_open or other_open
    return codes, is_open


def _is_free(system: str) -> bool:
    return system.startswith(_FREE) and not system.startswith("http://hl7.org/fhir/sid/")


def _of_system(part: JsonObject, known: Terminology) -> tuple[Codes, bool]:
    url = part["system"]
    if not _is_free(url):
        return {}, True
    if "concept" in part:
        return {url: {concept["code"] for concept in part["concept"]}}, False
    system = known.systems.get(url)
    if system is None or not system.is_whole:
        return {}, True
    members = set(system.parents)
    for condition in part.get("filter", ()):
        op, ancestor = condition["op"], condition["value"]
        if condition["property"] != "concept" or op not in ("is-a", "descendent-of"):
            return {}, True
        members = {code for code in members if system.is_a(code, ancestor)}
        members -= {ancestor} if op == "descendent-of" else set()
    return {url: members}, False


def bindings(structures: Iterable[JsonObject]) -> dict[str, list[str]]:
    """Return strength and value set by path, of the StructureDefinitions that define types."""
    found = {}
    for structure in structures:
        if structure["resourceType"] != "StructureDefinition" or structure.get("derivation") == "constraint":
            continue
        for element in structure["snapshot"]["element"]:
            bound = element.get("binding", {})
            if bound.get("strength") in ("required", "extensible", "preferred") and "valueSet" in bound:
                path = element["path"].removesuffix("[x]")
                found[path] = [bound["strength"], bound["valueSet"].partition("|")[0]]
    return dict(sorted(found.items()))


def value_set_table(known: Terminology, required: Collection[str]) -> JsonObject:
    """Return `systems` (codes of whole code systems), `parents`, `sets` and `unlisted`.

    `parents` has the codes right above a code, by system, where there are any; `sets` the codes of
    each value set by system, true for all of it; `unlisted` the system of each of
    the `required` value sets that selects from one alone and whose codes are not listed here.
    """
    whole = {
        url: system for url, system in sorted(known.systems.items()) if system.is_whole and _is_free(url)
    }
    systems = {url: sorted(system.parents) for url, system in whole.items()}
    parents = {
        url: {code: above for code, above in sorted(system.parents.items()) if above}
        for url, system in whole.items()
    }
    sets: JsonObject = {}
    for url in sorted(known.value_sets):
        codes, is_open = enumerate_value_set(url, known)
        if not codes:
            continue
        entry: JsonObject = {
            "codes": {
                system: True if sorted(members) == systems.get(system) else sorted(members)
                for system, members in sorted(codes.items())
            }
        }
        if is_open:
            entry["open"] = True
        sets[url] = entry
    named = {url: _only_system(url, known) for url in sorted(required) if url not in sets}
    return {
        "systems": systems,
        "parents": {url: each for url, each in parents.items() if each},
        "sets": sets,
        "unlisted": {url: system for url, system in named.items() if system},
    }


def _only_system(url: str, known: Terminology) -> str | None:
    """Return the one system that all includes of a value set name, None where there is none."""
    include = known.value_sets.get(url, {}).get("compose", {}).get("include", ())
    systems = {part.get("system") for part in include}
    return systems.pop() if len(systems) == 1 else None


def _resources(bundles: Iterable[Path]) -> Iterator[JsonObject]:
    for bundle in bundles:
        for entry in loads(bundle.read_bytes())["entry"]:
            yield entry["resource"]


def one_line_each(table: Mapping[str, Json]) -> bytes:
    """Return `table` as JSON with one line for each entry of its objects, so that changes can be read."""
    parts = []
    for name, value in table.items():
        shown = dumps(value)
        if isinstance(value, dict):
            rows = (b"    " + dumps(key) + b": " + dumps(item) for key, item in value.items())
            shown = b"{\n" + b",\n".join(rows) + b"\n  }"
        parts.append(b"  " + dumps(name) + b": " + shown)
    return b"{\n" + b",\n".join(parts) + b"\n}\n"


def main(arguments: Sequence[str] | None = None) -> None:
    """Write both files beside this module."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args(arguments).folder
    head = {"source": SOURCE, "version": "4.0.1", "licence": LICENCE}
    here = Path(__file__).parent
    bound = bindings(_resources(folder / name for name in _STRUCTURES))
    (here / "bindings.json").write_bytes(one_line_each({**head, "bindings": bound}))
    known = read_terminology(folder / name for name in _TERMINOLOGY)
    required = {url for strength, url in bound.values() if strength == "required"}
    (here / "value_sets.json").write_bytes(one_line_each({**head, **value_set_table(known, required)}))


if __name__ == "__main__":
    main()
