"""A merging update: what the message does not say stays as it is stored.

HL7 v2 says of a field without a value that it leaves what the receiver has, and of
`""` that it deletes it (HL7 v2.5.1 section 2.5.3, http://www.hl7.eu/HL7v2x/v251/std251/ch02.html).
A PUT replaces the whole resource, so an entry of a Bundle may ask for this instead, by the
extension `MERGE_EXTENSION` on its request; `cleared` names elements that the source
deletes, `weak` elements that it does not assert, which a stored value outlives.

A path of `cleared` is one of:

* `element` or `element.element` (`gender`, `period.end`): the element with all that is in it.
* `list|part` or `list|part|part`: the items of one of the lists below that have these parts. `*` stands for
  any value, as does a part that is not written at its end; an empty part says that the item has no such
  value. A part holds no `|`. `telecom|*|home`, `participant|ATND`, `extension|http://example.org/url`,
  `identifier|http://example.org/sid|MR`, `location|active|` (no classification).

  | list | parts |
  |---|---|
  | contact | codes of `relationship`, joined by commas |
  | diagnosis | `condition.reference` |
  | extension | `url` |
  | identifier | `system`, code of `type` |
  | location | `status`, code of the extension subject-locationClassification |
  | participant | codes of `type`, joined by commas |
  | telecom | `system`, `use` |

The same parts tell which stored item a given one replaces. A path of `weak` names an element.

Pure. Elements are taken one by one; below them only the objects and lists named here
are merged, by what identifies an item, and everything else is replaced as a whole.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from hie.core.errors import RequestError
from hie.core.fhir.json import Json, JsonObject
from hie.core.ports import MERGE_EXTENSION

_OBJECTS: Final = frozenset({"period", "hospitalization"})
_CLASSIFICATION: Final = "http://hl7.org/fhir/StructureDefinition/subject-locationClassification"
_ANY: Final = "*"
_CHOICES: Final = ("abatement", "deceased", "effective", "multipleBirth", "occurrence", "onset", "performed")


@dataclass(frozen=True, slots=True)
class Merge:
    """How an update meets what is stored, in the paths that the module describes."""

    cleared: tuple[str, ...] = ()
    weak: tuple[str, ...] = ()


def read_merge(request: JsonObject, *, expression: str) -> Merge | None:
    """Return what the request of an entry says of merging, None when it says nothing.

    Raises RequestError for an extension that is not of its form.
    """
    extensions = request.get("extension")
    if not isinstance(extensions, list):
        return None
    for extension in extensions:
        if isinstance(extension, dict) and extension.get("url") == MERGE_EXTENSION:
            parts = extension.get("extension", [])
            if extension.get("valueBoolean") is not True and not parts:
                raise RequestError("The merge extension says nothing", expression=f"{expression}.extension")
            return Merge(_paths(parts, "cleared", expression), _paths(parts, "weak", expression))
    return None


def merged(stored: JsonObject, given: JsonObject, merge: Merge) -> JsonObject:
    """Return `given` laid over `stored`; neither is changed."""
    below: JsonObject = dict(stored)
    for path in merge.cleared:
        _clear(below, path)
    above: JsonObject = dict(given)
    for path in merge.weak:
        if _holds(below, path):
            _remove(above, path)
    return _over(below, above)


def _over(stored: JsonObject, given: JsonObject) -> JsonObject:
    made = {name: value for name, value in stored.items() if not _is_replaced(name, given)}
    for name, value in given.items():
        old = made.get(name)
        if name in _OBJECTS and isinstance(old, dict) and isinstance(value, dict):
            made[name] = _over(old, value)
        elif name in _ITEMS and isinstance(old, list) and isinstance(value, list):
            made[name] = _join(old, value, _ITEMS[name])
        else:
            made[name] = value
    return made


def _is_replaced(name: str, given: JsonObject) -> bool:
    """Say whether `given` has another type of the same choice, or the value that `name` qualifies."""
    if name.startswith("_"):
        return name[1:] in given and name not in given
    for choice in _CHOICES:
        if name.startswith(choice) and name not in given:
            return any(other.startswith(choice) for other in given)
    return False


def _join(stored: list[Json], given: list[Json], key: Callable[[JsonObject], Json]) -> list[Json]:
    """Return `stored` with the items that `given` identifies replaced in their place, then the new ones."""
    groups: dict[str, list[Json]] = {}
    for item in given:
        groups.setdefault(repr(key(item)), []).append(item)
    replaced = set(groups)
    if all(repr(key(item)) in replaced for item in stored):
        return given
    joined: list[Json] = []
    for item in stored:
        name = repr(key(item))
        joined += groups.pop(name, []) if name in replaced else [item]
    for items in groups.values():
        joined += items
    return joined


def _code(concept: Json) -> Json:
    codings = (concept or {}).get("coding") or [{}]
    return codings[0].get("code") or (concept or {}).get("text")


def _codes(concepts: Json) -> Json:
    return [_code(concept) for concept in concepts or ()]


def _classification(item: JsonObject) -> Json:
    for extension in item.get("extension", ()):
        if extension.get("url") == _CLASSIFICATION:
            return _code(extension.get("valueCodeableConcept"))
    return None


_ITEMS: Final[dict[str, Callable[[JsonObject], Json]]] = {
    "contact": lambda item: _codes(item.get("relationship")),
    "diagnosis": lambda item: (item.get("condition") or {}).get("reference"),
    "extension": lambda item: item.get("url"),
    "identifier": lambda item: (item.get("system"), _code(item.get("type"))),
    "location": lambda item: (item.get("status"), _classification(item)),
    "participant": lambda item: _codes(item.get("type")),
    "telecom": lambda item: (item.get("system"), item.get("use")),
}


def _clear(resource: JsonObject, path: str) -> None:
    name, bar, rest = path.partition("|")
    if not bar:
        _remove(resource, path)
        return
    items, key = resource.get(name), _ITEMS[name]
    if isinstance(items, list):
        left = [item for item in items if not _matches(key(item), rest.split("|"))]
        if left:
            resource[name] = left
        else:
            _remove(resource, name)


def _matches(key: Json, parts: list[str]) -> bool:
    values = key if isinstance(key, tuple) else (key,)
    if len(parts) > len(values):
        return False
    return all(part in (_ANY, _text(value)) for part, value in zip(parts, values, strict=False))


def _text(value: Json) -> str:
    if isinstance(value, list):
        return ",".join(map(_text, value))
    return "" if value is None else str(value)


def _remove(resource: JsonObject, path: str) -> None:
    name, _, rest = path.partition(".")
    if not rest:
        resource.pop(name, None)
        resource.pop(f"_{name}", None)
    elif isinstance(resource.get(name), dict):
        inner = dict(resource[name])
        inner.pop(rest, None)
        resource[name] = inner
        if not inner:
            del resource[name]


def _holds(resource: JsonObject, path: str) -> bool:
    name, _, rest = path.partition(".")
    value = resource.get(name)
    return rest in value if rest and isinstance(value, dict) else value is not None and not rest


def _paths(parts: Json, url: str, expression: str) -> tuple[str, ...]:
    try:
        paths = tuple(str(part["valueString"]) for part in parts if part["url"] == url)
    except (KeyError, TypeError) as error:
        raise RequestError(
            "The merge extension holds `cleared` and `weak` with valueString",
            expression=f"{expression}.extension",
        ) from error
    for path in paths:
        name, bar, _ = path.partition("|")
        if bar and (url != "cleared" or name not in _ITEMS):
            raise RequestError(f"`{path}` names no items in `{url}`", expression=f"{expression}.extension")
    return paths
