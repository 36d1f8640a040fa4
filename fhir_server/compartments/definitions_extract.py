"""Makes `definitions.json` from HL7's R4 CompartmentDefinitions.

Run by a maintainer when the definitions change, never by the server::

    python -m fhir_server.compartments.definitions_extract FOLDER

FOLDER holds the five `CompartmentDefinition-*.json` of FHIR R4 4.0.1 (npm hl7.fhir.r4.examples 4.0.1,
CC0-1.0). What is kept are facts: of each compartment its canonical, and the search parameters by which
resources of each type belong to it. ``{def}`` stands for the resource that the compartment is named after.
"""

import sys
from pathlib import Path
from typing import Final

import orjson

from hie.core.fhir.json import JsonObject

_HERE: Final = Path(__file__).parent
_SOURCE: Final = {
    "source": "https://hl7.org/fhir/R4/compartmentdefinition.html, npm hl7.fhir.r4.examples 4.0.1",
    "version": "4.0.1",
    "licence": "CC0-1.0",
}
_NAMES: Final = ("device", "encounter", "patient", "practitioner", "relatedPerson")


def main(folder: Path) -> None:
    """Write the file beside this module."""
    made: JsonObject = {}
    for name in _NAMES:
        definition = orjson.loads((folder / f"CompartmentDefinition-{name}.json").read_bytes())
        members = {each["code"]: each["param"] for each in definition["resource"] if each.get("param")}
        made[definition["code"]] = {"url": definition["url"], "members": dict(sorted(members.items()))}
    lines = [
        f" {orjson.dumps(key).decode()}: {orjson.dumps(value).decode()}," for key, value in _SOURCE.items()
    ]
    blocks = []
    for code, entry in sorted(made.items()):
        rows = [
            f"   {orjson.dumps(kind).decode()}: {orjson.dumps(params).decode()}"
            for kind, params in entry["members"].items()
        ]
        url = orjson.dumps(entry["url"]).decode()
        blocks.append(
            f'  {orjson.dumps(code).decode()}: {{"url": {url}, "members": {{\n' + ",\n".join(rows) + "\n  }}"
        )
    text = "{\n" + "\n".join(lines) + '\n "compartments": {\n' + ",\n".join(blocks) + "\n }\n}\n"
    (_HERE / "definitions.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
