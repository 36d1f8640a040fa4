"""Reads, lists, connections and reverse references at the system, and who may see them."""

from collections.abc import Iterator

import pytest

from hie import app, wiring
from hie.core.access import EVERYTHING, Attempt, Readable, Requester
from hie.core.fhir.json import Json
from hie.wiring import Exchange
from tests.fhir_server.bad_input.api import Client
from tests.fhir_server.graphql.asking import GRAPHQL, JSON, ask, observation, patient, refusal, store


@pytest.fixture(scope="module", autouse=True)
def stored(client: Client) -> None:
    store(client, *(patient(f"p{each}", gender="female", active=each != 2) for each in range(7)))
    store(
        client,
        *(
            observation(
                f"o{each}",
                f"Patient/p{each % 3}",
                effectiveDateTime=f"2024-01-0{each + 1}",
                valueQuantity={
                    "value": each,
                    "unit": "g",
                    "system": "http://unitsofmeasure.org",
                    "code": "g",
                },
            )
            for each in range(8)
        ),
        {
            "resourceType": "Condition",
            "id": "c",
            "subject": {"reference": "Patient/p1"},
            "clinicalStatus": {
                "coding": [
                    {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "active"}
                ]
            },
            "code": {"text": "a, b"},
        },
    )


def ids(data: Json, name: str) -> list[str]:
    return sorted(each["id"] for each in data[name])


@pytest.mark.parametrize("argument", ['id: "p1"', "_id: p1", 'id: "p1", '])
def test_one_resource_is_read_by_its_id(client: Client, argument: str) -> None:
    assert ask(client, f"{{ Patient({argument}) {{ id gender }} }}") == {
        "Patient": {"id": "p1", "gender": "female"}
    }


@pytest.mark.parametrize(
    ("arguments", "found"),
    [
        ("active: false", ["p2"]),
        ("_id: [p1, p2, nobody]", ["p1", "p2"]),
        ('_id: [p1, p2], active: "true"', ["p1"]),
        ('_id: [p1, p2], fhirpath: "active = false"', ["p2"]),
        ('family: "示例", _count: 0', []),
        ('_filter: "active eq false or _id eq p3"', ["p2", "p3"]),
        ("gender: $gender, active: false", ["p2"]),
        ("gender: null, active: false", ["p2"]),
    ],
)
def test_a_list_is_what_the_search_finds(client: Client, arguments: str, found: list[str]) -> None:
    document = f"query ($gender: String) {{ PatientList({arguments}) {{ id }} }}"
    data = ask(client, document, gender="female")
    assert sorted(each["id"] for each in data.get("PatientList", [])) == found


def test_underscores_stand_for_hyphens(client: Client) -> None:
    assert refusal(client, "{ ConditionList(clinical_statuss: active) { id } }")[:2] == (400, "not-supported")
    assert ask(client, "{ ConditionList(clinical_status: active) { id } }") == {
        "ConditionList": [{"id": "c"}]
    }
    data = ask(client, '{ ObservationList(value_quantity: ["lt2", "gt6"]) { id } }')
    assert ids(data, "ObservationList") == ["o0", "o1", "o7"]


def test_commas_stand_for_themselves_and_lists_for_several_values(client: Client) -> None:
    assert ask(client, '{ PatientList(family: "x,示例") { id } }') == {}
    assert len(ask(client, '{ PatientList(family: ["x", "示例"]) { id } }')["PatientList"]) == 7


def test_a_list_is_sorted_and_counted_as_a_search_is(client: Client) -> None:
    assert ask(client, '{ ObservationList(_sort: "-date", _count: 2) { id } }') == {
        "ObservationList": [{"id": "o7"}, {"id": "o6"}]
    }


def test_two_queries_of_one_kind_have_aliases(client: Client) -> None:
    document = "{ a: Patient(id: p1) { id } b: PatientList(_id: p2) { id } __typename }"
    assert ask(client, document) == {"a": {"id": "p1"}, "b": [{"id": "p2"}], "__typename": "Query"}


def test_what_refers_to_a_resource_is_listed_with_it(client: Client) -> None:
    document = """
      { PatientList(_id: ["p0", "p1"], _sort: "_id") {
          id
          ObservationList(_reference: patient, _sort: date) { id }
          conditions: ConditionConnection(_reference: subject) { count edges { mode resource { id } } }
      } }
    """
    assert ask(client, document)["PatientList"] == [
        {
            "id": "p0",
            "ObservationList": [{"id": "o0"}, {"id": "o3"}, {"id": "o6"}],
            "conditions": {"count": 0},
        },
        {
            "id": "p1",
            "ObservationList": [{"id": "o1"}, {"id": "o4"}, {"id": "o7"}],
            "conditions": {"count": 1, "edges": [{"mode": "match", "resource": {"id": "c"}}]},
        },
    ]


@pytest.mark.parametrize(
    "arguments",
    ["", "_reference: 1", "_reference: patient, _id: o1", '_reference: patient, cursor: "x"'],
)
def test_a_reverse_reference_needs_its_argument_and_no_other_identity(client: Client, arguments: str) -> None:
    field = f"ObservationConnection({arguments})" if arguments else "ObservationList"
    selection = "{ count }" if arguments else "{ id }"
    assert refusal(client, f"{{ {field} {selection} }}", "Patient/p1")[:2] == (400, "invalid")


def test_a_search_parameter_that_is_no_reference_is_refused(client: Client) -> None:
    status, _, _ = refusal(client, "{ ObservationList(_reference: nothing) { id } }", "Patient/p1")
    assert status == 400


def test_a_connection_is_read_page_by_page(client: Client) -> None:
    document = """
      query ($cursor: String, $count: Int, $code: String) {
        ObservationConnection(cursor: $cursor, _count: $count, code: $code) {
          count offset pagesize first next
          edges { mode resource { id } }
        }
      }
    """
    first = ask(client, document, count=3, code="718-7")["ObservationConnection"]
    assert (first["count"], first["offset"], first["pagesize"]) == (8, 0, 3)
    pages, page = [first], first
    while "next" in page:
        page = ask(client, document, cursor=page["next"])["ObservationConnection"]
        pages.append(page)
    assert [page["offset"] for page in pages] == [0, 3, 6]
    found = [edge["resource"]["id"] for page in pages for edge in page["edges"]]
    assert sorted(found) == [f"o{each}" for each in range(8)]
    again = ask(client, document, cursor=page["first"])["ObservationConnection"]
    # a cursor also says how far the log of the whole server was
    assert {**again, "next": ""} == {**first, "next": ""}


@pytest.mark.parametrize("cursor", ["x", "WzFd", "é", "", 5])
def test_a_cursor_of_another_making_is_refused(client: Client, cursor: Json) -> None:
    document = "query ($c: ID) { PatientConnection(cursor: $c) { count } }"
    assert refusal(client, document, c=cursor)[:2] == (400, "invalid")


def test_a_cursor_is_for_its_own_type_and_stands_alone(client: Client) -> None:
    first = ask(client, "{ PatientConnection(_count: 1) { next } }")["PatientConnection"]["next"]
    other = f'{{ ObservationConnection(cursor: "{first}") {{ count }} }}'
    assert refusal(client, other)[:2] == (400, "invalid")
    more = f'{{ PatientConnection(cursor: "{first}", active: true) {{ count }} }}'
    assert refusal(client, more)[:2] == (400, "invalid")


@pytest.mark.parametrize(
    ("document", "status"),
    [
        ('{ PatientList(_include: "x") { id } }', 400),
        ("{ PatientList(_summary: true) { id } }", 400),
        ("{ PatientList(foo: 1) { id } }", 400),
        ("{ PatientList(birthdate: yesterday) { id } }", 400),
        ("{ PatientList(birthdate: {a: 1}) { id } }", 400),
        ("{ PatientList { something } }", 400),
        ("{ PatientList }", 400),
        ("{ PatientConnection { id } }", 400),
        ("{ PatientConnection { edges { resource { something } } } }", 400),
        ("{ Patient { id } }", 400),
        ("{ Patient(name: x) { id } }", 400),
        ("{ Patient(id: nobody) { id } }", 404),
        ('{ Patient(id: "a b") { id } }', 404),
        ("{ Foo(id: 1) { id } }", 400),
        ("{ FooList { id } }", 400),
        ("{ id }", 400),
    ],
)
def test_what_the_system_cannot_answer_is_refused(client: Client, document: str, status: int) -> None:
    assert refusal(client, document)[0] == status


def test_searches_are_limited(client: Client) -> None:
    document = "{" + " ".join(f"a{each}: PatientList(_id: p{each}) {{ id }}" for each in range(11)) + "}"
    assert refusal(client, document)[:2] == (422, "too-costly")


def test_a_list_is_whole_or_an_error(exchange: Exchange, client: Client) -> None:
    settings = exchange.settings.model_copy(update={"page_size_limit": 5})
    with (
        wiring.build(settings, database_url=exchange.database_url) as small,
        Client(app.build(small)) as limited,
    ):
        assert refusal(limited, "{ PatientList { id } }")[:2] == (422, "too-costly")
        assert refusal(limited, "{ PatientList(_count: 6) { id } }")[:2] == (422, "too-costly")
        assert len(ask(limited, "{ PatientList(_count: 4) { id } }")["PatientList"]) == 4
        assert len(ask(limited, "{ PatientList(_id: [p1, p2]) { id } }")["PatientList"]) == 2
    assert len(ask(client, "{ PatientList { id } }")["PatientList"]) == 7


class OnlyP1:
    """Shows Patient/p1 and what is about it."""

    def readable(self, _requester: Requester, resource_type: str) -> Readable:
        """Return what is about the one patient."""
        if resource_type == "Patient":
            return Readable(((("_id", "p1"),),))
        if resource_type == "Observation":
            return Readable(((("subject", "Patient/p1"),),))
        return EVERYTHING

    def decide(self, _requester: Requester, _attempt: Attempt) -> None:
        """Permit."""


@pytest.fixture(scope="module")
def guarded(exchange: Exchange) -> Iterator[Client]:
    with (
        wiring.build(exchange.settings, database_url=exchange.database_url, access=OnlyP1()) as other,
        Client(app.build(other)) as opened,
    ):
        yield opened


def test_the_access_policy_holds_for_every_way(client: Client, guarded: Client) -> None:
    store(client, observation("secret", "Patient/p1", hasMember=[{"reference": "Observation/o0"}]))
    assert ids(ask(guarded, "{ PatientList { id } }"), "PatientList") == ["p1"]
    assert refusal(guarded, "{ Patient(id: p0) { id } }")[0] == 404
    assert refusal(guarded, "{ id }", "Patient/p0")[0] == 404
    assert refusal(guarded, "{ hasMember { resource { id } } }", "Observation/secret")[0] == 422
    document = "{ hasMember { reference resource(optional: true) { id } } }"
    assert ask(guarded, document, "Observation/secret") == {"hasMember": [{"reference": "Observation/o0"}]}
    found = ask(guarded, "{ ObservationConnection { count edges { resource { subject { reference } } } } }")
    assert found["ObservationConnection"]["count"] == len(found["ObservationConnection"]["edges"])
    assert {each["resource"]["subject"]["reference"] for each in found["ObservationConnection"]["edges"]} == {
        "Patient/p1"
    }


def test_the_document_comes_in_every_form_that_clients_send(client: Client) -> None:
    document = "query Q($id: ID!) { Patient(id: $id) { id } }"
    expected = {"data": {"Patient": {"id": "p1"}}}
    variables = 'variables={"id":"p1"}'
    by_get = client.get(f"/fhir/$graphql?query={document}&{variables}")
    assert by_get.json() == expected
    as_text = client.request(
        "POST", f"/fhir/$graphql?{variables}&operationName=Q", content=document.encode(), headers=GRAPHQL
    )
    assert as_text.json() == expected
    as_json = client.request(
        "POST",
        "/fhir/$graphql",
        content=b'{"query":"query Q($id: ID!) { Patient(id: $id) { id } }","variables":{"id":"p1"},'
        b'"operationName":"Q"}',
        headers={**JSON, "accept": "application/json, text/plain"},
    )
    assert as_json.json() == expected
    parameters = (
        b'{"resourceType":"Parameters","parameter":[{"name":"query","valueString":"{Patient(id:p1){id}}"}]}'
    )
    assert client.post("/fhir/$graphql", parameters).json() == expected
    assert client.request("HEAD", "/fhir/$graphql?query={Patient(id:p1){id}}").status_code == 200


@pytest.mark.parametrize(
    ("body", "content_type", "status"),
    [
        (b"", "application/json", 400),
        (b"{}", "application/json", 400),
        (b"[]", "application/json", 400),
        (b"{", "application/json", 400),
        (b'{"query":1}', "application/json", 400),
        (b'{"query":"{id}","variables":[]}', "application/json", 400),
        (b'{"query":"{id}","operationName":{}}', "application/json", 400),
        (b"{id}", "text/plain", 415),
        (b"{id}", "application/graphql; charset=gbk", 415),
        (b"\xff\xfe", "application/graphql", 400),
        (b"{" * 100_000, "application/graphql", 400),
        (b'{"resourceType":"Parameters"}', "application/fhir+json", 400),
    ],
)
def test_a_body_that_is_no_request_is_refused(
    client: Client, body: bytes, content_type: str, status: int
) -> None:
    response = client.request(
        "POST", "/fhir/Patient/p1/$graphql", content=body, headers={"content-type": content_type}
    )
    assert response.status_code == status
    assert response.json()["errors"][0]["extensions"]["resource"]["resourceType"] == "OperationOutcome"


def test_a_batch_has_it_as_an_operation_whose_result_is_a_binary(client: Client) -> None:
    bundle = (
        b'{"resourceType":"Bundle","type":"batch","entry":[{"request":{"method":"GET",'
        b'"url":"Patient/p1/$graphql?query={id}"}}]}'
    )
    (entry,) = client.post("/fhir", bundle).json()["entry"]
    assert entry["resource"]["resourceType"] == "Binary"
    assert entry["resource"]["data"] == "eyJkYXRhIjp7ImlkIjoicDEifX0="


def test_introspection_describes_what_can_be_asked(client: Client) -> None:
    document = """
      { __type(name: "Patient") { fields { name args { name } } }
        __schema { queryType { name } directives { name } } }
    """
    data = ask(client, document)
    fields = {each["name"]: {arg["name"] for arg in each["args"]} for each in data["__type"]["fields"]}
    assert {"_count", "_offset", "fhirpath", "use"} <= fields["name"]
    assert "_reference" in fields["ObservationList"]
    assert {"flatten", "first", "singleton", "slice", "skip", "include"} <= {
        each["name"] for each in data["__schema"]["directives"]
    }
    assert refusal(client, "{ __schema { nothing } }")[0] == 400
    assert refusal(client, "{ __schema { queryType { name } } PatientList { id } }")[0] == 400


def test_what_refers_to_many_resources_is_searched_for_together(client: Client) -> None:
    """Seven patients and two lists each: more searches than are allowed, were each one of its own."""
    document = """
      { PatientList(_sort: "_id") {
          id
          all: ObservationList(_reference: patient, _sort: "-date") { id }
          late: ObservationList(_reference: subject, date: "ge2024-01-04", fhirpath: "id != 'o5'") { id }
      } }
    """
    together = {each.pop("id"): each for each in ask(client, document)["PatientList"]}
    assert len(together) == 7
    alone = '{ all: ObservationList(_reference: patient, _sort: "-date", _count: 50) { id } }'
    for identity, found in together.items():
        assert ask(client, alone, f"Patient/{identity}").get("all") == found.get("all")
    assert [each["id"] for each in together["p0"]["all"][:3]] == ["o6", "o3", "o0"]
    assert ids(together["p1"], "late") == ["o4", "o7"]
    assert "late" not in together["p2"]


def test_lists_that_are_counted_are_searched_for_one_by_one(client: Client) -> None:
    document = "{ PatientList(_id: [p0, p1]) { ObservationList(_reference: patient, _count: 2) { id } } }"
    assert [len(each["ObservationList"]) for each in ask(client, document)["PatientList"]] == [2, 2]
    many = """
      { PatientList {
          a: ObservationList(_reference: patient, _count: 2) { id }
          b: ObservationList(_reference: subject, _count: 2) { id }
      } }
    """
    assert refusal(client, many)[:2] == (422, "too-costly")


def test_a_resource_that_refers_to_several_is_listed_with_each(client: Client) -> None:
    members = [{"reference": "Observation/o1"}, {"reference": "Observation/o2"}]
    store(client, observation("panel", hasMember=members, effectiveDateTime="2030"))
    document = """
      { ObservationList(_id: ["o1", "o2", "o3"], _sort: "_id") {
          ObservationList(_reference: has_member) { id }
      } }
    """
    assert ask(client, document)["ObservationList"] == [
        {"ObservationList": [{"id": "panel"}]},
        {"ObservationList": [{"id": "panel"}]},
        {},
    ]
