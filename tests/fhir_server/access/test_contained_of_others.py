"""Contained resources are as readable as what contains them, whatever their own type is."""

from urllib.parse import quote

import pytest

from hie.core.access import Permissive
from hie.core.fhir.json import JsonObject, dumps
from tests.fhir_server.access.city import CANARY
from tests.fhir_server.access.conftest import Under
from tests.fhir_server.access.policies import OnePatient
from tests.fhir_server.bad_input.api import Client


def observation(name: str) -> JsonObject:
    return {
        "resourceType": "Observation",
        "id": f"with-{name}",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": f"Patient/{name}"},
        "performer": [{"reference": "#d"}],
        "contained": [
            # The policy opens Organization to everybody, and Practitioner to nobody.
            {"resourceType": "Organization", "id": "o", "name": f"{CANARY if name == 'y' else 'ward'}"},
            {"resourceType": "Practitioner", "id": "d", "name": [{"family": f"Doctor-{name}"}]},
            {"resourceType": "Condition", "id": "c", "subject": {"reference": f"Patient/{name}"}},
        ],
    }


def urls(client: Client, path: str) -> list[str]:
    answer = client.get(f"/fhir/{path}")
    assert answer.status_code == 200, answer.text
    return [each["fullUrl"].rpartition("/fhir/")[2] for each in answer.json().get("entry", ())]


@pytest.mark.parametrize(
    ("path", "permitted", "restricted"),
    [
        (
            "Organization?_contained=true",
            {"Observation/with-x", "Observation/with-y"},
            {"Observation/with-x"},
        ),
        (
            "Practitioner?family=Doctor&_contained=both",
            {"Observation/with-x", "Observation/with-y"},
            {"Observation/with-x"},
        ),
        (
            "Practitioner?_contained=true&_containedType=contained",
            {"Observation/with-x#d", "Observation/with-y#d"},
            {"Observation/with-x#d"},
        ),
        (f"Organization?name={quote(CANARY)}&_contained=true", {"Observation/with-y"}, set()),
        (
            "Observation?performer:Practitioner.family=Doctor",
            {"Observation/with-x", "Observation/with-y"},
            {"Observation/with-x"},
        ),
        ("Patient/x/Condition?_contained=true", {"Observation/with-x"}, {"Observation/with-x"}),
        ("Patient/y/Condition?_contained=true", {"Observation/with-y"}, set()),
    ],
)
def test_who_may_not_read_the_container_finds_nothing_in_it(
    under: Under, path: str, permitted: set[str], restricted: set[str]
) -> None:
    everything, one = under(Permissive()), under(OnePatient("x"))
    for name in "xy":
        stored = everything.put(f"/fhir/Observation/with-{name}", dumps(observation(name)))
        assert stored.status_code == 201, stored.text
    assert set(urls(everything, path)) == permitted
    assert set(urls(one, path)) == restricted
    total = "&_summary=count"
    assert one.get(f"/fhir/{path}{total}").json()["total"] == len(restricted)
    assert CANARY not in dumps(one.get(f"/fhir/{path}").json().get("entry", [])).decode()
