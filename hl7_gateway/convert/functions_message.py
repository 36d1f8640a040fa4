"""The segment functions of the message header: what Provenance says of the message itself.

https://build.fhir.org/ig/HL7/v2-to-fhir/segment_maps.html (MSH, SFT).
"""

from hie.core.fhir.json import JsonObject
from hl7_gateway.convert.accounting import Account
from hl7_gateway.convert.functions import named_function
from hl7_gateway.convert.memory import recall
from hl7_gateway.convert.roles import report_dropped
from hl7_gateway.convert.run import Run
from hl7_gateway.datatypes.registry import find
from hl7_gateway.er7.message import Segment

_APPLICATION, _TYPE = 3, 9
_application = find("HD_Identifier").bind(namespace="application")
_EVENTS = "http://terminology.hl7.org/CodeSystem/v2-0003"


@named_function
def message_type(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """MSH-9 is the activity: its event as code, the type as sent as text."""
    account.cover_repetition(_TYPE, 0, (1, 1, 1))
    texts = [segment.first(_TYPE, component) for component in (1, 2, 3)]
    text = "^".join([part for part in texts if part])
    activity: JsonObject = {"text": text}
    event = run.message.event
    if event:
        activity["coding"] = [{"system": _EVENTS, "code": event}]
    resource["activity"] = activity


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
        account.cover_repetition(_APPLICATION, 0, (1, 1, 1))
        # The identifier is the universal id where there is one; the name is what people call the system.
        who = {"type": "Device", "identifier": identifier, "display": segment.first(_APPLICATION)}
        entity["agent"] = [{"who": {name: value for name, value in who.items() if value}}]
    resource["entity"] = [entity]
