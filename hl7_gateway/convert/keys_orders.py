"""The keys of orders, reports, observations and specimens.

One order number often covers several examinations (a laboratory slip), so the number alone is no key: number
and code are, with the patient: laboratories let their numbers begin anew each day or year, and a number used
again must not overwrite another patient's result. A result that comes again, corrected or completed, finds
what it made before.
"""

from hie.core.fhir.json import JsonObject, dumps
from hl7_gateway.convert.keys import derived, given, key_text, linked, named_key
from hl7_gateway.convert.keys_adt import patient
from hl7_gateway.convert.naming import Key
from hl7_gateway.convert.run import Instance, Run

_OBSERVATION_INSTANCE, _SUB_ID = 21, 4


@named_key
def patient_as_known(instance: Instance, run: Run) -> Key | None:
    """The patient's key; one without any identifier is known by this message alone."""
    if any("value" in identifier for identifier in instance.resource.get("identifier", ())):
        return patient(instance, run)
    run.report.notes.append("PID-3 has no value: the patient is known by this message alone")
    return derived(instance, run, "message", run.message.control_id, str(run.ordinal(instance)))


@named_key
def medication_request(instance: Instance, run: Run) -> Key:
    """The order that it is part of, with the medication; without an order the patient and the segment."""
    whose = linked(instance, "order") or linked(instance, "patient")
    medication = instance.resource.get("medicationCodeableConcept", {})
    return derived(instance, run, whose, _code({"code": medication}) or instance.segment.text)


@named_key
def order(instance: Instance, run: Run) -> Key:
    """The placer's number, else the filler's, with the code; without one the patient with the segment."""
    number = _number(instance.resource, "PLAC") or _number(instance.resource, "FILL")
    said = (number, _code(instance.resource)) if number else (instance.segment.text,)
    return derived(instance, run, linked(instance, "patient"), *said)


@named_key
def report(instance: Instance, run: Run) -> Key:
    """The filler's number, else the placer's, with the code; without a number patient, code and time."""
    resource = instance.resource
    number = _number(resource, "FILL") or _number(resource, "PLAC")
    if number:
        # One number and code twice in a message are two runs of one examination.
        turn = _turn(run, f"report\x1f{number}\x1f{_code(resource)}")
        turns = [str(turn)] if turn else []
        return derived(instance, run, linked(instance, "patient"), number, _code(resource), *turns)
    when = resource.get("effectiveDateTime") or dumps(resource.get("effectivePeriod", "")).decode()
    if not when.strip('"'):
        when = f"message {run.message.control_id}"
    return derived(instance, run, linked(instance, "patient"), _code(resource), when)


@named_key
def observation(instance: Instance, run: Run) -> Key:
    """OBX-21, else the report (order, visit, patient) with OBX-3, OBX-4 and the turn of one code used again.

    An observation that stands in an ADT message without a time is part of its snapshot: the next
    snapshot of the visit finds it.
    """
    fields = instance.segment.fields
    if len(fields) > _OBSERVATION_INSTANCE and instance.segment.first(_OBSERVATION_INSTANCE):
        own = given(instance)
        if own is not None:
            return own
    links = instance.links
    parent = links.get("report")
    whose = parent.key_text if parent is not None and parent.key_text else linked(instance, "order")
    specimen = linked(instance, "specimen") if "specimen" in links else ""
    if not whose:
        when = instance.resource.get("effectiveDateTime", "")
        whose = f"{linked(instance, 'patient')}|{linked(instance, 'encounter')}|{when}"
    sub_id = fields[_SUB_ID] if len(fields) > _SUB_ID else ""
    name = f"{whose}\x1f{specimen}\x1f{_code(instance.resource)}|{sub_id}"
    return derived(instance, run, name, str(_turn(run, name)))


@named_key
def specimen(instance: Instance, run: Run) -> Key:
    """The patient with SPM-2 or another identifier, else the report or order with its turn there."""
    accession = instance.resource.get("accessionIdentifier", {})
    own = given(instance) or ((accession["system"], accession["value"]) if "system" in accession else None)
    if own is not None:
        return derived(instance, run, linked(instance, "patient"), key_text(own))
    whose = linked(instance, "report") or linked(instance, "order")
    if not whose:
        whose = f"{linked(instance, 'patient')}|message {run.message.control_id}"
    number = instance.segment.first(1) or "1"
    return derived(instance, run, whose, instance.use.name, number)


def _turn(run: Run, name: str) -> int:
    """Return how many resources of that name were closed before in this message."""
    turn = run.counts.get(name, 0)
    run.counts[name] = turn + 1
    return turn


def _number(resource: JsonObject, kind: str) -> str:
    for identifier in resource.get("identifier", ()):
        coding = identifier.get("type", {}).get("coding", ({},))[0]
        if coding.get("code") == kind:
            return key_text((identifier.get("system", ""), identifier["value"]))
    return ""


def _code(resource: JsonObject) -> str:
    concept = resource.get("code")
    if concept is None:
        return ""
    for coding in concept.get("coding", ()):
        if "code" in coding:
            return f"{coding.get('system', '')}|{coding['code']}"
    text: str = concept.get("text", "")
    return text
