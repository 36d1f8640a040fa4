"""The conditions of the patient-administration maps.

https://build.fhir.org/ig/HL7/v2-to-fhir/message_maps.html (ADT), segment maps PID, NK1, PV1, ROL, PRT, IN1,
DG1, PR1.
"""

from hl7_gateway.convert.conditions import named_condition, named_where
from hl7_gateway.convert.run import Run
from hl7_gateway.er7.message import Repetition, Segment
from hl7_gateway.er7.text import part

# IG, ADT_A01 NK1: emergency contact, employer, federal agency, insurance company, state agency (table 0131
# contact role, which senders also write into NK1-3): they are contacts, not related persons.
_CONTACTS = frozenset({"EMR", "E", "F", "I", "S"})
# IG, ADT_A01 PRT: roles of table 0912 that make a member of the care team.
_CARE_TEAM = frozenset(
    {"AD", "AP", "ARI", "AT", "CP", "FHCP", "OP", "PH", "PO", "PP", "PRI", "RP", "RT", "VP"}
)
_DATE_LENGTH = 8


@named_condition
def is_related_person(segment: Segment, _run: Run) -> bool:
    """NK1-3.1 NOT IN ("EMR", "E", "F", "I", "S")."""
    return segment.first(3) not in _CONTACTS


@named_condition
def is_primary_care_role(segment: Segment, _run: Run) -> bool:
    """ROL-3.1 EQUALS "PP" of table 0443; a sender who leaves the table out means it."""
    return segment.first(3) == "PP" and segment.first(3, 3) in ("", "HL70443")


@named_condition
def is_care_team_role(segment: Segment, _run: Run) -> bool:
    """Any other provider role of ROL-3."""
    return not (segment.first(3) == "PP" and segment.first(3, 3) in ("", "HL70443"))


@named_condition
def is_primary_care_participation(segment: Segment, _run: Run) -> bool:
    """PRT-4 IS "PP"."""
    return segment.first(4) == "PP"


@named_condition
def is_care_team_participation(segment: Segment, _run: Run) -> bool:
    """PRT-4 IS IN the care team's roles, "PP" being told apart."""
    return segment.first(4) in _CARE_TEAM and segment.first(4) != "PP"


@named_condition
def has_time_of_birth(segment: Segment, _run: Run) -> bool:
    """PID-7 LENGTH GREATER THAN 8."""
    return len(segment.first(7)) > _DATE_LENGTH


@named_condition
def is_update_known(segment: Segment, _run: Run) -> bool:
    """PID-33 AND PID-34 VALUED."""
    return bool(segment.first(33) and segment.first(34))


@named_condition
def is_visit(segment: Segment, _run: Run) -> bool:
    """PV1-2 is not "N" (table 0004, not applicable): A28 and A31 have a PV1 even without a visit."""
    return segment.first(2) != "N" or bool(segment.first(19))


@named_condition
def is_preadmit(segment: Segment, _run: Run) -> bool:
    """PV1-2.1 EQUALS "P"."""
    return segment.first(2) == "P"


@named_condition
def is_not_preadmit(segment: Segment, _run: Run) -> bool:
    """PV1-2.1 NOT EQUALS "P"."""
    return segment.first(2) != "P"


@named_condition
def is_diagnosis_deleted(segment: Segment, _run: Run) -> bool:
    """DG1-21 says delete (table 0206)."""
    return segment.first(21) == "D"


@named_condition
def is_self(segment: Segment, _run: Run) -> bool:
    """IN1-17 says that the insured is the patient (table 0063 SEL; table 0344 01)."""
    return segment.first(17) in ("SEL", "01", "S", "Self", "SELF")


@named_condition
def is_not_self(segment: Segment, run: Run) -> bool:
    """IN1-17 says that the insured is not the patient, or says nothing."""
    return not is_self(segment, run)


@named_condition
def names_a_payor(segment: Segment, _run: Run) -> bool:
    """IN1-3 or IN1-4 VALUED."""
    return bool(segment.first(3) or segment.raw(4))


@named_condition
def names_a_subscriber(segment: Segment, run: Run) -> bool:
    """IN1-16 VALUED AND IN1-17 IS NOT the patient."""
    return bool(segment.raw(16)) and not is_self(segment, run)


@named_where
def is_subscriber_number(repetition: Repetition) -> bool:
    """CX.5 IS "SN"."""
    return part(repetition, 5) == "SN"
