"""Which of several elements a field's arguments select, and how one of them is called in a slice.

https://hl7.org/fhir/R4/graphql.html#list, #flattening.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from hie.core.fhir.json import Json, JsonObject
from hie.core.fhirpath.expression import Environment, compiled


def navigated(
    values: Sequence[Json], path: str, arguments: Mapping[str, Json], environment: Environment
) -> list[JsonObject]:
    """Return the objects among `values`, whose content is that of `path`, that `arguments` select.

    Filters come first; `_offset` and `_count` are of what they leave.
    """
    found = [each for each in values if isinstance(each, dict)]
    if not arguments:
        return found
    for name, wanted in arguments.items():
        if name == "fhirpath":
            expression = compiled(wanted)
            found = [each for each in found if expression.is_true_at(each, _path_of(each, path), environment)]
        elif name not in ("_offset", "_count"):
            found = [each for each in found if _has(each.get(name), wanted)]
    offset = arguments.get("_offset", 0)
    count = arguments.get("_count")
    return found[offset:] if count is None else found[offset : offset + count]


def suffix_of(value: JsonObject, path: str, expression: str, index: int, environment: Environment) -> str:
    """Return what ``@slice`` appends for `value`: the result of its FHIRPath, the position for ``$index``."""
    if expression == "$index":
        return str(index)
    found = compiled(expression).evaluate_at(value, _path_of(value, path), environment)
    return "".join(_shown(each) for each in found)


def _path_of(value: JsonObject, path: str) -> str:
    """Return the path of the content of `value`: its own type if it is a resource."""
    named = value.get("resourceType")
    return named if path == "Resource" and isinstance(named, str) else path


def _has(value: Json, wanted: Json) -> bool:
    """Say whether the value of a sub-element, or one of several, is what the argument wants."""
    if isinstance(value, list):
        return any(_has(each, wanted) for each in value)
    if isinstance(wanted, list):
        return any(_has(value, each) for each in wanted)
    if isinstance(value, bool) or isinstance(wanted, bool):
        return value is wanted
    if isinstance(value, (int, float, Decimal)) and isinstance(wanted, (int, float, Decimal)):
        return Decimal(str(value)) == Decimal(str(wanted))
    return bool(value == wanted)


def _shown(value: Json) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
