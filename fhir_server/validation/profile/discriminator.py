"""Discriminators: how the values of a sliced element are told apart.

https://hl7.org/fhir/R4/profiling.html#discriminator. A discriminator has a kind (value, pattern,
exists, type, profile) and a path in the small part of FHIRPath that the specification allows:
element names, `$this`, `extension(url)`, `resolve()` and `ofType(type)`. What the elements there must
be is read from the definition of each slice.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from fhir_server.validation.profile.item import Item

if TYPE_CHECKING:  # a run is made of rules
    from fhir_server.validation.profile.run import Run

_STEP: Final = re.compile(
    r"\$this|resolve\(\)|ofType\((?P<type>\w+)\)|extension\((['\"])(?P<url>[^'\"]*)\2\)|(?P<name>[A-Za-z]\w*)(?:\[x\])?"
)

Step = Callable[["Run", Item], list[Item]]


@dataclass(frozen=True, slots=True)
class Name:
    """An element name."""

    name: str

    def follow(self, _run: "Run", item: Item) -> list[Item]:
        """Return the values of the element."""
        return item.children(self.name)


@dataclass(frozen=True, slots=True)
class OfType:
    """Values of one type."""

    type: str

    def follow(self, _run: "Run", item: Item) -> list[Item]:
        """Return the value if it is of the type."""
        return [item] if item.type == self.type else []


@dataclass(frozen=True, slots=True)
class ExtensionOf:
    """The extensions of one url."""

    url: str

    def follow(self, _run: "Run", item: Item) -> list[Item]:
        """Return the extensions of the url."""
        return [each for each in item.children("extension") if each.value.get("url") == self.url]


@dataclass(frozen=True, slots=True)
class Resolve:
    """The target of a reference."""

    def follow(self, run: "Run", item: Item) -> list[Item]:
        """Return the resource that the reference names, if it can be found."""
        found = run.resolve(item)
        return [] if found is None else [found]


PathStep = Name | OfType | ExtensionOf | Resolve


def parse_path(path: str) -> tuple[PathStep, ...] | None:
    """Return the steps of a discriminator's path, None where it is no such path; `$this` has none."""
    steps: list[PathStep] = []
    position = 0
    while position < len(path):
        found = _STEP.match(path, position)
        if found is None:
            return None
        if found["name"]:
            steps.append(Name(found["name"]))
        elif found["type"]:
            steps.append(OfType(found["type"]))
        elif found["url"] is not None:
            steps.append(ExtensionOf(found["url"]))
        elif found[0] == "resolve()":
            steps.append(Resolve())
        position = found.end()
        if position < len(path) and path[position] != ".":
            return None
        position += 1
    return tuple(steps)


def follow(run: "Run", item: Item, steps: tuple[PathStep, ...]) -> list[Item]:
    """Return the items that `steps` lead to from `item`."""
    items = [item]
    for step in steps:
        items = [found for each in items for found in step.follow(run, each)]
    return items
