"""$import of NDJSON files: a job that stores what the files hold.

No standard defines it; the parameters are those that Microsoft's and other servers take
(https://learn.microsoft.com/azure/healthcare-apis/fhir/import-data), after the proposal
https://github.com/smart-on-fhir/bulk-import/blob/master/import.md. What the job does is in
`fhir_server.bulk.import_`; NDJSON in the body of the request is taken by `fhir_server.bulk.router`.
"""

from typing import Final

from fhir_server.bulk.import_ import KIND
from fhir_server.bulk.kick_off import FORMATS
from fhir_server.bulk.source import check_source
from fhir_server.jobs.kick_off import begin, require_async
from fhir_server.operations.operation import OWN, Call, Definition, Operation, Reply
from fhir_server.operations.parameter import Parameter
from fhir_server.store.identity import type_number
from hie.core.access import Attempt
from hie.core.errors import ParameterValueError
from hie.core.fhir.json import JsonObject

DEFINITION: Final = Definition(
    code="import",
    url=f"{OWN}import",
    levels=frozenset({"system"}),
    types=(),
    affects_state=True,
    parameters=(
        Parameter("inputFormat", "in", 0, "1", "string", "application/fhir+ndjson, the only format"),
        Parameter("inputSource", "in", 0, "1", "uri", "Where the files come from, kept with the job"),
        Parameter("mode", "in", 0, "1", "string", "IncrementalLoad, the only mode"),
        Parameter(
            "input",
            "in",
            1,
            "*",
            "",
            "One file",
            (
                Parameter("type", "in", 0, "1", "code", "The resource type of every line"),
                Parameter("url", "in", 1, "1", "uri", "Where the file is; the operator allows sources"),
            ),
        ),
    ),
    documentation="Stores NDJSON files: new resources, new versions of others, nothing for what is the same.",
)


def handle(call: Call) -> Reply:
    """Begin the import; raises ForbiddenError for a source that the operator does not allow."""
    require_async(call.headers, "import")
    call.server.repository.decide(call.transaction, Attempt("$import", None))
    given = call.inputs.one("inputFormat")
    if given is not None and given not in FORMATS:
        raise ParameterValueError(
            f"The input format `{given}` is not supported; application/fhir+ndjson is",
            expression=call.inputs.expression("inputFormat"),
        )
    mode = call.inputs.one("mode")
    if mode not in (None, "IncrementalLoad"):
        raise ParameterValueError(
            f"The mode `{mode}` is not supported; IncrementalLoad is",
            expression=call.inputs.expression("mode"),
        )
    files: list[JsonObject] = []
    for each in call.inputs.parts("input"):
        url, name = each.one("url"), each.one("type")
        check_source(url, call.server.import_sources, expression=each.expression("url"))
        if name is not None:
            type_number(name, expression=each.expression("type"))
        files.append({"url": url, "type": name})
    return begin(call, KIND, {"input": files, "inputSource": call.inputs.one("inputSource")})


OPERATION: Final = Operation(DEFINITION, handle)
