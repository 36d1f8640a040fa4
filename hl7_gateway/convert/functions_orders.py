"""The segment functions of orders and reports: ORC, OBR and NTE.

https://build.fhir.org/ig/HL7/v2-to-fhir/segment_maps.html (ORC, OBR, NTE)
"""

from typing import Final

from hie.core.errors import DataTypeError
from hie.core.fhir.json import JsonObject
from hl7_gateway.convert.accounting import Account, Reads
from hl7_gateway.convert.functions import named_function
from hl7_gateway.convert.makers import reads_of
from hl7_gateway.convert.memory import keep
from hl7_gateway.convert.report import Unmapped
from hl7_gateway.convert.roles import converted
from hl7_gateway.convert.run import Run
from hl7_gateway.datatypes import primitives
from hl7_gateway.datatypes.codes import ALTERNATE_CODES, as_json, use_of
from hl7_gateway.datatypes.dtm import date_time
from hl7_gateway.datatypes.registry import DataType, find
from hl7_gateway.datatypes.st import whole
from hl7_gateway.er7.message import Segment

_ONE: Final[Reads] = (1,)
# PRL: the code and the sub-id are those of the parent; what else it says is not compared.
_PARENT_READS: Final[Reads] = (1, 1)
_BUSINESS_EVENT: Final = "http://hl7.org/fhir/StructureDefinition/businessEvent"
_CONTROL_STATUS: Final = "OrderControlCode[ServiceRequest.status]"
_RESULT_STATUS: Final = "ObservationResultStatusCodesInterpretation"
_STATUSES_THAT_SAY_MORE: Final = frozenset({"N", "X"})
_TQ_PRIORITY: Final = find("TQ_priority")
_PRIORITY: Final = find("CWE_priority")
_PLACER: Final = find("EI_PlacerIdentifier")
_FILLER: Final = find("EI_FillerIdentifier")


@named_function
def order_status(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """ORC-5 is the status, else ORC-1 (IG, ORC[ServiceRequest]); a code without target stays beside it."""
    translate = run.context.translator.translate
    code = segment.first(5).strip()
    if code:
        account.cover_repetition(5, 0, _ONE)
        use_of(code, run.context, "OrderStatus", resource, "status")
        return
    target = translate(_CONTROL_STATUS, segment.first(1).strip())
    if target is not None:
        resource["status"] = target.code


@named_function
def business_event(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """ORC-1 and ORC-9 are what happened to the order, and when."""
    control, when = segment.first(1).strip(), segment.first(9).strip()
    parts: list[JsonObject] = []
    if control:
        account.cover_repetition(1, 0, _ONE)
        coding = as_json(run.context.source_coding(_CONTROL_STATUS, control))
        parts.append({"url": "value", "valueCodeableConcept": {"coding": [coding]}})
    moment = _moment(segment, 9, when, run)
    if moment is not None:
        account.cover_repetition(9, 0, _ONE)
        parts.append({"url": "date", "valueDateTime": moment})
    if parts:
        resource.setdefault("extension", []).append({"url": _BUSINESS_EVENT, "extension": parts})


@named_function
def placer_number(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """OBR-2 is the placer's number unless ORC-2 of the same order says the same."""
    _number(segment, resource, run, account, 2, _PLACER)


@named_function
def filler_number(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """OBR-3 is the filler's number unless ORC-3 of the same order says the same."""
    _number(segment, resource, run, account, 3, _FILLER)


@named_function
def priority_of_order(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """ORC-7.6 is the priority."""
    _prioritize(segment, 7, _TQ_PRIORITY, resource, run, account)


@named_function
def priority_of_timing(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """TQ1-9 is the priority."""
    _prioritize(segment, 9, _PRIORITY, resource, run, account)


@named_function
def priority_of_detail(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """OBR-27.6, else OBR-5, is the priority."""
    _prioritize(segment, 27, _TQ_PRIORITY, resource, run, account)
    _prioritize(segment, 5, _PRIORITY, resource, run, account)


@named_function
def parent_result(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """OBR-26 names the result that this report follows up (an isolate); OBR-29 names its order.

    The guide leaves parent and child of microbiology to a later edition; R4 has Observation.hasMember.
    """
    child = run.frame.find("report")
    if child is None or child.resource is not resource:
        child = next((each for each in reversed(run.instances) if each.resource is resource), None)
    code, sub_id = segment.first(26), segment.first(26, 2)
    numbers = [segment.first(29, component) for component in (1, 2)]
    if child is None or not code:
        return
    for other in run.named("observation"):
        parent = other.links.get("report")
        if parent is None or parent is child or other.segment.first(3) != code:
            continue
        if sub_id and other.segment.first(4) != sub_id:
            continue
        known = {identifier["value"] for identifier in parent.resource.get("identifier", ())}
        if any(numbers) and not known.issuperset(number for number in numbers if number):
            continue
        child.links["parent_result"] = other
        account.cover_repetition(26, 0, _PARENT_READS)
        return


@named_function
def report_status(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """OBR-25 is the status; a code that FHIR lacks stays beside the status "unknown"."""
    code = segment.first(25).strip()
    if code:
        account.cover_repetition(25, 0, _ONE)
        use_of(code, run.context, "ResultStatus[Non-Queries]", resource, "status")


@named_function
def observation_status(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """OBX-11 is the status; "X" stays beside it, "N" says why there is no value (IG, OBX[Observation])."""
    raw = segment.fields[11]
    place = (_PLAIN_STATUSES, raw)
    status: str | None = run.memory.get(place)
    if status is None and raw.isalnum() and raw not in _STATUSES_THAT_SAY_MORE:
        plain = run.context.translator.translate(_RESULT_STATUS, raw)
        if plain is not None:
            status = plain.code
            keep(run.memory, place, status)
    if status is not None:
        account.whole.add(11)
        resource["status"] = status
        return
    code = segment.first(11).strip()
    if not code:
        return
    if raw == code:
        account.cover(11)
    else:
        account.cover_repetition(11, 0, _ONE)
    use_of(code, run.context, _RESULT_STATUS, resource, "status")
    if code == "X":
        original = {"coding": [as_json(run.context.source_coding(_RESULT_STATUS, code))]}
        resource["_status"] = {"extension": [{"url": ALTERNATE_CODES, "valueCodeableConcept": original}]}
    if code == "N" and not segment.raw(5):
        system = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
        resource["dataAbsentReason"] = {"coding": [{"system": system, "code": "not-asked"}]}


# What `memory` knows plain statuses by.
_PLAIN_STATUSES: Final = id(observation_status)


@named_function
def continued_text(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """A further OBX of one text adds its lines to the value; what it repeats of the first is said."""
    lines = [whole(repetition).rstrip() for repetition in segment.repetitions(5)]
    resource["valueString"] = "\n".join([*resource.get("valueString", "").splitlines(), *lines]).rstrip()
    account.cover(5)
    account.cover_repetition(2, 0, _ONE)
    before = run.message.segments[segment.index - 1]
    line, line_before = segment.raw(4), before.raw(4)
    are_numbers = line.isdecimal() and line_before.isdecimal() and len(line) < 10  # noqa: PLR2004 - a line
    is_next = are_numbers and int(line) == int(line_before) + 1
    if is_next or line == line_before:
        account.cover(4)
    for field in (3, 11, 14, 15, 16, 17, 18, 19, 23, 24, 25):
        if segment.raw(field) == before.raw(field):
            account.cover(field)


@named_function
def note_of_report(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """The lines of NTE-3 in the Annotation of an extension: R4's DiagnosticReport has no note."""
    note_text(segment, resource.setdefault("valueAnnotation", {}), run, account)


@named_function
def note_text(segment: Segment, resource: JsonObject, _run: Run, account: Account) -> None:
    """The repetitions of NTE-3 are the lines of one text."""
    lines = [whole(repetition) for repetition in segment.repetitions(3)]
    text = primitives.markdown("\n".join(lines))
    if text is not None:
        account.cover(3)
        resource["text"] = text


def _prioritize(
    segment: Segment, field: int, datatype: DataType, resource: JsonObject, run: Run, account: Account
) -> None:
    """Set the priority if none is set; another one than is set is left to the report."""
    if not segment.raw(field):
        return
    trial = Account(segment)
    value = converted(segment, field, 0, datatype, run, trial)
    if value is not None and resource.setdefault("priority", value) == value:
        account.cover_repetition(field, 0, reads_of(datatype))


def _number(
    segment: Segment, resource: JsonObject, run: Run, account: Account, field: int, datatype: DataType
) -> None:
    for number in range(len(segment.repetitions(field))):
        value = converted(segment, field, number, datatype, run, account)
        if value is not None and value not in resource.setdefault("identifier", []):
            resource["identifier"].append(value)


def _moment(segment: Segment, field: int, text: str, run: Run) -> str | None:
    if not text:
        return None
    try:
        return date_time(text, run.sender.zone)
    except DataTypeError as error:
        run.report.unmapped.append(
            Unmapped(f"{segment.name}-{field}", len(text), error.message, segment.index)
        )
        return None
