"""What an operation is: its definition, and the function that does it.

https://hl7.org/fhir/R4/operations.html, https://hl7.org/fhir/R4/operationdefinition.html. A module of
this package that exports `OPERATION` (or `OPERATIONS`) is mounted, checked and listed in the
CapabilityStatement by itself (`fhir_server.operations.registry`). Not here: how inputs are read and
checked (`inputs`), and how an operation is called (`dispatch`).
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from fhir_server.interactions.server import Server
from fhir_server.operations.inputs import Inputs
from fhir_server.operations.parameter import Parameter
from hie.core.db.database import Transaction

Level = Literal["system", "type", "instance"]

HL7: Final = "http://hl7.org/fhir/OperationDefinition/"
# Operations that HL7 does not define stand under this.
OWN: Final = "http://hie.example/fhir/OperationDefinition/"


@dataclass(frozen=True, slots=True)
class Definition:
    """What an OperationDefinition says.

    `code` is without its "$"; `url` the canonical of the OperationDefinition; `types` the resource
    types whose type and instance levels have it, () for every type. `takes_search`: names that are no
    parameter are search parameters, which `Inputs.search` holds. `takes_version`: its instance level
    may be called on a version, ``/_history/[vid]/$op``. `is_lenient`: under
    ``Prefer: handling=lenient`` names that are no parameter are left out and told to the operation,
    which says so in its answer; else, and of all other operations, they are errors.
    """

    code: str
    url: str
    levels: frozenset[Level]
    types: tuple[str, ...]
    affects_state: bool
    parameters: tuple[Parameter, ...]
    documentation: str
    takes_search: bool = False
    takes_version: bool = False
    is_lenient: bool = False

    @property
    def inputs(self) -> tuple[Parameter, ...]:
        """The parameters of use "in"."""
        return tuple(each for each in self.parameters if each.use == "in")

    @property
    def takes_get(self) -> bool:
        """Say whether GET may call it: nothing changes, and what it must be given fits in a query string."""
        return not self.affects_state and all(each.is_primitive for each in self.inputs if each.min > 0)

    def serves(self, level: Level, resource_type: str | None) -> bool:
        """Say whether the operation is there at `level`, of `resource_type` below the system level."""
        if level not in self.levels:
            return False
        return level == "system" or not self.types or resource_type in self.types


@dataclass(slots=True)
class Call:
    """One call of an operation.

    `resource_type` and `resource_id` are None above their level; `version` is the one that
    ``/_history/[vid]/$op`` names. `url` is the request's, absolute, as clients see it, with its query.
    `ignored` are the names of inputs that lenient handling left out.
    """

    server: Server
    transaction: Transaction
    resource_type: str | None
    resource_id: str | None
    inputs: Inputs
    headers: Mapping[str, str]
    url: str
    is_get: bool
    version: int | None = None
    ignored: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer: `body` is the JSON of a resource, None for an answer without one."""

    status: int = 200
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


Handle = Callable[[Call], Reply]


def _always(_server: Server) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Operation:
    """An operation; `is_available` says whether a server has what it needs, else it is not there."""

    definition: Definition
    handle: Handle
    is_available: Callable[[Server], bool] = _always
