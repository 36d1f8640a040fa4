"""Who asked for an examination and who did what in it: ORC-12, OBR-16, OBR-32 to 35, OBX-16, OBX-23 to 25.

https://build.fhir.org/ig/HL7/v2-to-fhir/segment_maps.html (ORC, OBR, OBX)
"""

from typing import Final, NamedTuple

from hie.core.errors import DataTypeError
from hie.core.fhir.json import JsonObject
from hl7_gateway.convert.accounting import Account, Reads
from hl7_gateway.convert.functions import named_function
from hl7_gateway.convert.makers import reads_of
from hl7_gateway.convert.memory import recall
from hl7_gateway.convert.mentions import Mention, mention_of
from hl7_gateway.convert.roles import converted, put, report_dropped, role_of
from hl7_gateway.convert.run import Run
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.dtm import date_time
from hl7_gateway.datatypes.registry import find
from hl7_gateway.er7.message import Repetition, Segment

_PERSON: Final = find("XCN_Practitioner")
_ORGANIZATION: Final = find("XON_Organization")
_ADDRESS: Final = find("XAD_Address")
_TELECOM: Final = find("XTN_ContactPoint")
_NDL_PERSON: Final = find("NDL_Practitioner")
_NDL_PLACE: Final = find("NDL_Location")
_NDL_READS: Final[Reads] = (11, 1, 1, 1, 1, 1, 3, 0, 0, 1, 1)
_PERSON_READS: Final = reads_of(_PERSON)
_PERFORMER_FUNCTION: Final = "http://hl7.org/fhir/StructureDefinition/event-performerFunction"
_PARTICIPATION_TYPES: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_OBSERVER: Final[JsonObject] = {
    "coding": [
        {"system": "http://terminology.hl7.org/CodeSystem/practitioner-role", "code": "responsibleObserver"}
    ]
}
_DIRECTOR: Final[JsonObject] = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0912", "code": "MDIR"}]
}


class _Fields(NamedTuple):
    """The fields of a segment that speak of one person and the organization behind it."""

    person: int
    person_address: int
    organization: int
    address: int
    telecom: int


_ASKING: Final = _Fields(12, 24, 21, 22, 23)
_DIRECTING: Final = _Fields(25, 0, 23, 24, 0)


@named_function
def requester(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """ORC-12 asks; where the facility (ORC-21 to ORC-23) is named too, in a PractitionerRole there."""
    person = _person(segment, _ASKING, run, account)
    facility = _organization(segment, _ASKING, run, account)
    if person is None and (facility is None or _is_asked_in_detail(segment, run)):
        return
    _ask(person, facility, resource, run, segment)


@named_function
def requester_of_detail(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """OBR-16 asks if ORC-12 is not valued, for the facility of the ORC; one person is said once."""
    order = run.frame.segment
    facility: JsonObject | None = None
    if order is not None and order.name == "ORC":
        if order.raw(12):
            if order.raw(12) == segment.raw(16):
                account.cover(16, _PERSON_READS)
            return
        facility = _organization(order, _ASKING, run, Account(order))
    person = converted(segment, 16, 0, _PERSON, run, account)
    if person is not None or facility is not None:
        _ask(person, facility, resource, run, segment)


@named_function
def principal_interpreter(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """OBR-32 interprets the results, in a role at a place."""
    _interpret(segment, 32, resource, run, account)


@named_function
def assistant_interpreters(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """OBR-33 interpret the results as well."""
    _interpret(segment, 33, resource, run, account)


@named_function
def technicians(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """OBR-34 perform as secondary performers (IG)."""
    _perform(segment, 34, "SPRF", resource, run, account)


@named_function
def transcriptionists(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """OBR-35 perform as transcribers."""
    _perform(segment, 35, "TRANS", resource, run, account)


@named_function
def responsible_observers(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """Each of OBX-16 performs in the role of responsible observer."""
    for number, repetition in enumerate(segment.repetitions(16)):
        if converted(segment, 16, number, _PERSON, run, account) is not None:
            parts = recall(run.memory, _observer, repetition, run.context)
            run.context.dropped.clear()  # reported when it was converted
            resource.setdefault("performer", []).append(put(run, parts, segment))


@named_function
def performing_organization(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """OBX-23 with the address OBX-24 performs; with a medical director (OBX-25) the director does, for it."""
    organization = _organization(segment, _DIRECTING, run, account)
    director = _person(segment, _DIRECTING, run, account)
    if director is not None:
        parts = role_of(run.sender, code=_DIRECTOR, person=director, organization=organization)
    elif organization is not None:
        parts = ((mention_of("Organization", organization, run.sender),),)
    else:
        return
    resource.setdefault("performer", []).append(put(run, parts, segment))


def _interpret(segment: Segment, field: int, resource: JsonObject, run: Run, account: Account) -> None:
    for reference in _roles(segment, field, run, account):
        resource.setdefault("resultsInterpreter", []).append(reference)


def _perform(
    segment: Segment, field: int, code: str, resource: JsonObject, run: Run, account: Account
) -> None:
    function = {"coding": [{"system": _PARTICIPATION_TYPES, "code": code}]}
    extension = [{"url": _PERFORMER_FUNCTION, "valueCodeableConcept": function}]
    for reference in _roles(segment, field, run, account):
        resource.setdefault("performer", []).append({"extension": extension, **reference})


def _ask(
    person: JsonObject | None, facility: JsonObject | None, resource: JsonObject, run: Run, segment: Segment
) -> None:
    parts: tuple[tuple[Mention, ...], ...] = ()
    if facility is not None:
        parts = role_of(run.sender, person=person, organization=facility)
    elif person is not None:
        parts = ((mention_of("Practitioner", person, run.sender),),)
    resource["requester"] = put(run, parts, segment)


def _observer(repetition: Repetition, context: Context) -> tuple[tuple[Mention, ...], ...]:
    person = _PERSON.function(repetition, context)
    return role_of(context.sender, code=_OBSERVER, person=person if isinstance(person, dict) else None)


def _person(segment: Segment, fields: _Fields, run: Run, account: Account) -> JsonObject | None:
    if not segment.raw(fields.person):
        return None
    person: JsonObject | None = converted(segment, fields.person, 0, _PERSON, run, account)
    if person is None or not fields.person_address or not segment.raw(fields.person_address):
        return person
    address = converted(segment, fields.person_address, 0, _ADDRESS, run, account)
    return person if address is None else {**person, "address": [address]}


def _organization(segment: Segment, fields: _Fields, run: Run, account: Account) -> JsonObject | None:
    if not segment.raw(fields.organization):
        return None
    named = converted(segment, fields.organization, 0, _ORGANIZATION, run, account)
    if named is None:
        return None
    organization: JsonObject = dict(named)
    for field, element, datatype in (
        (fields.address, "address", _ADDRESS),
        (fields.telecom, "telecom", _TELECOM),
    ):
        if field and segment.raw(field):
            numbers = range(len(segment.repetitions(field)))
            values = [converted(segment, field, number, datatype, run, account) for number in numbers]
            known = [value for value in values if value is not None]
            if known:
                organization[element] = known
    return organization


def _is_asked_in_detail(order: Segment, run: Run) -> bool:
    """Whether the OBR of this ORC names who asks."""
    for following in run.message.segments[order.index + 1 :]:
        if following.name == "ORC":
            return False
        if following.name == "OBR":
            return bool(following.raw(16))
    return False


def _roles(segment: Segment, field: int, run: Run, account: Account) -> list[JsonObject]:
    """Return References to the roles of an NDL field: a person, at a place, from a time to a time."""
    references: list[JsonObject] = []
    for number, repetition in enumerate(segment.repetitions(field)):
        person = converted(segment, field, number, _NDL_PERSON, run, account)
        places = converted(segment, field, number, _NDL_PLACE, run, account)
        if person is None and places is None:
            continue
        account.cover_repetition(field, number, _NDL_READS)
        parts = role_of(
            run.sender,
            person=person,
            places=tuple(mention_of("Location", place, run.sender) for place in places or ()),
            period=_period(repetition, run),
        )
        if run.context.dropped:
            report_dropped(segment, field, number, repetition, run)
        reference = put(run, parts, segment)
        if reference is not None:
            references.append(reference)
    return references


def _period(repetition: Repetition, run: Run) -> JsonObject:
    """Return the Period of NDL.2 and NDL.3; what is no time is not in it."""
    period: JsonObject = {}
    for component, name in ((2, "start"), (3, "end")):
        if len(repetition) < component or not repetition[component - 1][0]:
            continue
        try:
            moment = date_time(repetition[component - 1][0], run.sender.zone)
        except DataTypeError as error:
            run.context.drop(component, error.message)
            continue
        if moment is not None:
            period[name] = moment
    return period
