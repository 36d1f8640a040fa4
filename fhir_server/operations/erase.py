"""$erase: one patient's record made unreadable for good, for the security officer. Not one of HL7's.

个人信息保护法 (PIPL) article 47. Other than $expunge it takes all of a patient,
its key too, and is refused with the article of law while the record is to be kept.
"""

from typing import Final

from fhir_server.interactions.server import Server
from fhir_server.operations.operation import OWN, Call, Definition, Operation, Reply
from fhir_server.operations.outputs import parameters_reply
from fhir_server.operations.parameter import Parameter
from hie.core.access import Attempt
from hie.core.errors import ConfigurationError

DEFINITION: Final = Definition(
    code="erase",
    url=f"{OWN}erase",
    levels=frozenset({"instance"}),
    types=("Patient",),
    affects_state=True,
    parameters=(
        Parameter("reason", "in", 1, "1", "string", "Why it is erased; the audit trail keeps it"),
        Parameter("erased", "out", 1, "1", "boolean", "That nothing can be read any more"),
    ),
    documentation="Destroys the key of a patient's record and removes what is stored of it; refused while the"
    " law has it kept. What is about other patients too stays.",
)


def handle(call: Call) -> Reply:
    """Return that it is done; raises ForbiddenError, and ConflictError while the record is to be kept."""
    erasure = call.server.erasure
    if erasure is None or call.resource_id is None:
        raise ConfigurationError("This server has nothing that erases records")
    transaction = call.transaction
    call.server.repository.decide(transaction, Attempt("$erase", "Patient", call.resource_id))
    erasure.erase(transaction, call.resource_id, reason=call.inputs.one("reason") or "")
    return parameters_reply([("erased", "valueBoolean", True)])


def _is_available(server: Server) -> bool:
    return server.erasure is not None


OPERATION: Final = Operation(DEFINITION, handle, _is_available)
