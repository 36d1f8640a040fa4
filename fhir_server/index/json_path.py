"""The values of a search parameter as PostgreSQL's `jsonpath`, for what must be read from the resource.

The same expressions as the index, written for
https://www.postgresql.org/docs/current/functions-json.html#FUNCTIONS-SQLJSON-PATH
in lax mode, which steps into arrays by itself.
"""

import json
from functools import cache
from typing import Final

from fhir_server.definitions.search_parameters import ElementTypes, SearchParameter, load_element_types
from fhir_server.index.expression import At, Child, IsTrue, OfType, Path, WhereEquals, WhereTarget, parse

# What of a value its order goes by.
_LEAVES: Final = {
    "CodeableConcept": ".coding.code",
    "Coding": ".code",
    "Identifier": ".value",
    "ContactPoint": ".value",
    "Reference": ".reference",
    "Resource": ".id",
}


@cache
def json_paths(parameter: SearchParameter) -> tuple[str, ...]:
    """Return the paths to the texts of a token or reference parameter, one for each path and type."""
    elements = load_element_types()
    found: list[str] = []
    for path in parse(parameter.expression, parameter.resource_type):
        found += _paths(path, parameter.resource_type, elements)
    return tuple(dict.fromkeys(found))


def _paths(path: Path, start: str, elements: ElementTypes) -> list[str]:
    places = [("$", start)]
    for step in path:
        match step:
            case Child():
                places = [
                    (f'{text}."{key}"', kind)
                    for text, parent in places
                    for key, kind in elements.children(parent, step.name)
                ]
            case OfType():
                places = [(text, kind) for text, kind in places if kind.lower() == step.name.lower()]
            case At():
                places = [(f"{text}[{step.position}]", kind) for text, kind in places]
            case WhereEquals():
                test = f'? (@."{step.name}" == {json.dumps(step.value)})'
                places = [(f"{text} {test}", kind) for text, kind in places]
            case WhereTarget():
                test = f'? (@."reference" like_regex "(^|/){step.name}/")'
                places = [(f"{text} {test}", kind) for text, kind in places]
            case IsTrue():
                pass
    return [text + _LEAVES.get(kind, "") for text, kind in places]
