"""The compartments of R4 and the search parameters by which resources belong to them.

Reads `definitions.json` (made by `definitions_extract`); searches nothing
(https://hl7.org/fhir/R4/compartmentdefinition.html#compartments).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import orjson

from fhir_server.index.hashing import param_id

_FILE: Final = Path(__file__).with_name("definitions.json")
# Stands for the resource itself that the compartment is named after.
_SELF: Final = "{def}"


@dataclass(frozen=True, slots=True)
class Compartment:
    """The kind of compartment that each resource of type `code` has.

    `url` is the canonical of its CompartmentDefinition. `members` has, by resource type, the
    reference parameters of which one must lead to that resource; types that cannot belong to it are
    absent. The resource itself belongs to its compartment whatever `members` says of its type.
    """

    code: str
    url: str
    members: Mapping[str, tuple[str, ...]]

    @property
    def types(self) -> tuple[str, ...]:
        """The types that can belong to it, sorted, its own among them."""
        return tuple(sorted({*self.members, self.code}))

    def parameters_of(self, resource_type: str) -> tuple[str, ...]:
        """Return the reference parameters of `resource_type`, () where none makes it a member."""
        return self.members.get(resource_type, ())

    def numbers(self, resource_types: Iterable[str]) -> list[int]:
        """Return the numbers (`ix_reference.param`) of the parameters of `resource_types`, sorted."""
        return sorted(
            {param_id(name, code) for name in resource_types for code in self.members.get(name, ())}
        )


@cache
def load_compartments() -> Mapping[str, Compartment]:
    """Return the five compartments of R4 by the type that they are named after."""
    content = orjson.loads(_FILE.read_bytes())["compartments"]
    return {
        code: Compartment(
            code,
            entry["url"],
            {
                name: kept
                for name, params in entry["members"].items()
                if (kept := tuple(each for each in params if each != _SELF))
            },
        )
        for code, entry in content.items()
    }
