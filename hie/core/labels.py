"""The port of security labels: what says which of them a resource carries when it is stored.

https://hl7.org/fhir/R4/security-labels.html. `hie.policy.labelling` implements it, the repository asks it.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from hie.core.fhir.json import JsonObject


class Labeller(Protocol):
    """Says which security labels a resource carries; all return the content itself where none is missing."""

    @property
    def known(self) -> frozenset[tuple[str, str]]:
        """System and code of the labels that outlast an update and pass on to what is derived."""
        ...

    @property
    def is_lasting(self) -> bool:
        """Whether `kept` and `inherited` are to be asked, which costs a look at what is stored."""
        ...

    def own(self, content: JsonObject, text: bytes) -> JsonObject:
        """Return `content` with the labels of its codes; `text` is its compact JSON."""
        ...

    def kept(self, content: JsonObject, stored: JsonObject) -> JsonObject:
        """Return `content` with the known labels of `stored`, the version before it."""
        ...

    def inherited(self, content: JsonObject, labels: Iterable[tuple[str, str]]) -> JsonObject:
        """Return `content` with those of `labels` that are known."""
        ...

    def sources(self, content: JsonObject) -> Sequence[str]:
        """Return what `content` is derived from, as "Observation/1"."""
        ...
