"""Modifiers that need value sets, code systems, hierarchies and texts beside codes."""

import pytest

from fhir_server.index.indexer import Indexer
from fhir_server.search.service import SearchService
from hie.core.db.database import Database
from hie.core.errors import MalformedSearchError
from hie.core.fhir.json import JsonObject
from tests.fhir_server.search import stored

ICD = "http://hl7.org/fhir/sid/icd-10"
ANIMALS = "http://hie.example/fhir/CodeSystem/animals"
SETS = "http://hie.example/fhir/ValueSet/"


def _condition(identifier: str, *codings: tuple[str, str], text: str = "", display: str = "") -> JsonObject:
    shown = {"display": display} if display else {}
    code: JsonObject = {"coding": [{"system": system, "code": code, **shown} for system, code in codings]}
    if text:
        code["text"] = text
    return {
        "resourceType": "Condition",
        "id": identifier,
        "subject": {"reference": "Patient/p", "display": "Frau Zoë Müller"},
        "code": code,
    }


RESOURCES: list[JsonObject] = [
    _condition("diabetes", (ICD, "E11"), text="2型糖尿病", display="Type 2 diabetes mellitus"),
    _condition("asthma", (ICD, "J45"), display="Asthma"),
    _condition("cat", (ANIMALS, "cat")),
    _condition("animal", (ANIMALS, "animal")),
    _condition("siamese", (ANIMALS, "siamese")),
    _condition("dog", (ANIMALS, "dog")),
    {
        "resourceType": "CodeSystem",
        "id": "animals",
        "url": ANIMALS,
        "status": "active",
        "content": "complete",
        "concept": [
            {
                "code": "animal",
                "concept": [
                    {"code": "cat", "property": [{"code": "legs", "valueInteger": 4}]},
                    {"code": "dog", "property": [{"code": "legs", "valueInteger": 4}]},
                ],
            },
            {"code": "siamese", "property": [{"code": "parent", "valueCode": "cat"}]},
            {"code": "bird"},
        ],
    },
    {
        "resourceType": "ValueSet",
        "id": "chronic",
        "url": f"{SETS}chronic",
        "version": "2",
        "status": "active",
        "compose": {
            "include": [
                {"system": ICD, "concept": [{"code": "E11"}, {"code": "E10"}]},
                {"system": ANIMALS, "filter": [{"property": "concept", "op": "is-a", "value": "cat"}]},
            ],
            "exclude": [{"system": ANIMALS, "concept": [{"code": "siamese"}]}],
        },
    },
    {
        "resourceType": "ValueSet",
        "id": "whole",
        "url": f"{SETS}whole",
        "status": "active",
        "compose": {
            "include": [{"system": ANIMALS}],
            "exclude": [{"system": ANIMALS, "concept": [{"code": "dog"}]}],
        },
    },
    {
        "resourceType": "ValueSet",
        "id": "nested",
        "url": f"{SETS}nested",
        "status": "active",
        "compose": {"include": [{"valueSet": [f"{SETS}chronic", f"{SETS}whole"]}]},
    },
    {
        "resourceType": "ValueSet",
        "id": "expanded",
        "url": f"{SETS}expanded",
        "status": "active",
        "expansion": {
            "timestamp": "2024-01-01",
            "contains": [
                {
                    "abstract": True,
                    "system": ICD,
                    "code": "J",
                    "contains": [{"system": ICD, "code": "J45"}],
                }
            ],
        },
    },
    {
        "resourceType": "ValueSet",
        "id": "circle",
        "url": f"{SETS}circle",
        "status": "active",
        "compose": {"include": [{"valueSet": [f"{SETS}circle"]}]},
    },
    *(
        {
            "resourceType": "Location",
            "id": identifier,
            **({"partOf": {"reference": f"Location/{whole}"}} if whole else {}),
        }
        for identifier, whole in (("city", ""), ("hospital", "city"), ("ward", "hospital"), ("other", ""))
    ),
    *(
        {
            "resourceType": "Encounter",
            "id": f"at-{place}",
            "status": "finished",
            "class": {"code": "AMB"},
            "location": [{"location": {"reference": f"Location/{place}"}}],
        }
        for place in ("city", "hospital", "ward", "other")
    ),
]


@pytest.fixture(scope="module")
def terms(module_database: Database, indexer: Indexer) -> Database:
    with module_database.transaction() as transaction:
        stored.put(transaction.connection, indexer, RESOURCES)
    return module_database


@pytest.mark.parametrize(
    ("resource_type", "name", "value", "expected"),
    [
        ("Condition", "code:in", f"{SETS}chronic", "diabetes cat"),
        ("Condition", "code:in", f"{SETS}chronic|2", "diabetes cat"),
        ("Condition", "code:in", "ValueSet/chronic", "diabetes cat"),
        ("Condition", "code:not-in", f"{SETS}chronic", "asthma animal siamese dog"),
        ("Condition", "code:in", f"{SETS}whole", "cat animal siamese"),
        ("Condition", "code:in", f"{SETS}nested", "cat"),
        ("Condition", "code:in", f"{SETS}expanded", "asthma"),
        ("Condition", "code:in", f"{SETS}expanded,{SETS}chronic", "asthma diabetes cat"),
        ("Condition", "code:below", f"{ANIMALS}|cat", "cat siamese"),
        ("Condition", "code:below", f"{ANIMALS}|animal", "animal cat siamese dog"),
        ("Condition", "code:above", f"{ANIMALS}|siamese", "animal cat siamese"),
        ("Condition", "code:above", f"{ANIMALS}|bird", ""),
        ("Condition", "code:text", "type 2 DIA", "diabetes"),
        ("Condition", "code:text", "2型", "diabetes"),
        ("Condition", "code:text", "asthma,2型糖尿病", "asthma diabetes"),
        ("Condition", "code:text", "diabetes", ""),
        ("Condition", "subject:text", "frau zoe", "diabetes asthma cat animal siamese dog"),
        ("Encounter", "location:below", "hospital", "at-hospital at-ward"),
        ("Encounter", "location:below", "Location/city", "at-city at-hospital at-ward"),
        ("Encounter", "location:above", "ward", "at-ward at-hospital at-city"),
        ("Encounter", "location:below", "ward,other", "at-ward at-other"),
    ],
)
def test_modifier_finds_by_value_set_subsumption_text_and_hierarchy(
    terms: Database, service: SearchService, resource_type: str, name: str, value: str, expected: str
) -> None:
    with terms.transaction() as transaction:
        page = service.search(transaction, resource_type, [(name, value)])
    assert {entry.resource.id for entry in page.entries} == set(expected.split())


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("code:in", f"{SETS}nowhere", "is not stored"),
        ("code:in", f"{SETS}chronic|7", "is not stored"),
        ("code:in", f"{SETS}circle", "includes itself"),
        ("code:below", f"{ANIMALS}|whale", "has no code `whale`"),
        ("code:below", "http://snomed.info/sct|73211009", "is not stored"),
        ("code:below", "cat", "system|code"),
        ("subject:below", "Patient/p", "have no hierarchy"),
    ],
)
def test_modifier_about_what_is_not_stored_says_so(
    terms: Database, service: SearchService, name: str, value: str, message: str
) -> None:
    with terms.transaction() as transaction, pytest.raises(MalformedSearchError) as caught:
        service.search(transaction, "Condition", [(name, value)])
    assert message in caught.value.message
    assert caught.value.expression == f"Condition.{name}"
