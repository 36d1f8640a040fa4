"""$export of Bulk Data Access 2.0: the system, all patients, a group of patients.

https://hl7.org/fhir/uv/bulkdata/STU2/export.html. Here the request is read and becomes a job; what
the job does is in `fhir_server.bulk.export`.
"""

from typing import Final

from fhir_server.bulk.export import KIND
from fhir_server.bulk.kick_off import Reader
from fhir_server.bulk.scope import scope_of, selection
from fhir_server.jobs.kick_off import begin, is_lenient, require_async
from fhir_server.operations.operation import Call, Definition, Level, Operation, Reply
from fhir_server.operations.parameter import Parameter

_CANONICAL: Final = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"

_COMMON: Final = (
    Parameter("_outputFormat", "in", 0, "1", "string", "application/fhir+ndjson, also as ndjson"),
    Parameter("_since", "in", 0, "1", "instant", "Only what was changed or deleted after this instant"),
    Parameter("_type", "in", 0, "*", "string", "Resource types, separated by commas"),
    Parameter(
        "_elements", "in", 0, "*", "string", "Elements to keep beside mandatory ones, [type].[element]"
    ),
    Parameter(
        "_typeFilter", "in", 0, "*", "string", "Searches such as Observation?code=1234; one must match"
    ),
    Parameter(
        "includeAssociatedData",
        "in",
        0,
        "*",
        "string",
        "LatestProvenanceResources or RelevantProvenanceResources",
    ),
)
_PATIENT: Final = Parameter(
    "patient", "in", 0, "*", "Reference", "By POST: only what is in the compartments of these patients"
)


def handle(call: Call) -> Reply:
    """Begin the export; raises what is wrong with its parameters before there is a job."""
    require_async(call.headers, "export")
    level = {None: "system", "Patient": "patient", "Group": "group"}[call.resource_type]
    kick_off = Reader(is_lenient=is_lenient(call.headers), ignored=call.ignored).read(
        call.inputs, level=level, group=call.resource_id, is_get=call.is_get
    )
    scope = scope_of(call.server.repository, call.transaction, kick_off, call.server.base_url)
    for name in dict.fromkeys(each.type for each in kick_off.filters):
        selection(call.server.repository, call.transaction, scope, name)
    return begin(call, KIND, kick_off.to_json())


def _operation(
    name: str, level: Level, types: tuple[str, ...], parameters: tuple[Parameter, ...], what: str
) -> Operation:
    return Operation(
        Definition(
            code="export",
            url=f"{_CANONICAL}{name}",
            levels=frozenset({level}),
            types=types,
            affects_state=False,
            parameters=parameters,
            documentation=f"NDJSON files of {what}, made asynchronously",
            is_lenient=True,
        ),
        handle,
    )


OPERATIONS: Final = (
    _operation("export", "system", (), _COMMON, "everything"),
    _operation("patient-export", "type", ("Patient",), (*_COMMON, _PATIENT), "all patients' compartments"),
    _operation(
        "group-export", "instance", ("Group",), (*_COMMON, _PATIENT), "the compartments of a group's members"
    ),
)
