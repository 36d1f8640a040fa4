"""$lastn: the newest Observations of each code of a subject.

https://hl7.org/fhir/R4/observation-operation-lastn.html. What is considered is a search of Observation:
it must name the subject, and a category or a code.
"""

from typing import Final

from fhir_server.operations.newest import newest
from fhir_server.operations.operation import HL7, Call, Definition, Operation, Reply
from fhir_server.operations.outputs import MATCH, entry, searchset
from fhir_server.operations.parameter import Parameter
from hie.core.errors import MissingParameterError

_TYPE: Final = "Observation"
_SUBJECTS: Final = frozenset({"patient", "subject"})

DEFINITION: Final = Definition(
    code="lastn",
    url=f"{HL7}Observation-lastn",
    levels=frozenset({"type"}),
    types=(_TYPE,),
    affects_state=False,
    parameters=(
        Parameter("max", "in", 0, "1", "positiveInt", "How many of each code are returned; 1 unless given"),
        Parameter("return", "out", 1, "1", "Bundle", "A searchset, the last effective Observation first"),
    ),
    documentation="The newest Observations of each code among those that the search parameters select;"
    " `patient` or `subject` is needed, and `category` or a parameter of a code.",
    takes_search=True,
)


def handle(call: Call) -> Reply:
    """Return the searchset; raises MissingParameterError, and RequestError for a bad search parameter."""
    names = [name.partition(":")[0].partition(".")[0] for name, _ in call.inputs.search]
    if not _SUBJECTS.intersection(names):
        raise MissingParameterError(
            "$lastn needs the subject by `patient` or `subject`", expression="patient"
        )
    if not any(name == "category" or "code" in name.split("-") for name in names):
        raise MissingParameterError("$lastn needs a `category` or a `code`", expression="code")
    repository, transaction = call.server.repository, call.transaction
    considered = repository.considered(transaction, call.inputs.search)
    found = repository.kept(transaction, newest(considered, call.inputs.one("max") or 1))
    base = call.server.base_url.encode()
    return Reply(
        body=searchset([("self", call.url)], [entry(base, each, MATCH) for each in found], len(found))
    )


OPERATION: Final = Operation(DEFINITION, handle)
