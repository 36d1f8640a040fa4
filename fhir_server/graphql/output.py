"""The object that is put together for a selection set: keys with a value each, or lists that grow.

What `@flatten`, `@singleton` and `@slice` ask of the result
(https://hl7.org/fhir/R4/graphql.html#flattening) is kept here: values of several elements come together
under one key, if they are of one type, and one that shall be single is.
"""

from dataclasses import dataclass, field

from fhir_server.graphql.document import Place
from hie.core.fhir.json import Json, JsonObject
from hie.core.language_errors import GraphQLError


@dataclass(slots=True)
class _Entry:
    type: str
    is_list: bool
    values: list[Json] = field(default_factory=list)


class Output:
    """An object of the result; what has no value does not appear in it."""

    __slots__ = ("_entries",)

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    def add(self, key: str, type_name: str, value: "Json | Output", place: Place, *, is_list: bool) -> None:
        """Put `value`, of the type `type_name` of FHIR, under `key`; raises GraphQLError where it cannot."""
        entry = self._entries.get(key)
        if entry is None:
            entry = self._entries[key] = _Entry(type_name, is_list)
        elif entry.type != type_name:
            raise GraphQLError(
                f"`{key}` would hold values of type {entry.type} and of type {type_name}", place=place
            )
        if entry.values and not (entry.is_list and is_list):
            raise GraphQLError(f"`{key}` has more than one value and shall be single", place=place)
        entry.values.append(value)

    def rendered(self) -> JsonObject:
        """Return the JSON of the object."""
        return {
            key: [_rendered(each) for each in entry.values] if entry.is_list else _rendered(entry.values[0])
            for key, entry in self._entries.items()
        }


def _rendered(value: "Json | Output") -> Json:
    return value.rendered() if isinstance(value, Output) else value
