"""Valid but odd resources are stored as given; mutated ones are stored or refused, never a fault."""

import json
from random import Random

from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from hie.core.fhir.json import JsonObject, dumps
from tests.fhir_server.bad_input.api import OBSERVATION, STRUCTURE, Client, Rows, issues_of, patient
from tests.fhir_server.validation.mutations import copy, least, mutate

SEED = 20240301

ODD: list[JsonObject] = [
    patient(name=[{"family": "a\x7fb", "given": ["\ufffd", "\U0010ffff"]}]),
    patient(identifier=[{"system": "http://hie.example/\x7f", "value": "\x7f"}]),
    patient(birthDate="0001-01-01"),
    patient(birthDate="9999-12-31"),
    patient(deceasedDateTime="9999-12-31T23:59:60-14:00"),
    patient(name=[{"family": "\U0001f469\u200d\u2695\ufe0f" * 2000}]),
    patient(name=[{"family": "%_\\'\";--"}]),
    {**OBSERVATION, "effectivePeriod": {"start": "9999", "end": "0001"}},
    {**OBSERVATION, "effectiveInstant": "2016-12-31T23:59:60.123456789012345Z"},
    {**OBSERVATION, "subject": {"reference": "Patient/" + "a" * 5000}},
    {**OBSERVATION, "subject": {"reference": "\x7f"}},
    *(
        {
            **OBSERVATION,
            "valueSampledData": {
                "origin": {"value": 1},
                "period": 1,
                "dimensions": 1,
                "factor": 10,
                "data": data,
            },
        }
        for data in ("NaN 1", "sNaN", "Infinity", "1e999999 2", "E U L", "x")
    ),
    {"resourceType": "ValueSet", "status": "draft", "url": "http://hie.example/" + "张" * 3000},
]
NUMBERS = [
    "1e-399",
    "1e308",
    "-1e308",
    "0e-400",
    "1" * 300 + ".1",
    "0." + "0" * 20_000 + "1",
    "1.000",
    "-0.0",
]


def test_valid_resources_with_odd_values_are_stored_as_given(client: Client) -> None:
    for resource in ODD:
        assert STRUCTURE.validate(resource) == []
        name = resource["resourceType"]
        response = client.post(f"/fhir/{name}", dumps(resource))
        assert response.status_code == 201, (resource, response.text)
        stored = client.get(f"/fhir/{name}/{response.json()['id']}").json()
        assert {key: stored[key] for key in resource} == resource
    for digits in NUMBERS:
        body = dumps(OBSERVATION)[:-1] + b',"valueQuantity":{"value":' + digits.encode() + b"}}"
        response = client.post("/fhir/Observation", body)
        assert response.status_code == 201, (digits[:40], response.text)


def test_mutated_resources_are_stored_or_refused_and_never_a_fault(client: Client, rows: Rows) -> None:
    random = Random(SEED)  # noqa: S311  # chooses mutations
    resources = [least(name, random) for name in R4_RESOURCE_TYPES]
    stored = 0
    before = rows()
    for _ in range(400):
        resource = copy(random.choice(resources))
        path = f"/fhir/{resource['resourceType']}"
        changes = [mutate(resource, random) for _ in range(random.choice((1, 2)))]
        try:
            body = dumps(resource)
        except TypeError:  # an integer of more than 64 bits, which no reader of JSON here lets in
            continue
        response = client.post(path, body)
        shown = f"{changes}: {json.dumps(resource, default=str)[:1000]}"
        if response.status_code == 201:
            stored += 1
            assert STRUCTURE.is_valid(resource), shown
        else:
            assert response.status_code in (400, 422), shown
            assert all(expressions for _, expressions in issues_of(response)), shown
    assert 40 < stored < 360
    assert rows()["resource"] == before["resource"] + stored
