"""What values of a search refer to and only stored resources can answer: value sets, hierarchies.

The port between reading a search and the database; `stored_terminology` and
`hierarchy` implement it.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from hie.core.fhir.json import JsonObject

# A code with its system, "" where the source names none.
Code = tuple[str, str]


class Unindexed(NamedTuple):
    """A current version whose words the index may lack."""

    rid: int
    seq: int
    resource: JsonObject


class LookUp(Protocol):
    """Answers from what is stored."""

    def members(self, value_set: str) -> Sequence[Code]:
        """Return the codes of the value set with the canonical URL or reference `value_set`.

        A code of "" stands for all of the system. Raises MalformedSearchError for one that is not
        stored, or too large.
        """
        ...

    def below(self, system: str, code: str) -> Sequence[str]:
        """Return `code` and the codes that it subsumes; raises MalformedSearchError for an unknown system."""
        ...

    def above(self, system: str, code: str) -> Sequence[str]:
        """Return `code` and the codes that subsume it; raises MalformedSearchError for an unknown system."""
        ...

    def parts(self, resource_type: str, resource_id: str, parameter: int, *, is_above: bool) -> Sequence[str]:
        """Return the ids of the resource and of all that are part of it, or of all that it is part of.

        `parameter` is the reference parameter of `resource_type` that leads to the whole.
        """
        ...

    def unindexed(self, resource_type: str) -> Sequence[Unindexed]:
        """Return the resources whose words `_text` and `_content` cannot find in the index yet.

        Empty when they are too many to look at: then the search is of what is indexed.
        """
        ...
