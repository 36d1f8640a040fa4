"""Which elements of a transaction's resources are links: https://hl7.org/fhir/R4/http.html#trules."""

import pytest

from fhir_server.transaction.references import ReferenceRewriter
from fhir_server.validation.structure import StructureValidator
from hie.core.errors import InvalidReferenceError
from hie.core.fhir.json import JsonObject

URN = "urn:uuid:c757873d-ec9a-4326-a141-556f43239520"
VALIDATOR = StructureValidator()


def rewritten(resource: JsonObject, *, target: str = "Questionnaire/1") -> JsonObject:
    """Return `resource`, which must be valid, as a transaction stores it whose entry URN becomes `target`."""
    assert VALIDATOR.validate(resource) == []
    made = ReferenceRewriter({URN: target}, lambda kind, query: f"{kind}?{query}").rewrite(
        resource, URN, resource["resourceType"]
    )
    assert VALIDATOR.validate(made) == [], made
    return made


def test_canonical_url_of_a_resource_and_canonicals_that_name_it_stay_together() -> None:
    questionnaire = {"resourceType": "Questionnaire", "url": URN, "status": "active", "derivedFrom": [URN]}
    assert rewritten(questionnaire) == questionnaire
    answers = {"resourceType": "QuestionnaireResponse", "status": "completed", "questionnaire": URN}
    assert rewritten(answers) == answers
    assert rewritten({"resourceType": "Patient", "contained": [questionnaire]})["contained"] == [
        questionnaire
    ]


def test_url_that_is_a_canonical_by_its_type_is_not_replaced() -> None:
    structure_map = {
        "resourceType": "StructureMap",
        "url": "http://hie.example/m",
        "name": "m",
        "status": "active",
        "structure": [{"url": URN, "mode": "source"}],
        "group": [
            {"name": "g", "typeMode": "none", "input": [{"name": "i", "mode": "source"}], "rule": RULES}
        ],
    }
    assert rewritten(structure_map) == structure_map


RULES = [{"name": "r", "source": [{"context": "c"}]}]


def test_names_of_extensions_sources_and_identifiers_stay() -> None:
    patient = {
        "resourceType": "Patient",
        "meta": {"source": URN, "profile": [URN]},
        "implicitRules": URN,
        "extension": [{"url": URN, "extension": [{"url": URN, "valueBoolean": True}]}],
        "identifier": [{"system": URN, "value": URN}],
        "_birthDate": {"extension": [{"url": URN, "valueUuid": URN}]},
    }
    assert rewritten(patient) == patient


@pytest.mark.parametrize("value", ["valueUuid", "valueOid", "valueId", "valueCanonical", "valueString"])
def test_values_that_could_not_hold_a_relative_url_stay(value: str) -> None:
    given = "urn:oid:1.2.3" if value == "valueOid" else "a" if value == "valueId" else URN
    patient = {"resourceType": "Patient", "extension": [{"url": "http://hie.example/e", value: given}]}
    rewriter = ReferenceRewriter({given: "Patient/1"}, lambda kind, query: f"{kind}?{query}")
    assert rewriter.rewrite(patient, None, "Patient") == patient


def test_elements_of_type_uri_and_url_that_link_are_replaced() -> None:
    plan = {
        "resourceType": "CarePlan",
        "status": "active",
        "intent": "plan",
        "subject": {"reference": URN},
        "instantiatesUri": ["http://hie.example/other", URN],
        "instantiatesCanonical": [URN],
        "extension": [{"url": "http://hie.example/e", "valueUri": f"{URN}#part"}],
        "_status": {"extension": [{"url": "http://hie.example/e", "valueUrl": URN}]},
    }
    assert rewritten(plan, target="Patient/1") == {
        **plan,
        "subject": {"reference": "Patient/1"},
        "instantiatesUri": ["http://hie.example/other", "Patient/1"],
        "extension": [{"url": "http://hie.example/e", "valueUri": "Patient/1#part"}],
        "_status": {"extension": [{"url": "http://hie.example/e", "valueUrl": "Patient/1"}]},
    }
    device = {"resourceType": "Device", "url": URN}
    assert rewritten(device, target="Endpoint/1") == {**device, "url": "Endpoint/1"}
    document = {
        "resourceType": "DocumentReference",
        "status": "current",
        "content": [{"attachment": {"url": URN}}],
    }
    assert rewritten(document, target="Binary/1")["content"] == [{"attachment": {"url": "Binary/1"}}]


def test_links_inside_a_bundle_are_its_own() -> None:
    inner = {
        "resourceType": "DocumentReference",
        "status": "current",
        "content": [{"attachment": {"url": URN}}],
    }
    parameters = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "a", "valueUri": URN},
            {
                "name": "b",
                "resource": {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": inner}]},
            },
        ],
    }
    made = rewritten(parameters, target="Patient/1")
    assert made["parameter"] == [{"name": "a", "valueUri": "Patient/1"}, parameters["parameter"][1]]


def test_conditional_reference_without_criteria_is_refused() -> None:
    resource = {"resourceType": "Observation", "subject": {"reference": "Patient?"}}
    with pytest.raises(InvalidReferenceError) as caught:
        ReferenceRewriter({}, lambda kind, query: f"{kind}?{query}").rewrite(resource, None, "Observation")
    assert caught.value.expression == "Observation.subject.reference"
    assert caught.value.message == "The conditional reference `Patient?` has no criteria"
    assert caught.value.status == 422
