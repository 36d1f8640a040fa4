"""MSG, PT, VID: message type, processing type, version.

https://build.fhir.org/ig/HL7/v2-to-fhir/datatype_maps.html (MSG[...], PT[Meta])
"""

from hie.core.fhir.json import JsonObject
from hl7_gateway.datatypes import primitives
from hl7_gateway.datatypes.codes import id_coding
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.registry import datatype
from hl7_gateway.er7.message import Repetition
from hl7_gateway.er7.text import part


@datatype("MSG_Coding", uses=(1, 2, 3))
def msg_coding(rep: Repetition, _ctx: Context) -> JsonObject | None:
    """Return the Coding of the trigger event (table 0003); the display is the whole MSH-9."""
    event = primitives.code(part(rep, 2))
    if event is None:
        return None
    whole = "^".join(part(rep, place).strip() for place in (1, 2, 3)).rstrip("^")
    return {"system": "http://terminology.hl7.org/CodeSystem/v2-0003", "code": event, "display": whole}


@datatype("MSG_code", uses=(2,))
def msg_code(rep: Repetition, _ctx: Context) -> str | None:
    """Return the trigger event alone."""
    return primitives.code(part(rep, 2))


@datatype("PT_Coding", uses=(1,))
def pt_coding(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return the Coding of the processing id (table 0103), a tag of Meta."""
    return id_coding(rep[:1], ctx, "ProcessingID")


@datatype("PT_ModeCoding", uses=(2,))
def pt_mode_coding(rep: Repetition, ctx: Context) -> JsonObject | None:
    """Return the Coding of the processing mode (table 0207), a tag of Meta."""
    return id_coding(rep[1:2], ctx, "ProcessingMode")


@datatype("VID_string", uses=(1,))
def vid_string(rep: Repetition, _ctx: Context) -> str | None:
    """Return the version id."""
    return primitives.string(part(rep, 1))
