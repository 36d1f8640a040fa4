"""Practitioners in a role: who asked, observed, interpreted, for which organization, at which place.

A PractitionerRole has no number in v2: its identifier is derived from what is said of it, so that the same
words make the same role. Everything here depends on the words alone and is recalled (see `memory`).

https://build.fhir.org/ig/HL7/v2-to-fhir/datatype_maps.html (XCN[PractitionerRole], NDL[PractitionerRole])
"""

from hie.core.errors import DataTypeError
from hie.core.fhir.json import Json, JsonObject, dumps
from hl7_gateway.convert.accounting import Account, Reads, is_read_whole
from hl7_gateway.convert.makers import reads_of
from hl7_gateway.convert.memory import recall
from hl7_gateway.convert.mentions import Mention, mention_of, refer
from hl7_gateway.convert.naming import IDENTIFIERS, name_uuid
from hl7_gateway.convert.report import Unmapped
from hl7_gateway.convert.run import Run
from hl7_gateway.datatypes.registry import Convert, DataType
from hl7_gateway.er7.message import Repetition, Segment
from hl7_gateway.sender import Sender

_known_reads: dict[str, Reads] = {}


def role_of(
    sender: Sender,
    *,
    code: JsonObject | None = None,
    person: JsonObject | None = None,
    organization: JsonObject | None = None,
    places: tuple[Mention, ...] = (),
    period: JsonObject | None = None,
) -> tuple[tuple[Mention, ...], ...]:
    """Return what a role is made of, the role last; each item is one resource, or a chain of Locations.

    `person` and `organization` are parts of a Practitioner and an Organization.
    """
    parts: list[tuple[Mention, ...]] = []
    content: JsonObject = {}
    if code is not None:
        content["code"] = [code]
    for name, kind, part in (
        ("practitioner", "Practitioner", person),
        ("organization", "Organization", organization),
    ):
        if part is not None:
            mention = mention_of(kind, part, sender)
            parts.append((mention,))
            content[name] = _reference(mention)
    if places:
        parts.append(places)
        content["location"] = [_reference(places[0])]
    if period:
        content["period"] = period
    value = name_uuid(IDENTIFIERS, dumps(content).decode())
    identifier = {"system": sender.system("PractitionerRole"), "value": value}
    parts.append((mention_of("PractitionerRole", {"identifier": [identifier], **content}, sender),))
    return tuple(parts)


def put(run: Run, parts: tuple[tuple[Mention, ...], ...], segment: Segment) -> JsonObject | None:
    """Put `parts` into the Bundle and return a Reference to the last, None when there are none."""
    reference: JsonObject | None = None
    for chain in parts:
        reference = refer(run, chain, segment)
    return reference


def converted(
    segment: Segment,
    field: int,
    number: int,
    datatype: DataType,
    run: Run,
    account: Account,
    function: Convert | None = None,
) -> Json:
    """Return what `datatype` makes of the repetition `number` of a field, and cover what it read.

    What it drops or cannot read goes into the report. The result is shared: copy it before adding to it.
    `function` is the data type's function with its parameters settled, and lives as long as the module.
    """
    repetitions = segment.repetitions(field)
    repetition = repetitions[number]
    context = run.context
    try:
        value = recall(run.memory, function or datatype.function, repetition, context)
    except DataTypeError as error:
        value = None
        context.drop(0, error.message)
    if value is not None:
        reads = _reads(datatype)
        if len(repetitions) == 1 and is_read_whole(repetition, reads):
            account.whole.add(field)
        else:
            account.cover_repetition(field, number, reads)
    if context.dropped:
        report_dropped(segment, field, number, repetition, run)
    return value


def report_dropped(segment: Segment, field: int, number: int, repetition: Repetition, run: Run) -> None:
    """Report what the function called last did not use of `repetition`, and forget it."""
    for component, reason in run.context.dropped:
        where = f"{segment.name}-{field}" + (f"[{number + 1}]" if number else "")
        parts = (repetition[component - 1],) if 0 < component <= len(repetition) else repetition
        length = sum(len(text) for part in parts for text in part)
        if component:
            where = f"{where}.{component}"
        run.report.unmapped.append(Unmapped(where, length, reason, segment.index))
    run.context.dropped.clear()


def _reads(datatype: DataType) -> Reads:
    reads = _known_reads.get(datatype.name)
    if reads is None:
        reads = _known_reads[datatype.name] = reads_of(datatype)
    return reads


def _reference(mention: Mention) -> JsonObject:
    if mention.display is None:
        return {"reference": mention.address.full_url}
    return {"reference": mention.address.full_url, "display": mention.display}
