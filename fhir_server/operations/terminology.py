"""What the operations on code systems and value sets share: the port, and the value set they are about."""

from fhir_server.interactions.server import Server
from fhir_server.operations.operation import Call
from hie.core.errors import InternalError, MissingParameterError
from hie.core.fhir.json import JsonObject, loads
from hie.core.ports import Terminology


def is_available(server: Server) -> bool:
    """Say whether the server has a terminology."""
    return server.terminology is not None


def terminology_of(call: Call) -> Terminology:
    """Return the terminology of the server, without which these operations are not there."""
    if call.server.terminology is None:
        raise InternalError("A terminology operation is called without a terminology")
    return call.server.terminology


def value_set_of(call: Call) -> str | JsonObject:
    """Return the value set that is named: stored, given, or known by its canonical.

    Raises MissingParameterError, NotFoundError.
    """
    if call.resource_id is not None:
        stored = call.server.repository.read(call.transaction, "ValueSet", call.resource_id)
        found: JsonObject = loads(stored.body or b"{}")
        return found
    given = call.inputs.resource("valueSet")
    if given is not None:
        return given
    url: str | None = call.inputs.one("url")
    if url is None:
        raise MissingParameterError("A value set is needed: `url` or `valueSet`", expression="url")
    return url
