"""search-type by GET and POST, and the CapabilityStatement, as a client meets them."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from fastapi import FastAPI
from fhir.resources.R4B.bundle import Bundle
from fhir.resources.R4B.capabilitystatement import CapabilityStatement

from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.definitions.search_parameters import load_registry
from fhir_server.index.indexer import Indexer
from fhir_server.router import build_router
from fhir_server.search.service import SearchService
from fhir_server.service import Repository
from fhir_server.validation.level import ResourceValidator
from fhir_server.validation.structure import StructureValidator
from hie.core.access import Permissive
from hie.core.clock import SystemClock
from hie.core.db.database import Database
from hie.core.errors import TimedOutError
from hie.core.fhir.json import JsonObject
from hie.core.settings import Settings
from hie.core.web import errors
from tests.fhir_server.interactions.client import Client, assert_outcome
from tests.fhir_server.search import stored

FORM = {"content-type": "application/x-www-form-urlencoded"}


@pytest.fixture(scope="module")
def client(module_database: Database, settings: Settings, indexer: Indexer) -> Client:
    with module_database.transaction() as transaction:
        stored.put(
            transaction.connection,
            indexer,
            [
                {
                    "resourceType": "Patient",
                    "id": f"p{number}",
                    "name": [{"family": "张", "given": [f"小{number}"]}],
                    "extension": [{"url": "http://x", "valueDecimal": 1.5}],
                }
                for number in range(5)
            ],
        )
    repository = Repository(
        validator=ResourceValidator(StructureValidator()),
        validation=settings.validation,
        indexer=indexer,
        search=SearchService(settings),
        access=Permissive(),
        clock=SystemClock(),
    )
    app = FastAPI()
    errors.install(app)
    app.include_router(build_router(repository, module_database, settings))
    return Client(app)


def _query(url: str) -> str:
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == "http://hie.example/fhir/Patient"
    return parts.query


def test_search_answers_a_valid_searchset_with_self_and_next(client: Client) -> None:
    response = client.get("Patient?name=张&_count=2&_total=accurate")
    assert (response.status_code, response.headers["content-type"].partition(";")[0]) == (
        200,
        "application/fhir+json",
    )
    bundle = response.json()
    Bundle.model_validate(bundle)
    assert (bundle["type"], bundle["total"]) == ("searchset", 5)
    assert [each["fullUrl"] for each in bundle["entry"]] == [
        "http://hie.example/fhir/Patient/p4",
        "http://hie.example/fhir/Patient/p3",
    ]
    assert {each["search"]["mode"] for each in bundle["entry"]} == {"match"}
    assert bundle["entry"][0]["resource"]["extension"] == [{"url": "http://x", "valueDecimal": 1.5}]
    links = {each["relation"]: each["url"] for each in bundle["link"]}
    assert set(links) == {"self", "next"}
    assert parse_qsl(_query(links["self"])) == [("name", "张"), ("_count", "2"), ("_total", "accurate")]


def test_next_links_lead_through_the_whole_search(client: Client) -> None:
    found, url = [], "Patient?name=张&_count=2"
    for _ in range(3):
        bundle = client.get(url).json()
        found += [each["resource"]["id"] for each in bundle["entry"]]
        links = {each["relation"]: each["url"] for each in bundle["link"]}
        url = "Patient?" + _query(links["next"]) if "next" in links else ""
    assert (found, url) == (["p4", "p3", "p2", "p1", "p0"], "")


def test_search_by_post_takes_parameters_of_body_and_url(client: Client) -> None:
    response = client.post("Patient/_search?_count=1", content=b"name=%E5%BC%A0%E5%B0%8F3", headers=FORM)
    assert response.status_code == 200
    assert [each["resource"]["id"] for each in response.json()["entry"]] == ["p3"]
    everything = client.post("Patient/_search", content=b"", headers=FORM)
    assert len(everything.json()["entry"]) == 5


def test_search_by_post_of_another_content_type_is_refused(client: Client) -> None:
    response = client.post("Patient/_search", content=b'{"name": "x"}')
    assert response.status_code == 415
    assert response.json()["issue"][0]["code"] == "not-supported"


def test_search_that_finds_nothing_has_no_entries(client: Client) -> None:
    bundle = client.get("Patient?name=nobody").json()
    Bundle.model_validate(bundle)
    assert "entry" not in bundle


def test_total_is_given_unasked_when_the_first_page_is_the_last(client: Client) -> None:
    assert client.get("Patient?name=小1").json()["total"] == 1
    assert "total" not in client.get("Patient?_count=2").json()


@pytest.mark.parametrize("prefer", ["handling=strict", "return=minimal, handling=strict"])
def test_unknown_search_parameter_is_an_error_under_strict_handling(client: Client, prefer: str) -> None:
    response = client.get("Patient?nonsense=1", headers={"prefer": prefer})
    assert response.status_code == 400
    assert response.json() == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": "not-supported",
                "diagnostics": "Search parameter `nonsense` is not defined for Patient",
                "expression": ["Patient.nonsense"],
            }
        ],
    }


@pytest.mark.parametrize("headers", [{}, {"prefer": "handling=lenient"}, {"prefer": "return=minimal"}])
def test_unknown_search_parameter_is_named_in_an_outcome_unless_handling_is_strict(
    client: Client, headers: dict[str, str]
) -> None:
    bundle = client.get("Patient?nonsense=1&_count=1", headers=headers).json()
    Bundle.model_validate(bundle)
    assert [each["search"]["mode"] for each in bundle["entry"]] == ["match", "outcome"]
    issue = bundle["entry"][-1]["resource"]["issue"][0]
    assert (issue["severity"], issue["expression"]) == ("warning", ["Patient.nonsense"])
    links = {each["relation"]: each["url"] for each in bundle["link"]}
    assert "nonsense" not in links["self"] + links["next"]


def test_search_of_an_unknown_resource_type_is_not_found(client: Client) -> None:
    response = client.get("Nonsense?x=1")
    assert (response.status_code, response.json()["issue"][0]["code"]) == (404, "not-supported")


@pytest.mark.parametrize("query", ["name=%FF", "&".join(["_id=a"] * 1001)])
def test_query_string_that_is_not_parameters_is_refused(client: Client, query: str) -> None:
    assert client.get(f"Patient?{query}").status_code == 400


def test_search_that_takes_too_long_is_ended_and_says_so(
    module_database: Database, settings: Settings
) -> None:
    with module_database.transaction() as other, module_database.transaction() as transaction:
        other.connection.execute("LOCK TABLE resource IN ACCESS EXCLUSIVE MODE")
        transaction.connection.execute("SET LOCAL statement_timeout = 50")
        with pytest.raises(TimedOutError) as caught:
            SearchService(settings).search(transaction, "Patient", [])
    assert (caught.value.status, caught.value.code) == (504, "too-costly")


def test_capability_statement_is_valid_and_lists_every_type(client: Client) -> None:
    response = client.get("metadata")
    statement = response.json()
    CapabilityStatement.model_validate(statement)
    assert statement["fhirVersion"] == "4.0.1"
    rest = statement["rest"][0]
    assert [each["type"] for each in rest["resource"]] == list(R4_RESOURCE_TYPES)
    assert {each["code"] for each in rest["interaction"]} >= {"transaction", "batch"}
    again = client.get("metadata", headers={"if-none-match": response.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_capability_statement_claims_each_interaction_that_has_a_route(client: Client) -> None:
    rest = client.get("metadata").json()["rest"][0]
    patient = next(each for each in rest["resource"] if each["type"] == "Patient")
    assert {each["code"] for each in patient["interaction"]} >= {
        "read",
        "vread",
        "update",
        "delete",
        "history-instance",
        "create",
        "search-type",
    }


@pytest.mark.parametrize("resource_type", ["Patient", "Observation", "Location", "Bundle"])
def test_every_search_parameter_and_include_that_is_claimed_is_answered(
    client: Client, resource_type: str
) -> None:
    values = {
        "token": "a",
        "string": "a",
        "reference": "a",
        "date": "2024",
        "number": "1",
        "quantity": "1",
        "uri": "http://a",
        "special": "1|2",
    }
    rest = client.get("metadata").json()["rest"][0]
    described = next(each for each in rest["resource"] if each["type"] == resource_type)
    for parameter in described["searchParam"]:
        components = load_registry().of(resource_type)[parameter["name"]].component_parameters
        value = "$".join(values[each.type] for each in components) or values[parameter["type"]]
        query = f"{resource_type}?{parameter['name']}={value}"
        assert (query, client.get(query).status_code) == (query, 200)
    for name in ("searchInclude", "searchRevInclude"):
        for include in described.get(name, [])[:20]:
            query = f"{resource_type}?{'_include' if name == 'searchInclude' else '_revinclude'}={include}"
            assert (query, client.get(query).status_code) == (query, 200)
    for code in ("composition-x", "_text"):
        if code not in {each["name"] for each in described["searchParam"]}:
            strictly = {"prefer": "handling=strict"}
            assert client.get(f"{resource_type}?{code}=1", headers=strictly).status_code == 400


@pytest.mark.parametrize("base", ["http://127.0.0.1:8000/fhir", "http://127.0.0.1:8000/fhir/"])
def test_search_of_the_system_pages_over_the_types_that_are_named(client: Client, base: str) -> None:
    for resource_type in ("Substance", "Medication", "Device"):
        body = {"resourceType": resource_type, "id": "s1", "code": {"text": "x"}}
        body = body if resource_type != "Device" else {"resourceType": "Device", "id": "s1"}
        assert client.put(f"{resource_type}/s1", json=body).status_code in {200, 201}
    seen: list[str] = []
    bundle = client.get(f"{base}?_type=Substance,Medication&_count=1").json()
    while True:
        seen += [entry["fullUrl"].rpartition("fhir/")[2] for entry in bundle["entry"]]
        links = {link["relation"]: link["url"] for link in bundle["link"]}
        assert links["self"].startswith("http://hie.example/fhir?_type=Substance,Medication")
        if "next" not in links:
            break
        bundle = client.get("?" + links["next"].partition("?")[2]).json()
    assert sorted(seen) == ["Medication/s1", "Substance/s1"]
    posted = client.post("_search", content="_type=Device", headers=FORM)
    assert [entry["resource"]["resourceType"] for entry in posted.json()["entry"]] == ["Device"]


def _put(client: Client, *resources: JsonObject) -> None:
    for resource in resources:
        stored_as = client.put(f"{resource['resourceType']}/{resource['id']}", json=resource)
        assert stored_as.status_code in {200, 201}, stored_as.text


def _shown(client: Client, query: str) -> list[str]:
    entries = client.get(query).json().get("entry", [])
    return [each["fullUrl"].rpartition("fhir/")[2] for each in entries if each["search"]["mode"] == "match"]


def test_chain_over_any_target_skips_types_that_nothing_refers_to_so(client: Client) -> None:
    _put(
        client,
        {
            "resourceType": "Encounter",
            "id": "seen",
            "status": "finished",
            "class": {"code": "AMB"},
            "subject": {"reference": "Patient/p1"},
        },
        *(
            {
                "resourceType": "Observation",
                "id": f"of-{name}",
                "status": "final",
                "code": {"text": "x"},
                "subject": {"reference": f"Patient/{name}"},
            }
            for name in ("p1", "p2")
        ),
    )
    assert _shown(client, "Observation?subject._has:Encounter:patient:class=AMB") == ["Observation/of-p1"]
    refused = client.get("Observation?device._has:Encounter:patient:class=AMB")
    assert_outcome(
        refused,
        400,
        "value",
        "`patient` of Encounter does not refer to DeviceMetric",
        "_has:Encounter:patient:class",
    )


def test_types_that_lack_a_parameter_drop_out_of_a_search_of_the_system(client: Client) -> None:
    _put(
        client,
        {"resourceType": "Bundle", "id": "b", "type": "collection"},
        {"resourceType": "Practitioner", "id": "d", "name": [{"family": "小1"}]},
    )
    assert sorted(_shown(client, "?name=小1")) == ["Patient/p1", "Practitioner/d"]
    strictly = {"prefer": "handling=strict"}
    assert client.get("?name=小1", headers=strictly).json()["total"] == 2
    bundle = client.get("?_type=Bundle,Practitioner&name=小1").json()
    assert [each["search"]["mode"] for each in bundle["entry"]] == ["match", "outcome"]
    (issue,) = bundle["entry"][-1]["resource"]["issue"]
    assert issue["diagnostics"] == "Bundle was not searched: it lacks a parameter that other types have"
    assert client.get("?_type=Bundle,Practitioner&name=小1", headers=strictly).status_code == 400
    assert client.get("?_type=Bundle,Practitioner&_sort=name").status_code == 200
    assert len(_shown(client, "?_type=Bundle,Practitioner&bogus=1")) == 2


@pytest.mark.parametrize("asked", ["", "_contained=true&", "_contained=both&", "_type=Bundle,Practitioner&"])
@pytest.mark.parametrize("rest", ["", "&_count=0", "&_sort=_lastUpdated", "&_total=accurate"])
def test_parameters_that_no_type_has_together_find_nothing(client: Client, asked: str, rest: str) -> None:
    _put(
        client,
        {"resourceType": "Bundle", "id": "b", "type": "collection"},
        {"resourceType": "Practitioner", "id": "d", "name": [{"family": "小1"}]},
    )
    # `composition` is a parameter of Bundle alone, `phonetic` is none of it
    path = f"?{asked}composition=Composition/1&phonetic=小1{rest}"
    bundle = client.get(path).json()
    assert bundle["total"] == 0
    assert not [each for each in bundle.get("entry", ()) if each["search"]["mode"] == "match"]
    assert "composition=Composition/1&phonetic=" in bundle["link"][0]["url"]
    assert client.get(path, headers={"prefer": "handling=strict"}).status_code == 400


@pytest.mark.parametrize(
    ("query", "named"), [("_include=Patient:bogus", "_include"), ("_sort=name,bogus", "_sort")]
)
def test_what_is_ignored_of_includes_and_orders_is_named(client: Client, query: str, named: str) -> None:
    bundle = client.get(f"Patient?name=小1&{query}").json()
    (issue,) = bundle["entry"][-1]["resource"]["issue"]
    assert issue["diagnostics"] == f"`{query}` names a search parameter that is not known and was ignored"
    assert issue["expression"] == [f"Patient.{named}"]
    assert query not in bundle["link"][0]["url"]


def test_empty_parameter_is_ignored_but_under_strict_handling(client: Client) -> None:
    assert client.get("Patient?name=小1&gender=&_count=").json()["total"] == 1
    assert client.get("Patient?gender=", headers={"prefer": "handling=strict"}).status_code == 400


def test_revinclude_of_everything_brings_all_that_refers(client: Client) -> None:
    for resource in (
        {"resourceType": "Basic", "id": "rb", "code": {"text": "x"}, "subject": {"reference": "Patient/p3"}},
        {"resourceType": "Flag", "id": "rf", "status": "active", "code": {"text": "x"}}
        | {"subject": {"reference": "Patient/p3"}},
    ):
        assert client.put(f"{resource['resourceType']}/{resource['id']}", json=resource).status_code == 201
    bundle = client.get("Patient?_id=p3&_revinclude=*").json()
    found = [(entry["resource"]["id"], entry["search"]["mode"]) for entry in bundle["entry"]]
    assert found[0] == ("p3", "match")
    assert sorted(found[1:]) == [("rb", "include"), ("rf", "include")]


@pytest.mark.parametrize("terms", [" or ".join(["name eq a"] * 500), " and ".join(["name co 小"] * 500)])
def test_filter_of_hundreds_of_terms_is_answered(client: Client, terms: str) -> None:
    assert client.get("Patient", params={"_filter": terms}).status_code == 200


def test_filter_that_changes_between_and_and_or_too_often_is_refused(client: Client) -> None:
    terms = "name eq a" + " and name eq b or name eq c" * 50
    assert client.get("Patient", params={"_filter": terms}).status_code == 400


def test_ring_of_references_does_not_hold_an_iterated_include(client: Client) -> None:
    ring = [
        {
            "resourceType": "Location",
            "id": f"ring{number}",
            "partOf": {"reference": f"Location/ring{(number + 1) % 200}"},
        }
        for number in range(200)
    ]
    for each in ring:
        assert client.put(f"Location/{each['id']}", json=each).status_code == 201
    bundle = client.get("Location?_id=ring0&_include:iterate=Location:partof").json()
    found = {entry["resource"]["id"] for entry in bundle["entry"] if entry["search"]["mode"] == "include"}
    assert {"ring1", "ring2"} <= found
    assert len(found) < 200
