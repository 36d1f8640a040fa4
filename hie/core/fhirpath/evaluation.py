"""What an evaluation knows beside the expression: the environment of the caller, the frame of each step."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from hie.core.fhir.json import Json, JsonObject
from hie.core.fhirpath.node import Items, Node
from hie.core.fhirpath.resources import node_of
from hie.core.language_errors import FhirPathError, FhirPathLimitError

# Some seconds of work, and far beyond what an expression needs on a resource of megabytes.
_BUDGET: Final = 1_000_000
# No text that an expression makes may be longer, so that none doubles itself without end.
LONGEST_TEXT: Final = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Environment:
    """What the caller gives to an evaluation.

    `variables` are ``%name`` -> a JSON value (a str is a String, a dict an element or resource), a System
    value, a Node or a list of them. `now` is the aware time of ``now()``, ``today()`` and ``timeOfDay()``.
    `resolve` returns the resource of a reference ("Patient/1"), None where there is none. `member_of` says
    whether a code (str), Coding or CodeableConcept (objects) is in the ValueSet of a canonical, None where
    that is not known; `conforms_to` whether a resource conforms to a profile, None where the profile is not
    known. `resource` is ``%resource`` for evaluations on an element; `root` is ``%rootResource``, the
    container of a contained resource.
    """

    variables: Mapping[str, Any] = field(default_factory=dict)
    now: datetime | None = None
    resolve: Callable[[str], JsonObject | None] | None = None
    member_of: Callable[[Json, str], bool | None] | None = None
    root: JsonObject | None = None
    resource: JsonObject | None = None
    conforms_to: Callable[[JsonObject, str], bool | None] | None = None
    trace: Callable[[str, list[Json]], None] | None = None


NOTHING_KNOWN: Final = Environment()
_NOTHING: Final[Items] = []  # no collection is ever changed


class Run:
    """One evaluation: where it begins (`context`), its environment, what it may still cost."""

    __slots__ = ("budget", "context", "environment", "has_places")

    def __init__(
        self,
        environment: Environment,
        context: Items,
        has_places: bool,  # noqa: FBT001 # by position: it is made for every evaluation, and names cost
    ) -> None:
        self.environment = environment
        self.context = context
        # Whether nodes must know where they stand.
        self.has_places = has_places
        self.budget = _BUDGET

    def resource(self) -> Node | None:
        """Return ``%resource``: what the evaluation begins at, if that is a resource and none is given."""
        given = self.environment.resource
        if given is not None:
            return node_of(given)
        start = self.context[0]
        if isinstance(start, Node) and (start.shape.is_resource or not start.shape.is_known):
            return start
        return None if self.environment.root is None else node_of(self.environment.root)

    def root(self) -> Node | None:
        """Return ``%rootResource``: the container of a contained resource, else the resource."""
        return self.resource() if self.environment.root is None else node_of(self.environment.root)

    def spend(self, steps: int) -> None:
        """Count `steps` of work. Raises FhirPathLimitError where it is too much."""
        self.budget -= steps
        if self.budget < 0:
            raise FhirPathLimitError("The evaluation takes too many steps")

    def now(self) -> datetime:
        """Return the time of the evaluation."""
        if self.environment.now is None:
            raise FhirPathError("The expression asks for the time, and the evaluation is given none")
        return self.environment.now


class Frame:
    """Where an expression begins: `items` is ``$this``; `index` is ``$index``, and `total` is ``$total``."""

    __slots__ = ("index", "items", "run", "total")

    def __init__(self, items: Items, run: Run, total: Items = _NOTHING) -> None:
        self.items = items
        self.run = run
        self.index = 0
        self.total = total


# An expression: where it begins to what it finds. A step: what was found to what it makes of it.
Closure = Callable[[Frame], Items]
Step = Callable[[Items, Frame], Items]
