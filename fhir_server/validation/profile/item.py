"""A place in a resource: a value with its type, where its definition is, and how it was reached.

What profiles, invariants and references are checked on. Items are made as rules descend; the
expression of one is put together only when something is wrong with it. The JSON has been found
structurally valid before. https://hl7.org/fhir/R4/json.html
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

from hie.core.fhir.json import Json, JsonObject
from hie.core.fhir.structure import Element, elements_of, structure_of

_RESOURCE: Final = "Resource"


@dataclass(slots=True, eq=False)
class Item:
    """One value of an element.

    `value` is None for a primitive that has only an id or extensions; `twin` holds these (`_birthDate`).
    `type` is the type of the value ("Quantity" for valueQuantity, "Patient" for a resource), `content`
    the path that its elements are defined at ("Patient.contact", "Quantity"), `path` where it stands
    in the definition of what holds it ("Patient.contact.gender", "Quantity.code"). `step` leads here
    from `parent` (".name[0]"); a root has no parent, and its type as step.
    """

    value: Json
    twin: JsonObject | None
    type: str
    content: str
    path: str
    parent: "Item | None"
    step: str
    element: Element | None = None

    @property
    def is_resource(self) -> bool:
        """Say whether the value is a resource: the root, contained, or in an entry or a parameter."""
        return self.parent is None or (self.element is not None and _RESOURCE in self.element.types)

    @property
    def expression(self) -> str:
        """The FHIRPath that leads here (https://hl7.org/fhir/R4/fhirpath.html#simple)."""
        steps = []
        item: Item | None = self
        while item is not None:
            steps.append(item.step)
            item = item.parent
        return "".join(reversed(steps))

    def holders(self) -> "Iterator[Item]":
        """Yield the resources around, from the nearest one (itself, if it is one) to the root."""
        item: Item | None = self
        while item is not None:
            if item.is_resource:
                yield item
            item = item.parent

    def children(self, name: str) -> "list[Item]":
        """Return the values of the element `name` ("value" for value[x]), in order."""
        if self.value is None or type(self.value) is not dict:
            return self._children_of_twin(name)
        value = self.value
        keys = _keys(self.content).get(name, ())
        if len(keys) > len(value):
            table = elements_of(self.content)
            keys = tuple(
                key
                for key in {given.removeprefix("_"): None for given in value}
                if (found := table.get(key)) is not None and found[0].name == name
            )
        return [item for key in keys for item in self._items(value, key)]

    def all_children(self) -> "Iterator[Item]":
        """Yield every value of every element."""
        if type(self.value) is dict:
            seen = set()
            for given in self.value:
                key = given.removeprefix("_")
                if key not in seen:
                    seen.add(key)
                    yield from self._items(self.value, key)
        elif self.twin is not None:
            yield from self._children_of_twin("extension")

    def _children_of_twin(self, name: str) -> "list[Item]":
        # A primitive has an id and extensions, beside its value.
        if self.twin is None or name not in ("id", "extension"):
            return []
        twin = Item(self.twin, None, self.type, "Element", self.path, self.parent, self.step)
        children = list(twin._items(self.twin, name))
        for child in children:
            child.parent = self
        return children

    def _items(self, value: JsonObject, key: str) -> "Iterator[Item]":
        found = elements_of(self.content).get(key)
        if found is None:
            return
        element, type_name, content = found
        step = f".{element.name}.ofType({type_name})" if element.is_choice else f".{key}"
        given, twin = value.get(key), value.get(f"_{key}")
        path = f"{self.content}.{element.name}"
        if not element.is_list:
            if given is not None or twin is not None:
                yield self._item(given, twin, type_name, content, path, step, element)
            return
        values = given if type(given) is list else ()
        twins = twin if type(twin) is list else ()
        for index in range(max(len(values), len(twins))):
            one = values[index] if index < len(values) else None
            other = twins[index] if index < len(twins) else None
            if one is not None or other is not None:
                yield self._item(one, other, type_name, content, path, f"{step}[{index}]", element)

    def _item(
        self,
        value: Json,
        twin: JsonObject | None,
        type_name: str,
        content: str,
        path: str,
        step: str,
        element: Element,
    ) -> "Item":
        if type_name == _RESOURCE and type(value) is dict:
            type_name = content = value.get("resourceType", _RESOURCE)
        return Item(value, twin, type_name, content, path, self, step, element)


def root_item(resource: JsonObject) -> Item:
    """Return the item of a whole resource."""
    name = resource["resourceType"]
    return Item(resource, None, name, name, name, None, name)


@cache
def _keys(content: str) -> Mapping[str, tuple[str, ...]]:
    """Return the JSON keys of each element of the structure at `content`."""
    found: dict[str, tuple[str, ...]] = {}
    for key, (element, _, _) in elements_of(content).items():
        found[element.name] = (*found.get(element.name, ()), key)
    return found


@cache
def line_of(type_name: str) -> tuple[str, ...]:
    """Return `type_name` and the types that it specialises, itself first: Age, Quantity, Element."""
    line = []
    name: str | None = type_name
    while name is not None:
        line.append(name)
        structure = structure_of(name)
        name = structure.base if structure else None
    return tuple(line)
