"""PatientCreate, PatientUpdate and PatientDelete."""

import pytest

from tests.fhir_server.bad_input.api import Client
from tests.fhir_server.graphql.asking import ask, patient, refusal, store


def test_a_resource_is_created_updated_and_deleted(client: Client) -> None:
    made = ask(
        client,
        "mutation ($p: PatientInput!) { PatientCreate(res: $p) { id gender meta { versionId } } }",
        p={"resourceType": "Patient", "gender": "male"},
    )["PatientCreate"]
    assert made == {"id": made["id"], "gender": "male", "meta": {"versionId": "1"}}
    changed = ask(
        client,
        'mutation ($id: ID!) { PatientUpdate(id: $id, res: {gender: "female", active: true}) {'
        " gender active meta { versionId } } }",
        id=made["id"],
    )
    assert changed == {"PatientUpdate": {"gender": "female", "active": True, "meta": {"versionId": "2"}}}
    assert ask(client, "mutation ($id: ID!) { PatientDelete(id: $id) }", id=made["id"]) == {
        "PatientDelete": None
    }
    assert client.get(f"/fhir/Patient/{made['id']}").status_code == 410


def test_mutations_of_one_request_are_done_in_order_and_all_or_none(client: Client) -> None:
    document = """
      mutation {
        a: PatientUpdate(id: "order", res: {gender: "male"}) { gender }
        b: PatientUpdate(id: "order", res: {gender: "other"}) {
          gender ObservationList(_reference: patient) { id }
        }
        c: PatientCreate(res: {gender: 5}) { id }
      }
    """
    assert refusal(client, document)[0] == 422
    assert client.get("/fhir/Patient/order").status_code == 404
    data = ask(
        client, document.replace("{gender: 5}", '{gender: "female"}').replace("c: ", "... { c: ") + "}"
    )
    assert (data["a"], data["b"]) == ({"gender": "male"}, {"gender": "other"})
    assert client.get("/fhir/Patient/order").json()["meta"]["versionId"] == "2"


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ("mutation { PatientCreate { id } }", 400),
        ("mutation { PatientCreate(res: 5) { id } }", 400),
        ("mutation { PatientCreate(res: {}, id: 1) { id } }", 400),
        ('mutation { PatientCreate(res: {resourceType: "Group"}) { id } }', 400),
        ('mutation { PatientUpdate(id: "a b", res: {}) { id } }', 400),
        ('mutation { PatientUpdate(id: "a", res: {id: "b"}) { id } }', 400),
        ("mutation { PatientUpdate(id: {}, res: {}) { id } }", 400),
        ('mutation { PatientDelete(id: "a") { id } }', 400),
        ("mutation { FooCreate(res: {}) { id } }", 400),
        ("mutation { PatientList { id } }", 400),
        ('mutation { PatientCreate(res: {foo: "bar"}) { id } }', 422),
        ('mutation { PatientCreate(res: {gender: "male"}) { foo } }', 400),
    ],
)
def test_a_mutation_that_cannot_be_done_writes_nothing(client: Client, document: str, status: int) -> None:
    before = client.get("/fhir/Patient?_summary=count").json()["total"]
    assert refusal(client, document)[0] == status
    assert client.get("/fhir/Patient?_summary=count").json()["total"] == before


def test_a_mutation_is_sent_by_post_to_the_system(client: Client) -> None:
    store(client, patient("kept"))
    document = 'mutation { PatientDelete(id: "kept") }'
    assert client.get(f"/fhir/$graphql?query={document}").status_code == 405
    assert refusal(client, document, "Patient/kept")[0] == 405
    assert client.get("/fhir/Patient/kept").status_code == 200
