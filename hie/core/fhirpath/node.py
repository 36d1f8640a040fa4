"""An item of a collection that stands for a piece of FHIR JSON, with its type and, on request, its place.

Items that are not nodes are values of System types: bool, int, Decimal, str, `Date`, `DateTime`, `Time`,
`Quantity`, or a `TypeInfo` (https://hl7.org/fhirpath/N1/#literals).
"""

from typing import Any

from hie.core.fhir.json import Json, JsonObject
from hie.core.fhirpath.shape import Shape

# What a collection holds: a Node or a value of a System type.
Item = Any
Items = list[Item]
Place = tuple["Node", str, int | None]


class Node:
    """A value of FHIR JSON in a collection.

    `value` is the JSON as it stands, None for a primitive that has only extensions; `extra` the id and
    extensions of a primitive (`_birthDate`). `place` is known only where places were asked for: the node
    above, the JSON name there, and the index where that is a list.
    """

    __slots__ = ("extra", "place", "shape", "value")

    def __init__(
        self, value: Json, shape: Shape, extra: JsonObject | None = None, place: Place | None = None
    ) -> None:
        self.value = value
        self.shape = shape
        self.extra = extra
        self.place = place

    @property
    def parent(self) -> "Node | None":
        """The node above, None for the root."""
        return None if self.place is None else self.place[0]

    @property
    def key(self) -> str:
        """The JSON name under which it stands in the node above, empty for the root."""
        return "" if self.place is None else self.place[1]

    @property
    def index(self) -> int | None:
        """Its position in a list, None outside lists."""
        return None if self.place is None else self.place[2]

    @property
    def type_name(self) -> str:
        """The type: "HumanName", "code", "Patient", "BackboneElement"."""
        return self.shape.name

    @property
    def path(self) -> str:
        """Where the node stands, as FHIRPath with JSON names: ``Patient.name[0].given[1]``."""
        steps: list[str] = []
        node = self
        while node.place is not None:
            above, key, index = node.place
            steps.append(key if index is None else f"{key}[{index}]")
            node = above
        steps.append(node.shape.path)
        return ".".join(reversed(steps))

    def __repr__(self) -> str:
        return f"Node({self.shape.path})"
