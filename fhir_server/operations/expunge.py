"""$expunge: physical removal, for operators. Not one of HL7's operations.

The parameters are those of the operation of the same name in other servers
(https://docs.oracle.com/en/industries/health-sciences/healthcare-data-repository/8.2.0.5/fhir-guide/expunge-operation.html).
The access policy is asked for
"$expunge"; what is removed cannot be brought back.
"""

from typing import Final

from fhir_server.operations.operation import OWN, Call, Definition, Operation, Reply
from fhir_server.operations.outputs import parameters_reply
from fhir_server.operations.parameter import Parameter
from fhir_server.store.expunge import Expunged
from hie.core.errors import MissingParameterError, ParameterValueError

_LIMIT: Final = 1_000
_DELETED: Final = "expungeDeletedResources"
_PREVIOUS: Final = "expungePreviousVersions"
_EVERYTHING: Final = "expungeEverything"

DEFINITION: Final = Definition(
    code="expunge",
    url=f"{OWN}expunge",
    levels=frozenset({"system", "type", "instance"}),
    types=(),
    affects_state=True,
    parameters=(
        Parameter("limit", "in", 0, "1", "positiveInt", f"Versions removed at most; {_LIMIT} unless given"),
        Parameter(_DELETED, "in", 0, "1", "boolean", "Remove deleted resources with all their versions"),
        Parameter(_PREVIOUS, "in", 0, "1", "boolean", "Remove superseded versions"),
        Parameter(_EVERYTHING, "in", 0, "1", "boolean", "Remove all resources, current ones too"),
        Parameter("count", "out", 1, "1", "integer", "How many versions are gone; repeat until it is 0"),
    ),
    documentation="Physical removal of superseded versions, deleted resources, or everything; for operators.",
    takes_version=True,
)


def handle(call: Call) -> Reply:
    """Return how many versions were removed; raises ForbiddenError, MissingParameterError."""
    inputs = call.inputs
    wanted = Expunged(
        call.resource_type,
        call.resource_id,
        call.version,
        limit=inputs.one("limit") or _LIMIT,
        is_previous=inputs.one(_PREVIOUS) or False,
        is_deleted=inputs.one(_DELETED) or False,
        is_everything=inputs.one(_EVERYTHING) or False,
    )
    if not (wanted.is_previous or wanted.is_deleted or wanted.is_everything):
        raise MissingParameterError(
            f"$expunge is told by `{_PREVIOUS}`, `{_DELETED}` or `{_EVERYTHING}` what to remove",
            expression="Parameters.parameter",
        )
    if wanted.version is not None and not wanted.is_previous:
        raise ParameterValueError(
            f"One version is removed by `{_PREVIOUS}`", expression=inputs.expression(_PREVIOUS)
        )
    count = call.server.repository.expunge(call.transaction, wanted)
    return parameters_reply([("count", "valueInteger", count)])


OPERATION: Final = Operation(DEFINITION, handle)
