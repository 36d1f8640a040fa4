"""$de-identify: a bulk export for a project, in which nobody can be known. No operation of HL7.

A bulk export as of https://hl7.org/fhir/uv/bulkdata/STU2/export.html, of the system or of a group; what is
left of each resource is what `hie/privacy/deidentification.yaml` says. Here the request is read and becomes a
job; what the job does is in `fhir_server.bulk.deidentified`.
"""

from typing import Final

from fhir_server.bulk.deidentified import KIND, PATIENT
from fhir_server.bulk.kick_off import Reader
from fhir_server.bulk.scope import scope_of, selection
from fhir_server.jobs.kick_off import begin, require_async
from fhir_server.operations.operation import OWN, Call, Definition, Operation, Reply
from fhir_server.operations.parameter import Parameter
from fhir_server.subscriptions.on_behalf import on_behalf
from hie.core.access import Attempt
from hie.core.errors import MissingParameterError, NotFoundError

_PARAMETERS: Final = (
    Parameter(
        "project", "in", 1, "1", "string", "The id of an approved project that the requester takes part in"
    ),
    Parameter("_outputFormat", "in", 0, "1", "string", "application/fhir+ndjson, also as ndjson"),
    Parameter("_type", "in", 0, "*", "string", "Resource types, separated by commas; Patient is always one"),
    Parameter(
        "_typeFilter", "in", 0, "*", "string", "Searches such as Observation?code=1234; one must match"
    ),
)


def handle(call: Call) -> Reply:
    """Begin the export; raises what is wrong with its parameters before there is a job."""
    server, transaction = call.server, call.transaction
    server.repository.decide(transaction, Attempt("$de-identify", None))
    require_async(call.headers, "de-identify")
    project = call.inputs.one("project")
    if not project:
        raise MissingParameterError("`project` is missing", expression="project")
    if server.deidentification is None:
        raise NotFoundError(f"There is no project `{project}`")
    reader = server.deidentification.reader(transaction, project)
    level = "system" if call.resource_type is None else "group"
    kick_off = Reader(is_lenient=False).read(
        call.inputs, level=level, group=call.resource_id, is_get=call.is_get
    )
    kept = kick_off.to_json()
    if kick_off.types:
        kept["types"] = list(dict.fromkeys((PATIENT, *kick_off.types)))
    with on_behalf(transaction, reader):
        scope = scope_of(server.repository, transaction, kick_off, server.base_url)
    # As who asks: a filter must not tell what is masked for it.
    for name in dict.fromkeys(each.type for each in kick_off.filters):
        selection(server.repository, transaction, scope, name)
    return begin(call, KIND, {**kept, "project": project})


OPERATION: Final = Operation(
    Definition(
        code="de-identify",
        url=f"{OWN}de-identify",
        levels=frozenset({"system", "instance"}),
        types=("Group",),
        affects_state=False,
        parameters=_PARAMETERS,
        documentation="De-identified NDJSON files of everything, or of the compartments of a group's members,"
        " with a report, made asynchronously.",
    ),
    handle,
)
