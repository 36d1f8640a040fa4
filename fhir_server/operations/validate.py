"""$validate: what is wrong with a resource, said and not done.

https://hl7.org/fhir/R4/resource-operation-validate.html. Answers 200 with an OperationOutcome whatever
is found; only a request that cannot be understood is an error. What is checked is up to
`fhir_server.validation`; here is what the modes ask beside it.
"""

from typing import Final

from fhir_server.operations.operation import HL7, Call, Definition, Operation, Reply
from fhir_server.operations.parameter import Parameter
from hie.core.access import Attempt
from hie.core.errors import ExchangeError, Issue, NotFoundError, ParameterValueError, outcome
from hie.core.fhir.json import JsonObject, dumps, loads

_MODES: Final = ("create", "update", "delete", "profile")

DEFINITION: Final = Definition(
    code="validate",
    url=f"{HL7}Resource-validate",
    levels=frozenset({"type", "instance"}),
    types=(),
    affects_state=False,
    parameters=(
        Parameter(
            "resource", "in", 0, "1", "Resource", "The resource to check; of an instance, else what is stored"
        ),
        Parameter("mode", "in", 0, "1", "code", "What it is checked for: create, update, delete or profile"),
        Parameter("profile", "in", 0, "1", "uri", "The canonical of a profile that it is to conform to"),
        Parameter("return", "out", 1, "1", "OperationOutcome", "What was found; no error means valid"),
    ),
    documentation="Checks a resource against FHIR R4, the profiles it claims, and one that is named.",
)


def handle(call: Call) -> Reply:
    """Return the OperationOutcome; raises RequestError for a mode that is none or makes no sense here."""
    mode = call.inputs.one("mode", "code")
    if mode is not None and mode not in _MODES:
        raise ParameterValueError(
            f"The mode `{mode}` is not one of {', '.join(_MODES)}", expression=call.inputs.expression("mode")
        )
    if mode in ("update", "delete") and call.resource_id is None:
        raise ParameterValueError(
            f"The mode `{mode}` is for an instance: call $validate of one",
            expression=call.inputs.expression("mode"),
        )
    profile = call.inputs.one("profile", "uri")
    given = call.inputs.resource("resource")
    if mode == "delete":
        return _reply(_deletion(call))
    if given is None and call.resource_id is None:
        raise ParameterValueError("There is no resource to validate", expression="resource")
    resource = _stored(call) if given is None else given
    return _reply(_findings(call, resource, mode, [] if profile is None else [profile]))


def _findings(call: Call, resource: JsonObject, mode: str | None, profiles: list[str]) -> list[Issue]:
    if resource.get("resourceType") != call.resource_type:
        named = resource.get("resourceType")
        message = f"The resource is a {named}, and this is the $validate of {call.resource_type}"
        return [Issue("error", "invalid", message, "resourceType")]
    issues = call.server.repository.examine(resource, profiles, lambda literal: _resolved(call, literal))
    return issues + _conditions(call, resource, mode)


def _conditions(call: Call, resource: JsonObject, mode: str | None) -> list[Issue]:
    """Return what stands in the way of a create or update beside the content."""
    resource_type = call.resource_type or ""
    issues: list[Issue] = []
    if mode == "update" and resource.get("id") != call.resource_id:
        given = resource.get("id")
        message = f"The id of an update is that of its URL, `{call.resource_id}`, not `{given}`"
        issues.append(Issue("error", "invalid", message, f"{resource_type}.id"))
    if mode in ("create", "update"):
        resource_id = call.resource_id if mode == "update" else None
        issues += _permission(call, Attempt(mode, resource_type, resource_id, resource))
    return issues


def _deletion(call: Call) -> list[Issue]:
    resource_type, resource_id = call.resource_type or "", call.resource_id
    try:
        stored = _stored(call)
    except NotFoundError as error:
        return error.issues
    return _permission(call, Attempt("delete", resource_type, resource_id, read_stored=lambda: stored))


def _permission(call: Call, attempt: Attempt) -> list[Issue]:
    try:
        call.server.repository.decide(call.transaction, attempt)
    except ExchangeError as error:
        return error.issues
    return []


def _stored(call: Call) -> JsonObject:
    stored = call.server.repository.read(call.transaction, call.resource_type or "", call.resource_id or "")
    found: JsonObject = loads(stored.body or b"{}")
    return found


def _resolved(call: Call, literal: str) -> JsonObject | None:
    """Return the resource that a reference names, as far as the requester may read it."""
    resource_type, _, rest = literal.removeprefix(f"{call.server.base_url}/").partition("/")
    resource_id = rest.partition("/_history/")[0]
    try:
        stored = call.server.repository.read(call.transaction, resource_type, resource_id)
    except ExchangeError:  # unknown type, bad id, not there, not readable: nothing to follow
        return None
    found: JsonObject = loads(stored.body or b"{}")
    return found


def _reply(issues: list[Issue]) -> Reply:
    return Reply(
        body=dumps(outcome(issues or [Issue("information", "informational", "No issues were found")]))
    )


OPERATION: Final = Operation(DEFINITION, handle)
