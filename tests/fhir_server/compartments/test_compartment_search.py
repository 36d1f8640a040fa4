"""Compartment search: https://hl7.org/fhir/R4/http.html#vsearch."""

from typing import Any

import pytest

from fhir_server.compartments.definitions import load_compartments
from fhir_server.definitions.search_parameters import load_registry
from hie.core.fhir.json import JsonObject
from tests.fhir_server.interactions.client import Client, assert_outcome

BASE = "http://127.0.0.1:8000/fhir"


def put(client: Client, resource_type: str, resource_id: str, **elements: Any) -> str:
    """Store a resource under its id; return its reference."""
    resource = {"resourceType": resource_type, "id": resource_id, **elements}
    answer = client.put(f"{resource_type}/{resource_id}", json=resource)
    assert answer.status_code in (200, 201), answer.text
    return f"{resource_type}/{resource_id}"


def found(bundle: JsonObject, mode: str = "match") -> set[str]:
    """Return the references of the entries of `mode`."""
    assert bundle["type"] == "searchset", bundle
    return {
        f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        for entry in bundle.get("entry", [])
        if entry["search"]["mode"] == mode
    }


def search(client: Client, url: str) -> set[str]:
    answer = client.get(url)
    assert answer.status_code == 200, answer.text
    return found(answer.json())


@pytest.fixture
def stored(client: Client) -> None:
    """Two patients with observations that name them in different ways."""
    put(client, "Practitioner", "dr")
    for name, code in (("p", "a"), ("q", "b")):
        put(client, "Patient", name)
        put(
            client,
            "Observation",
            f"{name}-subject",
            status="final",
            code={"coding": [{"code": code}]},
            subject={"reference": f"Patient/{name}"},
            performer=[{"reference": "Practitioner/dr"}],
        )
    # The subject is somebody else, but the patient said it himself.
    put(
        client,
        "Observation",
        "said-by-p",
        status="final",
        code={"coding": [{"code": "b"}]},
        subject={"reference": "Patient/q"},
        performer=[{"reference": f"{BASE}/Patient/p"}],
    )
    put(client, "Condition", "c", subject={"reference": "Patient/p"})
    put(
        client,
        "Encounter",
        "e",
        status="finished",
        **{"class": {"code": "IMP"}},
        subject={"reference": "Patient/q"},
        participant=[{"individual": {"reference": "Practitioner/dr"}}],
    )


@pytest.mark.usefixtures("stored")
def test_a_resource_belongs_by_any_of_its_parameters(client: Client) -> None:
    assert search(client, "Patient/p/Observation") == {"Observation/p-subject", "Observation/said-by-p"}
    assert search(client, "Patient/q/Observation") == {"Observation/q-subject", "Observation/said-by-p"}
    assert search(client, "Practitioner/dr/Observation") == {"Observation/p-subject", "Observation/q-subject"}
    assert search(client, "Practitioner/dr/Encounter") == {"Encounter/e"}
    assert search(client, "Patient/p/Encounter") == set()
    assert search(client, "Patient/nobody/Observation") == set()


@pytest.mark.usefixtures("stored")
def test_other_parameters_narrow_the_matches_and_includes_come_along(client: Client) -> None:
    assert search(client, "Patient/p/Observation?code=a") == {"Observation/p-subject"}
    assert search(client, "Patient/p/Observation?code=a&subject=Patient/q") == set()
    assert search(client, "Patient/p/Observation?subject:Patient._id=q") == {"Observation/said-by-p"}
    answer = client.get("Patient/p/Observation?code=b&_include=Observation:subject&_total=accurate").json()
    assert found(answer) == {"Observation/said-by-p"}
    assert found(answer, "include") == {"Patient/q"}
    assert answer["total"] == 1


@pytest.mark.usefixtures("stored")
def test_the_resource_itself_belongs_to_its_compartment(client: Client) -> None:
    assert search(client, "Patient/p/Patient") == {"Patient/p"}
    put(client, "Patient", "twin", link=[{"other": {"reference": "Patient/p"}, "type": "seealso"}])
    assert search(client, "Patient/p/Patient") == {"Patient/p", "Patient/twin"}


@pytest.mark.usefixtures("stored")
def test_all_types_are_searched_by_an_asterisk(client: Client) -> None:
    everything = {"Patient/p", "Observation/p-subject", "Observation/said-by-p", "Condition/c"}
    assert search(client, "Patient/p/*") == everything
    assert search(client, "Patient/p/*?_type=Condition,Practitioner") == {"Condition/c"}
    assert search(client, "Patient/p/*?_id=c") == {"Condition/c"}
    assert search(client, "Patient/nobody/*") == set()


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize("path", ["Patient/p/Observation", "Patient/p/*"])
def test_pages_follow_links_inside_the_compartment(client: Client, path: str) -> None:
    expected = search(client, path)
    seen: list[str] = []
    url = f"{path}?_count=1"
    while url:
        bundle = client.get(url).json()
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        assert links["self"].startswith(f"{BASE}/{path}?")
        seen += found(bundle)
        url = links.get("next", "")
    assert sorted(seen) == sorted(expected)


@pytest.mark.usefixtures("stored")
def test_a_compartment_is_searched_by_post_and_in_a_batch(client: Client) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = client.post("Patient/p/Observation/_search", content=b"code=a", headers=headers)
    assert found(answer.json()) == {"Observation/p-subject"}
    bundle = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": "Patient/p/Observation?code=a"}}],
    }
    (entry,) = client.post("", json=bundle).json()["entry"]
    assert found(entry["resource"]) == {"Observation/p-subject"}


@pytest.mark.usefixtures("stored")
def test_deleted_resources_do_not_belong(client: Client) -> None:
    client.delete("Observation/p-subject")
    assert search(client, "Patient/p/Observation") == {"Observation/said-by-p"}


def test_what_cannot_belong_and_what_is_no_compartment_is_404(client: Client) -> None:
    assert_outcome(
        client.get("Patient/p/Location"),
        404,
        "not-supported",
        "No Location belongs to the compartment of a Patient",
    )
    assert_outcome(
        client.get("Location/l/Patient"), 404, "not-supported", "There are no compartments of Location"
    )
    assert_outcome(
        client.get("Patient/p/Visit"), 404, "not-supported", "`Visit` is not a resource type of FHIR R4"
    )
    unknown = client.get("Patient/p/Observation?colour=red", headers={"prefer": "handling=strict"})
    assert unknown.status_code == 400
    assert unknown.json()["issue"][0]["code"] == "not-supported"
    named = client.get("Patient/p/Observation?colour=red").json()["entry"][-1]
    assert (named["search"]["mode"], "colour" in named["resource"]["issue"][0]["diagnostics"]) == (
        "outcome",
        True,
    )


def test_the_capability_statement_names_the_compartments_that_can_be_searched(client: Client) -> None:
    rest = client.get("metadata").json()["rest"][0]
    assert rest["compartment"] == [each.url for each in load_compartments().values()]
    for compartment in load_compartments().values():
        for resource_type in compartment.types:
            assert search(client, f"{compartment.code}/x/{resource_type}") == set()


@pytest.mark.parametrize("code", sorted(load_compartments()))
def test_every_parameter_of_a_compartment_can_be_searched_by(client: Client, code: str) -> None:
    for resource_type, names in load_compartments()[code].members.items():
        for name in names:
            assert name in load_registry().of(resource_type)
            assert search(client, f"{resource_type}?{name}={code}/x") == set()
