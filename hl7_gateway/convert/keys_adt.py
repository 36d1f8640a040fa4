"""The keys of what patient-administration messages tell of.

Sources beside each rule; table numbers are those of HL7 v2.
"""

from operator import itemgetter

from hie.core.errors import RequiredFieldError
from hie.core.fhir.json import JsonObject, dumps
from hl7_gateway.convert.keys import derived, given, linked, named_key
from hl7_gateway.convert.naming import Key
from hl7_gateway.convert.run import Instance, Run
from hl7_gateway.datatypes.national import national_namespace
from hl7_gateway.er7.message import Segment

# Table 0203, in the order in which a facility's own numbers identify a patient there: medical record
# number, patient internal identifier, patient external identifier, patient's number, account; then a number
# without a type.
_OWN_TYPES = ("MR", "PI", "PT", "PN", "MRT", "U", "LR", "")
# Table 0203: numbers that a state or an insurer gives. They are kept, and never used to find the patient.
_FOREIGN_TYPES = frozenset(
    {
        *("NI", "SS", "SB", "PPN", "DL", "DR", "CZ", "PC", "MI", "NCT", "IND", "TAX", "BRN", "FDR"),
        *("HC", "MC", "MCN", "MCD", "MCR", "MA", "NH", "NIIP", "PEN", "BC", "MS"),
    }
)
# HL7 v2 writes a time from the year down; some messages of a stay tell it with seconds and offset, some not.
_TO_THE_DAY, _TO_THE_MINUTE = 8, 12


@named_key
def patient(instance: Instance, run: Run) -> Key:
    """PID-3 of the sender's own kind; a national number only within the sender's namespace.

    Name and birth date make no key: two people of one name and one (often defaulted) birth date would
    become one. Raises RequiredFieldError when there is no identifier at all.
    """
    identifiers: list[JsonObject] = [i for i in instance.resource.get("identifier", ()) if "value" in i]
    if not identifiers:
        segment = instance.segment
        raise RequiredFieldError(
            f"{segment.name}-3 (patient identifier list) of segment {segment.index + 1} has no value",
            location=f"{segment.name}-3",
        )
    rank, best = min(((_rank(each), each) for each in identifiers), key=itemgetter(0))
    if rank <= len(_OWN_TYPES) and "system" in best:
        return best["system"], best["value"]
    return derived(instance, run, _type(best), best["value"])


@named_key
def visit(instance: Instance, run: Run) -> Key:
    """PV1-19 or PV1-50, else the patient with PID-18, PV1-5 or PV1-44, else with class and day.

    Of what is left PID-18 comes first, since a stay's messages repeat it most surely; numbers come before a
    time. Patient, class and day of the event let one day's messages meet, and no two stays become one.
    """
    own = given(instance)
    if own is not None:
        return own
    segment = instance.segment
    person = linked(instance, "patient")
    place, value = _of_stay(segment, run)
    run.report.notes.append(
        f"{segment.name}: the visit has no number, it is found by the patient with {place}"
    )
    return derived(instance, run, person, place, value)


def _of_stay(segment: Segment, run: Run) -> tuple[str, str]:
    """Return what names a visit of one patient that has no number: what it is, its text."""
    patient = run.message.first("PID")
    if patient is not None and patient.first(18):
        return "PID-18", patient.first(18)
    if segment.first(5):
        return "PV1-5", segment.first(5)
    if segment.first(44):
        return "PV1-44", segment.first(44)[:_TO_THE_MINUTE]
    event = run.message.first("EVN")
    times = [event.first(6), event.first(2)] if event is not None else []
    day = next((time for time in (*times, run.message.header.first(7)) if time), "")[:_TO_THE_DAY]
    return "PV1-2 and day of the event", f"{segment.first(2)}|{day or run.message.control_id}"


@named_key
def of_patient_and_code(instance: Instance, run: Run) -> Key:
    """The segment's own identifier, else the patient with the code."""
    own = given(instance)
    if own is not None:
        return own
    return derived(instance, run, linked(instance, "patient"), _said(instance))


@named_key
def of_encounter_and_code(instance: Instance, run: Run) -> Key:
    """The segment's own identifier, else the visit (or patient) with the code."""
    own = given(instance)
    if own is not None:
        return own
    whose = linked(instance, "encounter") or linked(instance, "patient")
    return derived(instance, run, whose, _said(instance))


@named_key
def of_patient_and_segment(instance: Instance, run: Run) -> Key:
    """The patient with the segment's name and set id (field 1), which numbers segments of one kind."""
    own = given(instance)
    if own is not None:
        return own
    segment = instance.segment
    number = segment.first(1) or str(run.ordinal(instance))
    return derived(instance, run, linked(instance, "patient"), instance.use.name, segment.name, number)


@named_key
def of_encounter_and_segment(instance: Instance, run: Run) -> Key:
    """The visit (or patient) with the segment's name and set id."""
    own = given(instance)
    if own is not None:
        return own
    segment = instance.segment
    whose = linked(instance, "encounter") or linked(instance, "patient")
    number = segment.first(1) or str(run.ordinal(instance))
    return derived(instance, run, whose, instance.use.name, segment.name, number)


@named_key
def related_person(instance: Instance, run: Run) -> Key:
    """The person's own identifier, else the patient with relationship and name."""
    own = given(instance)
    if own is not None:
        return own
    return derived(
        instance, run, linked(instance, "patient"), instance.segment.raw(3), instance.segment.raw(2)
    )


@named_key
def of_patient(instance: Instance, run: Run) -> Key:
    """The patient: there is one resource of this kind for each."""
    return derived(instance, run, linked(instance, "patient"), instance.use.name)


@named_key
def of_encounter_and_procedure(instance: Instance, run: Run) -> Key:
    """The procedure's own identifier (PR1-19), else the visit (or patient) with code and time (PR1-5)."""
    own = given(instance)
    if own is not None:
        return own
    whose = linked(instance, "encounter") or linked(instance, "patient")
    return derived(instance, run, whose, _said(instance), instance.segment.first(5))


@named_key
def practitioner_role(instance: Instance, run: Run) -> Key:
    """The role's own identifier, else person, role and organization (ROL-3,4,9,14; PRT-4,5,6,8,9)."""
    own = given(instance)
    if own is not None:
        return own
    segment = instance.segment
    fields = (3, 4, 9, 14) if segment.name == "ROL" else (4, 5, 6, 8, 9)
    return derived(instance, run, *(segment.raw(field) for field in fields))


@named_key
def of_content(instance: Instance, run: Run) -> Key:
    """The resource's own identifier, else what the message says of it."""
    return given(instance) or derived(instance, run, dumps(instance.resource).decode())


@named_key
def guarantor(instance: Instance, run: Run) -> Key:
    """The guarantor's own identifier, else the patient with the guarantor's name (GT1-3)."""
    own = given(instance)
    return own or derived(instance, run, linked(instance, "patient"), "guarantor", instance.segment.raw(3))


@named_key
def subscriber(instance: Instance, run: Run) -> Key:
    """The patient with the insured's name and relationship (IN1-16, IN1-17)."""
    segment = instance.segment
    return derived(instance, run, linked(instance, "patient"), "subscriber", segment.raw(16), segment.raw(17))


@named_key
def coverage(instance: Instance, run: Run) -> Key:
    """The patient with company, plan, policy and insured's number (IN1-3, 2, 36, 49).

    A policy number alone is no key: a family shares it.
    """
    segment = instance.segment
    said = [segment.first(field) for field in (3, 2, 36, 49)]
    return derived(instance, run, linked(instance, "patient"), *(said if any(said) else [segment.text]))


def _said(instance: Instance) -> str:
    """Return the code of the resource as text: the field that its map reads it from is field 3."""
    segment = instance.segment
    first = segment.first
    code = first(3) or first(3, 2) or segment.raw(4) or first(1)
    return f"{segment.name}|{code}|{first(3, 3)}"


def _type(identifier: JsonObject) -> str:
    for coding in identifier.get("type", {}).get("coding", ()):
        code: str = coding.get("code", "")
        return code
    return ""


def _rank(identifier: JsonObject) -> int:
    code = _type(identifier)
    if code and national_namespace(code) is not None:
        return len(_OWN_TYPES) + 1
    if code in _OWN_TYPES:
        return _OWN_TYPES.index(code)
    if code in _FOREIGN_TYPES or code.startswith("NN"):
        return len(_OWN_TYPES) + 1
    return len(_OWN_TYPES)
