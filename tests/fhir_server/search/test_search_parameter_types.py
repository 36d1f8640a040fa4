"""Each parameter type, prefix and modifier of R4 search, by tables of expected ids."""

import pytest

from fhir_server.index.indexer import Indexer
from fhir_server.interactions.negotiation import read_parameters
from fhir_server.search.service import SearchService
from hie.core.db.database import Database
from hie.core.errors import (
    ExchangeError,
    MalformedSearchError,
    UnknownResourceTypeError,
    UnknownSearchParameterError,
)
from tests.fhir_server.search import stored
from tests.fhir_server.search.city import CARD, LOINC, OBSERVATIONS, OTHERS, PATIENTS, UCUM

CASES: list[tuple[str, str, set[str]]] = [
    # token
    ("Patient", "identifier=A1", {"zhang", "muller"}),
    ("Patient", f"identifier={CARD}|A1", {"zhang"}),
    ("Patient", "identifier=|A1", set()),
    ("Patient", "identifier=|no-system", {"zhang"}),
    ("Patient", f"identifier={CARD}|", {"zhang"}),
    ("Patient", f"identifier={CARD}|A1,http://other|A1", {"zhang", "muller"}),
    ("Patient", f"identifier={CARD}|A2,http://other|A1", {"muller"}),
    ("Patient", f"identifier={CARD}|A1&identifier=http://other|A1", set()),
    ("Patient", f"identifier={CARD}|A1&identifier=no-system", {"zhang"}),
    ("Patient", "identifier:of-type=http://v2|MR|A1", {"zhang"}),
    ("Patient", "identifier:of-type=|MR|A1", {"zhang"}),
    ("Patient", "identifier:of-type=http://v2|XX|A1", set()),
    ("Patient", "gender=male", {"zhang"}),
    ("Patient", "gender=http://hl7.org/fhir/administrative-gender|male", {"zhang"}),
    ("Patient", "gender=http://wrong|male", set()),
    ("Patient", "gender:not=male", {"muller", "ouyang"}),
    ("Patient", "gender:missing=true", {"ouyang"}),
    ("Patient", "gender:missing=false", {"zhang", "muller"}),
    ("Patient", "active=true", {"zhang"}),
    ("Patient", "deceased=true", {"muller"}),
    ("Patient", "deceased=false", {"zhang", "ouyang"}),
    ("Patient", "phone=0371-6666 0000", {"zhang"}),
    ("Patient", "phone=037166660000", {"zhang"}),
    ("Patient", "phone=Z@example.org", set()),
    ("Patient", "telecom=Z@example.org", {"muller"}),
    ("Patient", "email=Z@example.org", {"muller"}),
    ("Patient", "_tag=http://t|vip", {"muller"}),
    ("Patient", "_profile=http://hie.example/StructureDefinition/p", {"muller"}),
    ("Patient", "_source=urn:source:1", {"muller"}),
    ("Patient", "_id=zhang,ouyang,nobody", {"zhang", "ouyang"}),
    ("Patient", "_id:not=zhang", {"muller", "ouyang"}),
    ("Patient", "_id=zhang&gender=female", set()),
    ("Observation", "code=2345-7", {"glucose"}),
    ("Observation", f"code={LOINC}|2345-7", {"glucose"}),
    ("Observation", "code=http://local|2345-7", set()),
    ("Observation", "code=|no-system", {"curve"}),
    ("Observation", f"code={LOINC}|2345-7,29463-7", {"glucose", "weight"}),
    ("Observation", "code:not=2345-7", {"weight", "note", "curve"}),
    ("Observation", "code:missing=true", set()),
    ("Observation", f"code={LOINC}|", {"glucose", "weight"}),
    ("Observation", "combo-code=GLU", {"glucose"}),
    # reference
    ("Patient", "organization=Organization/h1", {"zhang", "muller"}),
    ("Patient", "organization=h1", {"zhang", "muller"}),
    ("Patient", "organization:Organization=h1", {"zhang", "muller"}),
    ("Patient", "organization=http://hie.example/fhir/Organization/h1", {"zhang", "muller"}),
    ("Patient", "organization=http://elsewhere.example/fhir/Organization/h1", {"ouyang"}),
    ("Patient", "general-practitioner:identifier=http://staff|D7", {"zhang"}),
    ("Patient", "general-practitioner:identifier=http://staff|D8", set()),
    ("Patient", "general-practitioner:missing=true", {"muller", "ouyang"}),
    ("Observation", "subject=Patient/zhang", {"glucose", "weight"}),
    ("Observation", "patient=zhang", {"glucose", "weight"}),
    ("Observation", "subject:Patient=muller", {"note"}),
    ("Observation", "subject:Group=muller", set()),
    ("Observation", "subject=Patient/zhang,Patient/muller", {"glucose", "weight", "note"}),
    ("Observation", "subject:missing=false", {"glucose", "weight", "note", "curve"}),
    ("StructureDefinition", "base=http://hl7.org/fhir/StructureDefinition/Patient", {"sd"}),
    ("StructureDefinition", "base=http://hl7.org/fhir/StructureDefinition/Patient|4.0.1", {"sd"}),
    ("StructureDefinition", "base=http://hl7.org/fhir/StructureDefinition/Patient|4.3.0", set()),
    # string
    ("Patient", "name=张", {"zhang"}),
    ("Patient", "name=张小", {"zhang"}),
    ("Patient", "name=张小明", {"zhang"}),
    ("Patient", "name=小明", {"zhang"}),
    ("Patient", "name=明", set()),
    ("Patient", "name:contains=明", {"zhang"}),
    ("Patient", "name=欧阳", {"ouyang"}),
    ("Patient", "family=张", {"zhang"}),
    ("Patient", "family=MULLER", {"muller"}),
    ("Patient", "family=müll", {"muller"}),
    ("Patient", "family:exact=Müller", {"muller"}),
    ("Patient", "family:exact=müller", set()),
    ("Patient", "family:exact=Müll", set()),
    ("Patient", "given=anna", {"muller"}),
    ("Patient", "given=maria", set()),
    ("Patient", "given:contains=MARIA", {"muller"}),
    ("Patient", "name=zoe,欧阳", {"muller", "ouyang"}),
    ("Patient", "name=zoe&family=muller", {"muller"}),
    ("Patient", "address=郑州", {"zhang"}),
    ("Patient", "address-city=郑州市", {"zhang"}),
    ("Patient", "address:missing=true", {"muller", "ouyang"}),
    ("ValueSet", "description:contains=needle", {"labs"}),
    ("ValueSet", "description=needle", set()),
    ("ValueSet", "description:contains=%_", {"other"}),
    ("ValueSet", "description=100%25_", {"other"}),
    ("Observation", "value-string=ein langer", {"note"}),
    # date
    ("Patient", "birthdate=1980", {"zhang", "muller", "ouyang"}),
    ("Patient", "birthdate=1980-05", {"zhang", "muller"}),
    ("Patient", "birthdate=1980-05-17", {"zhang"}),
    ("Patient", "birthdate=eq1980-05-17", {"zhang"}),
    ("Patient", "birthdate=ne1980-05", {"ouyang"}),
    ("Patient", "birthdate=gt1980-05-17", {"muller", "ouyang"}),
    ("Patient", "birthdate=lt1980-05-17", {"muller", "ouyang"}),
    ("Patient", "birthdate=ge1980-05-17", {"zhang", "muller", "ouyang"}),
    ("Patient", "birthdate=le1980-05-17", {"zhang", "muller", "ouyang"}),
    ("Patient", "birthdate=gt1980-05", {"ouyang"}),
    ("Patient", "birthdate=ge1980-06", {"ouyang"}),
    ("Patient", "birthdate=sa1980-04", {"zhang", "muller"}),
    ("Patient", "birthdate=eb1980-06", {"zhang", "muller"}),
    ("Patient", "birthdate=sa1979", {"zhang", "muller", "ouyang"}),
    ("Patient", "birthdate=eb1981", {"zhang", "muller", "ouyang"}),
    ("Patient", "birthdate=ap1980-05-17", {"zhang", "muller", "ouyang"}),
    ("Patient", "birthdate=ap1983", {"zhang", "muller", "ouyang"}),
    ("Patient", "birthdate=ap1990", set()),
    ("Patient", "birthdate=ap2020", set()),
    ("Patient", "birthdate=1979,1980-05-17", {"zhang"}),
    ("Patient", "birthdate=ge1980-05-01&birthdate=le1980-05-31", {"zhang", "muller", "ouyang"}),
    ("Patient", "birthdate:missing=true", set()),
    ("Patient", "death-date=2020-01-01", {"muller"}),
    ("Observation", "date=2024-03-10", {"glucose"}),
    ("Observation", "date=2024-03-10T00:30Z", {"glucose"}),
    ("Observation", "date=2024-03-10T08:30:00", {"glucose"}),
    ("Observation", "date=2024-03-10T08:30:00Z", set()),
    ("Observation", "date=2024-03", {"glucose", "weight"}),
    ("Observation", "date=ge2024-03-30", {"weight", "note", "curve"}),
    ("Observation", "date=ge2024-03-31", {"note", "curve"}),
    ("Observation", "date=sa2024-03-31", {"note", "curve"}),
    ("Observation", "date=gt2030", {"note"}),
    ("Observation", "date=le2024-03-02", {"weight"}),
    ("Observation", "date=le2024-03-01", set()),
    ("Observation", "date=eb2024-04", {"glucose", "weight"}),
    ("Observation", "date=2024-05", {"curve"}),
    ("Observation", "date=2024-05-02", set()),
    ("Observation", "_lastUpdated=gt2024-01-01T00:00:00Z", {"glucose", "weight", "note", "curve"}),
    ("Observation", "_lastUpdated=lt2024-01-01T00:00:00Z", set()),
    # number and quantity
    ("RiskAssessment", "probability=0.05", {"low"}),
    ("RiskAssessment", "probability=0.0500", {"low"}),
    ("RiskAssessment", "probability=0.051", set()),
    ("RiskAssessment", "probability=0.1", {"low"}),
    ("RiskAssessment", "probability=0.0", set()),
    ("RiskAssessment", "probability=0.2", set()),
    ("RiskAssessment", "probability=ne0.2", {"low"}),
    ("RiskAssessment", "probability=lt0.0500001", {"low"}),
    ("RiskAssessment", "probability=gt0.05", set()),
    ("RiskAssessment", "probability=ge5e-2", {"low"}),
    ("RiskAssessment", "probability=ap0.053", {"low"}),
    ("Observation", f"value-quantity=5.4|{UCUM}|mmol/L", {"glucose"}),
    ("Observation", "value-quantity=5.4||mmol/L", {"glucose"}),
    ("Observation", "value-quantity=5.4||mg", set()),
    ("Observation", "value-quantity=5.4|http://other|mmol/L", set()),
    ("Observation", "value-quantity=5.4", {"glucose"}),
    ("Observation", "value-quantity=5.40", {"glucose"}),
    ("Observation", "value-quantity=5.41", set()),
    ("Observation", "value-quantity=5", {"glucose"}),
    ("Observation", "value-quantity=gt5.40", {"weight", "curve"}),
    ("Observation", "value-quantity=ge5.40", {"glucose", "weight", "curve"}),
    ("Observation", "value-quantity=lt100||kg", set()),
    ("Observation", "value-quantity=le100||kg", {"weight"}),
    ("Observation", "value-quantity=1e2||kg", {"weight"}),
    ("Observation", "value-quantity=1.0e2||kg", {"weight"}),
    ("Observation", "value-quantity=ne5.4", {"weight", "curve"}),
    ("Observation", "value-quantity=sa20", {"weight"}),
    ("Observation", "value-quantity=eb8", {"glucose"}),
    ("Observation", "value-quantity=ap105", {"weight"}),
    ("Observation", "value-quantity=gt19.5||mV", {"curve"}),
    ("Observation", "value-quantity=lt8.5||mV", {"curve"}),
    ("Observation", "value-quantity:missing=true", {"note"}),
    # uri
    ("ValueSet", "url=http://hie.example/fhir/ValueSet/labs", {"labs"}),
    ("ValueSet", "url=http://hie.example/fhir/valueset/labs", set()),
    ("ValueSet", "url:below=http://hie.example/fhir", {"labs", "other"}),
    ("ValueSet", "url:below=http://hie.example/fhir/ValueSet/labs", {"labs"}),
    ("ValueSet", "url:above=http://hie.example/fhir/ValueSet/labs/more", {"labs"}),
    ("StructureDefinition", "url=urn:oid:1.2.3", {"sd"}),
    # escapes
    ("Patient", r"name=zoe\,欧阳", set()),
    ("Patient", r"identifier=no\-system", set()),
    # chaining and _has
    ("Observation", "subject:Patient.name=张", {"glucose", "weight"}),
    ("Observation", "subject.gender=female", {"note"}),
    ("Observation", "patient.identifier=A1", {"glucose", "weight", "note"}),
    ("Observation", "patient.organization.name=第一", {"glucose", "weight", "note"}),
    ("Observation", "patient.gender:missing=true", set()),
    ("Observation", "patient._id=muller", {"note"}),
    ("Patient", "_has:Observation:patient:code=2345-7", {"zhang"}),
    ("Patient", "_has:Observation:patient:status=final", {"zhang", "muller"}),
    ("Patient", "_has:Observation:patient:code:not=2345-7", {"zhang", "muller"}),
    ("Patient", "_has:Observation:patient:_id=note", {"muller"}),
    ("Organization", "_has:Patient:organization:_has:Observation:patient:code=2345-7", {"h1"}),
]


REFUSED: list[tuple[str, str, type[Exception], str]] = [
    ("Patient", "nonsense=1", UnknownSearchParameterError, "Patient.nonsense"),
    ("Patient", "phonetic:exact=x", MalformedSearchError, "Patient.phonetic:exact"),
    ("Location", "near=1", MalformedSearchError, "Location.near"),
    ("Location", "near=1|2|3|kg", MalformedSearchError, "Location.near"),
    ("Location", "near=91|2", MalformedSearchError, "Location.near"),
    ("Observation", "subject.nonsense=1", UnknownSearchParameterError, "Observation.subject.nonsense"),
    (
        "Patient",
        "_has:Observation:nonsense:code=1",
        UnknownSearchParameterError,
        "Observation._has:Observation:nonsense:code",
    ),
    ("Patient", "name=", MalformedSearchError, "Patient.name"),
    ("Patient", "name:fuzzy=x", MalformedSearchError, "Patient.name:fuzzy"),
    ("Patient", "birthdate=1980-13", MalformedSearchError, "Patient.birthdate"),
    ("Patient", "birthdate=xx1980", MalformedSearchError, "Patient.birthdate"),
    ("Patient", "birthdate=yesterday", MalformedSearchError, "Patient.birthdate"),
    ("Patient", "birthdate:missing=maybe", MalformedSearchError, "Patient.birthdate:missing"),
    ("Patient", "gender:in=http://vs", MalformedSearchError, "Patient.gender:in"),
    ("Patient", "organization:Patient=1", MalformedSearchError, "Patient.organization:Patient"),
    ("Patient", "organization=#h1", MalformedSearchError, "Patient.organization"),
    ("Patient", "identifier:of-type=a|b", MalformedSearchError, "Patient.identifier:of-type"),
    ("Patient", "name=a%00b", MalformedSearchError, "name"),
    ("Patient", "gender.name=x", MalformedSearchError, "Patient.gender.name"),
    ("Patient", "_count=many", MalformedSearchError, "_count"),
    ("Patient", "_count=-1", MalformedSearchError, "_count"),
    ("Patient", "_sort=nonsense", UnknownSearchParameterError, "Patient.nonsense"),
    ("Patient", "_total=some", MalformedSearchError, "_total"),
    ("Patient", "_summary=most", MalformedSearchError, "_summary"),
    ("Patient", "_include=Patient", MalformedSearchError, "_include"),
    ("Patient", "_include=Patient:gender", MalformedSearchError, "_include"),
    ("Patient", "_include=Patient:nonsense", UnknownSearchParameterError, "Patient.Patient:nonsense"),
    ("Patient", "_revinclude=Nonsense:subject", MalformedSearchError, "_revinclude"),
    ("Patient", "_cursor=AAAA", MalformedSearchError, "_cursor"),
    ("Patient", "_cursor=张", MalformedSearchError, "_cursor"),
    ("RiskAssessment", "probability=high", MalformedSearchError, "RiskAssessment.probability"),
    ("Observation", "value-quantity=5|x", MalformedSearchError, "Observation.value-quantity"),
    ("Observation", "value-quantity=5|http://x|", MalformedSearchError, "Observation.value-quantity"),
]


@pytest.fixture(scope="module")
def city(module_database: Database, indexer: Indexer) -> Database:
    with module_database.transaction() as transaction:
        stored.put(transaction.connection, indexer, [*PATIENTS, *OBSERVATIONS, *OTHERS])
    return module_database


@pytest.mark.parametrize(("resource_type", "query", "expected"), CASES)
def test_search_finds_what_the_specification_says(
    city: Database, service: SearchService, resource_type: str, query: str, expected: set[str]
) -> None:
    with city.transaction() as transaction:
        page = service.search(transaction, resource_type, read_parameters(query))
    found = [entry.resource.id for entry in page.entries]
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize(("resource_type", "query", "error", "expression"), REFUSED)
def test_search_that_cannot_be_understood_names_the_parameter(
    city: Database,
    service: SearchService,
    resource_type: str,
    query: str,
    error: type[Exception],
    expression: str,
) -> None:
    with city.transaction() as transaction, pytest.raises(error) as caught:
        service.search(transaction, resource_type, read_parameters(query))
    assert isinstance(caught.value, ExchangeError)
    assert (caught.value.status, caught.value.expression or "") == (400, expression)


def test_search_of_an_unknown_resource_type_is_not_found(city: Database, service: SearchService) -> None:
    with city.transaction() as transaction, pytest.raises(UnknownResourceTypeError, match="Nonsense"):
        service.search(transaction, "Nonsense", [])


def test_lenient_handling_ignores_unknown_parameters_and_names_them(
    city: Database, service: SearchService
) -> None:
    with city.transaction() as transaction:
        answer = service.answer(
            transaction, "Patient", [("nonsense", "1"), ("gender", "male")], is_lenient=True
        )
    assert [entry.resource.id for entry in answer.page.entries] == ["zhang"]
    assert answer.query.applied == (("gender", "male"),)
    assert [(issue.severity, issue.expression) for issue in answer.issues] == [
        ("warning", "Patient.nonsense")
    ]


def test_lenient_handling_still_refuses_values_that_cannot_be_read(
    city: Database, service: SearchService
) -> None:
    with city.transaction() as transaction, pytest.raises(MalformedSearchError):
        service.answer(transaction, "Patient", [("birthdate", "soon")], is_lenient=True)


def test_deleted_resources_are_found_by_nothing(
    database: Database, service: SearchService, indexer: Indexer
) -> None:
    with database.transaction() as transaction:
        stored.put(transaction.connection, indexer, PATIENTS)
        stored.delete(transaction.connection, "Patient", "zhang")
        for query in ("", "identifier=A1", "_id=zhang", "gender:not=female", "birthdate=1980-05-17"):
            page = service.search(transaction, "Patient", read_parameters(query))
            assert "zhang" not in [entry.resource.id for entry in page.entries]
