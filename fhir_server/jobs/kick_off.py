"""What every request that becomes a job has in common: it must say that it wants to be one.

https://hl7.org/fhir/R4/async.html: `Prefer: respond-async` (RFC 7240, section 4.1).
"""

from collections.abc import Mapping

from fhir_server.interactions.negotiation import Preferences, read_preferences
from fhir_server.jobs.service import Accepted
from fhir_server.operations.operation import Call, Reply
from hie.core.errors import RequestError
from hie.core.fhir.json import JsonObject


def require_async(headers: Mapping[str, str], code: str) -> None:
    """Raise RequestError unless the headers prefer an asynchronous answer."""
    if not _preferences(headers).responds_async:
        raise RequestError(
            f"${code} is answered asynchronously only: send the header `Prefer: respond-async`"
        )


def is_lenient(headers: Mapping[str, str]) -> bool:
    """Say whether what is not understood may be left out (``Prefer: handling=lenient``)."""
    return _preferences(headers).handling == "lenient"


def begin(call: Call, kind: str, parameters: JsonObject) -> Reply:
    """Begin a job for the call and return the answer 202."""
    accepted: Accepted = call.server.jobs.begin(
        call.transaction, kind=kind, request=call.url, parameters=parameters
    )
    return Reply(accepted.status, accepted.body, accepted.headers)


def _preferences(headers: Mapping[str, str]) -> Preferences:
    return read_preferences(next((value for name, value in headers.items() if name.lower() == "prefer"), ""))
