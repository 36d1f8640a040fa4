"""References followed to resources: of this server, contained, absent, of a type, and many at once."""

from typing import Any, ClassVar, Self

import psycopg
import pytest

from fhir_server.graphql.service import Request, answer
from fhir_server.interactions.server import Server
from fhir_server.jobs.service import Jobs
from hie.wiring import Exchange
from tests.fhir_server.bad_input.api import Client
from tests.fhir_server.graphql.asking import ask, observation, patient, refusal, store


@pytest.fixture(scope="module", autouse=True)
def stored(client: Client) -> None:
    organization = {"resourceType": "Organization", "id": "h", "name": "院"}
    store(
        client,
        organization,
        {**organization, "id": "ward", "partOf": {"reference": "Organization/h"}},
        *(patient(f"p{each}", managingOrganization={"reference": "Organization/ward"}) for each in range(5)),
        *(
            observation(
                f"o{each}",
                f"Patient/p{each}",
                performer=[{"reference": "Organization/ward"}, {"display": "某人"}],
            )
            for each in range(5)
        ),
        observation("absolute", "http://127.0.0.1:8000/fhir/Patient/p1"),
        observation("old", "Patient/p1/_history/1"),
        observation("foreign", "http://elsewhere.example/fhir/Patient/p1"),
        observation(
            "contained",
            "#inside",
            contained=[
                patient("inside", managingOrganization={"reference": "#ward"}),
                {"resourceType": "Organization", "id": "ward", "name": "内"},
            ],
        ),
        {
            "resourceType": "Bundle",
            "id": "b",
            "type": "collection",
            "entry": [{"resource": observation("e", "Patient/p2")}, {"resource": patient("f")}],
        },
    )
    store(client, patient("p1", active=True, managingOrganization={"reference": "Organization/ward"}))


@pytest.mark.parametrize(("place", "identity"), [("absolute", "p1"), ("o2", "p2")])
def test_a_reference_of_this_server_is_followed(client: Client, place: str, identity: str) -> None:
    data = ask(client, "{ subject { resource { id resourceType } } }", f"Observation/{place}")
    assert data == {"subject": {"resource": {"id": identity, "resourceType": "Patient"}}}


def test_a_reference_to_a_version_leads_to_that_version(client: Client) -> None:
    document = "{ subject { resource { ... on Patient { active meta { versionId } } } } }"
    assert ask(client, document, "Observation/old") == {"subject": {"resource": {"meta": {"versionId": "1"}}}}


def test_references_inside_a_contained_resource_are_those_of_its_container(client: Client) -> None:
    document = "{ subject { resource { id managingOrganization { resource { name } } } } contained { id } }"
    assert ask(client, document, "Observation/contained") == {
        "subject": {"resource": {"id": "inside", "managingOrganization": {"resource": {"name": "内"}}}},
        "contained": [{"id": "inside"}, {"id": "ward"}],
    }


def test_a_contained_resource_refers_to_those_beside_it(client: Client) -> None:
    document = "{ contained { ... on Patient { managingOrganization { resource { name } } } } }"
    assert ask(client, document, "Observation/contained") == {
        "contained": [{"managingOrganization": {"resource": {"name": "内"}}}, {}]
    }


def test_resources_of_a_bundle_are_narrowed_by_fragments(client: Client) -> None:
    document = """
      { entry { resource { ... on Observation { subject { resource { id } } } ... on Patient { id } } } }
    """
    assert ask(client, document, "Bundle/b") == {
        "entry": [{"resource": {"subject": {"resource": {"id": "p2"}}}}, {"resource": {"id": "f"}}]
    }


def test_a_type_narrows_what_is_followed(client: Client) -> None:
    document = """
      { subject { resource(type: Group) { quantity } resource(type: Patient) { id } } }
    """
    assert ask(client, document, "Observation/o1") == {"subject": {"resource": {"id": "p1"}}}
    assert ask(client, "{subject{resource(type: Group){id}}}", "Observation/o1") == {"subject": {}}


@pytest.mark.parametrize("place", ["foreign", "dangling"])
def test_a_reference_that_cannot_be_followed_is_an_error_unless_it_is_optional(
    client: Client, place: str
) -> None:
    store(client, observation("dangling", "Patient/p1"))
    store(client, patient("gone"))
    store(client, observation("dangling", "Patient/gone"))
    assert client.request("DELETE", "/fhir/Patient/gone").status_code in (200, 204)
    status, code, _ = refusal(client, "{ subject { resource { id } } }", f"Observation/{place}")
    assert (status, code) == (422, "not-found")
    data = ask(client, "{ id subject { resource(optional: true) { id } } }", f"Observation/{place}")
    assert data == {"id": place, "subject": {}}


def test_a_reference_without_a_literal_leads_nowhere(client: Client) -> None:
    data = ask(client, "{ performer { display resource { id } } }", "Observation/o0")
    assert data == {"performer": [{"resource": {"id": "ward"}}, {"display": "某人"}]}


def test_an_argument_that_resource_does_not_have_is_refused(client: Client) -> None:
    for arguments in ("type: Foo", "optional: 1", "id: 1"):
        status, code, _ = refusal(client, f"{{subject{{resource({arguments}){{id}}}}}}", "Observation/o1")
        assert (status, code) == (400, "invalid")
    assert refusal(client, "{ subject { resource { something } } }", "Observation/o1")[0] == 400


class Counting(psycopg.Cursor[tuple[Any, ...]]):
    """A cursor that keeps the statements it executes."""

    texts: ClassVar[list[str]] = []

    def execute(self, query: Any, *args: Any, **options: Any) -> Self:
        """Keep the statement and execute it."""
        self.texts.append(str(query))
        return super().execute(query, *args, **options)


@pytest.mark.parametrize("patients", [1, 5])
def test_the_references_of_one_level_take_one_statement(exchange: Exchange, patients: int) -> None:
    document = f"""
      {{ ObservationList(_id: [{", ".join(f'"o{each}"' for each in range(patients))}]) {{
          id
          subject {{ resource {{ managingOrganization {{
            resource {{ ...Named partOf {{ resource {{ ...Named }} }} }}
          }} }} }}
          performer {{ resource {{ ...Named }} }}
      }} }}
      fragment Named on Organization {{ name }}
    """
    server = Server(
        repository=exchange.repository,
        database=exchange.database,
        base_url="http://127.0.0.1:8000/fhir",
        max_body_bytes=1024,
        page_size=20,
        page_size_limit=100,
        jobs=Jobs("http://127.0.0.1:8000/fhir", exchange.settings.jobs, exchange.clock),
        max_bundle_entries=1,
        max_nesting=8,
        zone=exchange.settings.zone,
        clock=exchange.clock,
    )
    with exchange.database.transaction() as transaction:
        connection = transaction.connection
        plain, connection.cursor_factory = connection.cursor_factory, Counting
        try:
            Counting.texts.clear()
            data = answer(Request(document), server, transaction)["data"]
        finally:
            connection.cursor_factory = plain
    assert len(data["ObservationList"]) == patients
    for each in data["ObservationList"]:
        organization = each["subject"]["resource"]["managingOrganization"]["resource"]
        assert organization == {"name": "院", "partOf": {"resource": {"name": "院"}}}
    reads = [text for text in Counting.texts if "unnest" in text and "FROM resource" in text]
    # patients and wards; organizations of patients are wards that are known already; the ward's own
    assert len(reads) == 2


def test_a_name_that_is_a_value_in_one_type_and_an_object_in_another_is_taken_as_it_is_selected(
    client: Client,
) -> None:
    practitioner = {"resourceType": "Practitioner", "id": "d", "name": [{"family": "医"}]}
    performers = [{"reference": "Organization/h"}, {"reference": "Practitioner/d"}]
    store(client, practitioner, observation("two", performer=performers))
    document = "{ performer { resource { id name { family } } } }"
    assert ask(client, document, "Observation/two") == {
        "performer": [{"resource": {"id": "h"}}, {"resource": {"id": "d", "name": [{"family": "医"}]}}]
    }
    assert refusal(client, "{ performer { resource { name } } }", "Observation/two")[0] == 400
