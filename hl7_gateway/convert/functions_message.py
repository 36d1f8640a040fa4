"""The segment functions of the message header: what Provenance says of the message itself.

https://build.fhir.org/ig/HL7/v2-to-fhir/segment_maps.html (MSH, SFT).
"""

from hie.core.fhir.json import JsonObject
from hl7_gateway.convert.accounting import Account, is_read_whole
from hl7_gateway.convert.functions import named_function
from hl7_gateway.convert.memory import keep, recall
from hl7_gateway.convert.roles import report_dropped
from hl7_gateway.convert.run import Run
from hl7_gateway.datatypes.registry import find
from hl7_gateway.er7.message import Segment

_APPLICATION, _TYPE = 3, 9
_THREE = (1, 1, 1)
_application = find("HD_Identifier").bind(namespace="application")
_EVENTS = "http://terminology.hl7.org/CodeSystem/v2-0003"


@named_function
def message_type(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """MSH-9 is the activity: its event as code, the type as sent as text."""
    event = run.message.event
    place = (id(_activity), f"{segment.raw(_TYPE)}{segment.delimiters.field}{event}")
    known: tuple[JsonObject, bool] | None = run.memory.get(place)
    if known is None:
        known = _activity(segment, event)
        keep(run.memory, place, known)
    activity, is_whole = known
    if is_whole:
        account.whole.add(_TYPE)
    else:
        account.cover_repetition(_TYPE, 0, _THREE)
    resource["activity"] = activity.copy()


@named_function
def source_message(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """The message is the source entity, by MSH-10; the sending application (MSH-3) is the entity's agent."""
    control_id = run.message.control_id
    what = {"identifier": {"system": run.sender.system("message"), "value": control_id}}
    entity: JsonObject = {"role": "source", "what": what}
    repetitions = segment.repetitions(_APPLICATION)
    identifier = recall(run.memory, _application, repetitions[0], run.context) if repetitions else None
    if run.context.dropped:
        report_dropped(segment, _APPLICATION, 0, repetitions[0], run)
    if identifier is not None:
        if len(repetitions) == 1 and is_read_whole(repetitions[0], _THREE):
            account.whole.add(_APPLICATION)
        else:
            account.cover_repetition(_APPLICATION, 0, _THREE)
        # The identifier is the universal id where there is one; the name is what people call the system.
        who: JsonObject = {"type": "Device", "identifier": identifier}
        name = segment.first(_APPLICATION)
        if name:
            who["display"] = name
        entity["agent"] = [{"who": who}]
    resource["entity"] = [entity]


def _activity(segment: Segment, event: str) -> tuple[JsonObject, bool]:
    """Return the activity that MSH-9 names, and whether that is all it says."""
    texts = [segment.first(_TYPE, component) for component in (1, 2, 3)]
    activity: JsonObject = {"text": "^".join([text for text in texts if text])}
    if event:
        activity["coding"] = [{"system": _EVENTS, "code": event}]
    repetitions = segment.repetitions(_TYPE)
    return activity, len(repetitions) == 1 and is_read_whole(repetitions[0], _THREE)
