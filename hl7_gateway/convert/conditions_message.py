"""The conditions of the message header's maps.

https://build.fhir.org/ig/HL7/v2-to-fhir/message_maps.html (MSH: "If there is a source in MSH-4, or known
based on the configuration.")
"""

from hl7_gateway.convert.conditions import named_condition
from hl7_gateway.convert.run import Run
from hl7_gateway.er7.message import Segment


@named_condition
def is_sender_named(segment: Segment, run: Run) -> bool:
    """MSH-4 is valued, or the gateway knows the sender by a name."""
    return bool(segment.first(4) or segment.first(4, 2) or run.sender.facility or run.sender.application)
