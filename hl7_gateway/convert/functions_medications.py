"""The segment functions of medication orders: the dosage of RXO and RXR.

https://build.fhir.org/ig/HL7/v2-to-fhir/ConceptMap-segment-rxo-to-medicationrequest.html
"""

from typing import Final

from hie.core.errors import DataTypeError
from hie.core.fhir.json import Json, JsonObject
from hl7_gateway.convert.accounting import Account
from hl7_gateway.convert.functions import named_function
from hl7_gateway.convert.observation_units import unit_reads
from hl7_gateway.convert.roles import converted, report_dropped
from hl7_gateway.convert.run import Run
from hl7_gateway.datatypes import primitives
from hl7_gateway.datatypes.cwe import cwe_quantity
from hl7_gateway.datatypes.registry import Convert, find
from hl7_gateway.er7.message import Segment

_ONE: Final = (1,)
_CONCEPT: Final = find("CWE_CodeableConcept")
_INSTRUCTION: Final = _CONCEPT.bind(concept_map="RoutingInstruction")
_ORDERED: Final[JsonObject] = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/dose-rate-type", "code": "ordered"}]
}
# RXR field, element of Dosage, code map of the guide.
_ROUTE: Final = (
    (1, "route", _CONCEPT.bind(concept_map="RouteOfAdministration")),
    (2, "site", _CONCEPT.bind(concept_map="BodyParts")),
    (4, "method", _CONCEPT.bind(concept_map="AdministrationMethod")),
)


@named_function
def requested_dose(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """RXO-2 to RXO-3 in units of RXO-4 is the range of the ordered dose."""
    low, high = _amount(segment, 2, account), _amount(segment, 3, account)
    if low is None and high is None:
        return
    units = segment.repetitions(4)
    unit = cwe_quantity(units[0], run.context) if units else None
    if unit is not None:
        account.cover_repetition(4, 0, unit_reads(units[0]))
        if run.context.dropped:
            report_dropped(segment, 4, 0, units[0], run)
        for end in (low, high):
            if end is not None:
                end.update(unit)
    dose: JsonObject = {"type": _ORDERED}
    ends = {name: end for name, end in (("low", low), ("high", high)) if end is not None}
    dose["doseRange"] = ends
    _dosage(resource)["doseAndRate"] = [dose]


@named_function
def administration_route(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """RXR-1, RXR-2 and RXR-4 are route, site and method of the dosage, RXR-5 its instruction."""
    for field, element, function in _ROUTE:
        concept = _concept(segment, field, function, run, account)
        if concept is not None:
            _dosage(resource)[element] = concept
    instruction = _concept(segment, 5, _INSTRUCTION, run, account)
    if instruction is not None:
        _dosage(resource).setdefault("additionalInstruction", []).append(instruction)


@named_function
def administration_instructions(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """RXO-7 is how to give the drug or to take it."""
    for number in range(len(segment.repetitions(7))):
        instruction = converted(segment, 7, number, _CONCEPT, run, account)
        if instruction is not None:
            _dosage(resource).setdefault("additionalInstruction", []).append(instruction)


@named_function
def dispense_quantity(segment: Segment, resource: JsonObject, run: Run, account: Account) -> None:
    """RXO-11 in units of RXO-12 is the quantity to dispense."""
    amount = _amount(segment, 11, account)
    if amount is None:
        return
    units = segment.repetitions(12)
    unit = cwe_quantity(units[0], run.context) if units else None
    if unit is not None:
        account.cover_repetition(12, 0, unit_reads(units[0]))
        if run.context.dropped:
            report_dropped(segment, 12, 0, units[0], run)
        amount.update(unit)
    resource.setdefault("dispenseRequest", {})["quantity"] = amount


def _dosage(resource: JsonObject) -> JsonObject:
    """Return the one Dosage of a MedicationRequest."""
    dosages: list[JsonObject] = resource.setdefault("dosageInstruction", [{}])
    return dosages[0]


def _amount(segment: Segment, field: int, account: Account) -> JsonObject | None:
    try:
        value = primitives.decimal(segment.first(field))
    except DataTypeError as error:
        account.fail(field, 0, error.message)
        return None
    if value is None:
        return None
    account.cover_repetition(field, 0, _ONE)
    return {"value": value}


def _concept(segment: Segment, field: int, function: Convert, run: Run, account: Account) -> Json:
    if not segment.raw(field):
        return None
    return converted(segment, field, 0, _CONCEPT, run, account, function)
