"""The operations that a Parameters resource describes (https://hl7.org/fhir/R4/fhirpatch.html)."""

from dataclasses import dataclass
from typing import Final, Literal, get_args

from hie.core.fhir.json import Json, JsonObject
from hie.core.fhirpath.expression import Expression, compiled
from hie.core.language_errors import PatchSyntaxError

Type = Literal["add", "insert", "delete", "replace", "move"]

_TYPES: Final = frozenset(get_args(Type))
_VALUE: Final = "value"


@dataclass(frozen=True, slots=True)
class Value:
    """A value to be set: `json` with the `_extra` of a primitive; `suffix` ("DateTime") names its type.

    Where the type has no name (Patient.contact), `parts` are its children and `suffix` is empty; for a
    resource too.
    """

    suffix: str
    json: Json = None
    extra: JsonObject | None = None
    parts: tuple[tuple[str, "Value"], ...] | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """One change: what each type needs is there."""

    type: Type
    path: Expression
    name: str = ""
    value: Value | None = None
    index: int = 0
    source: int = 0
    destination: int = 0


def operations_of(parameters: Json) -> list[Operation]:
    """Return the operations of a Parameters resource, in order.

    Raises PatchSyntaxError where it describes none, FhirPathSyntaxError where a path is not FHIRPath.
    """
    if not isinstance(parameters, dict) or parameters.get("resourceType") != "Parameters":
        raise PatchSyntaxError("A FHIRPath Patch is a Parameters resource")
    entries = parameters.get("parameter", [])
    if not isinstance(entries, list):
        raise PatchSyntaxError("Parameters.parameter is no array", expression="Parameters.parameter")
    return [_operation(entry, f"Parameters.parameter[{number}]") for number, entry in enumerate(entries)]


def _operation(entry: Json, place: str) -> Operation:
    if not isinstance(entry, dict) or entry.get("name") != "operation":
        raise PatchSyntaxError("A parameter of a FHIRPath Patch has the name `operation`", expression=place)
    parts = dict(_parts(entry.get("part"), place))
    kind = parts["type"].json if "type" in parts else None
    if not isinstance(kind, str) or kind not in _TYPES:
        raise PatchSyntaxError(
            f"The type of an operation is one of {', '.join(sorted(_TYPES))}", expression=place
        )
    path = _text(parts, "path", place)
    needs_value = kind in {"add", "insert", "replace"}
    if needs_value and _VALUE not in parts:
        raise PatchSyntaxError(f"`{kind}` needs a part `value`", expression=place)
    return Operation(
        type=kind,  # type: ignore[arg-type] # one of the types, as just seen
        path=compiled(path),
        name=_text(parts, "name", place) if kind == "add" else "",
        value=parts[_VALUE] if needs_value else None,
        index=_whole(parts, "index", place) if kind == "insert" else 0,
        source=_whole(parts, "source", place) if kind == "move" else 0,
        destination=_whole(parts, "destination", place) if kind == "move" else 0,
    )


def _parts(parts: Json, place: str) -> list[tuple[str, Value]]:
    if not isinstance(parts, list) or not parts:
        raise PatchSyntaxError("A part is missing", expression=place)
    found: list[tuple[str, Value]] = []
    for number, part in enumerate(parts):
        here = f"{place}.part[{number}]"
        name = part.get("name") if isinstance(part, dict) else None
        if not isinstance(name, str) or not name:
            raise PatchSyntaxError("A part has no name", expression=here)
        found.append((name, _value(part, here)))
    return found


def _value(part: JsonObject, place: str) -> Value:
    if isinstance(part.get("resource"), dict):
        return Value("", part["resource"])
    names = {
        name.lstrip("_")
        for name in part
        if name.lstrip("_").startswith(_VALUE) and name.lstrip("_") != _VALUE
    }
    if len(names) == 1:
        name = names.pop()
        extra = part.get("_" + name)
        return Value(name.removeprefix(_VALUE), part.get(name), extra if isinstance(extra, dict) else None)
    if names:
        raise PatchSyntaxError("A part has more than one value", expression=place)
    return Value("", parts=tuple(_parts(part.get("part"), place)))


def _text(parts: dict[str, Value], name: str, place: str) -> str:
    value = parts[name].json if name in parts else None
    if not isinstance(value, str):
        raise PatchSyntaxError(f"The part `{name}` is missing or is no text", expression=place)
    return value


def _whole(parts: dict[str, Value], name: str, place: str) -> int:
    value = parts[name].json if name in parts else None
    if value.__class__ is not int or not isinstance(value, int) or value < 0:
        raise PatchSyntaxError(
            f"The part `{name}` is missing or is no integer of 0 or more", expression=place
        )
    return value
