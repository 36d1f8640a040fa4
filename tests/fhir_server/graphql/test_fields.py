"""Fields, arguments, fragments, variables and directives on one resource."""

import pytest

from tests.fhir_server.bad_input.api import Client
from tests.fhir_server.graphql.asking import ask, observation, patient, refusal, store

PLACE = "Patient/p"
VALUE = {"value": 1.10, "unit": "g"}


@pytest.fixture(scope="module", autouse=True)
def stored(client: Client) -> None:
    store(
        client,
        patient(
            "p",
            birthDate="1980-01-01",
            _birthDate={"extension": [{"url": "http://e.example/x", "valueBoolean": True}]},
            extension=[
                {"url": "http://e.example/a", "valueString": "a"},
                {"url": "http://e.example/b", "valueInteger": 2},
            ],
            contact=[{"name": {"family": "亲"}, "telecom": [{"system": "phone", "value": "1", "rank": 1}]}],
            multipleBirthInteger=2,
        ),
        observation("o", valueQuantity=VALUE),
    )


def test_aliases_rename_what_is_selected_by_an_argument(client: Client) -> None:
    data = ask(
        client,
        '{ kind: resourceType official: name(use: official) { family } usual: name(use: "usual") { given } }',
        PLACE,
    )
    assert data == {
        "kind": "Patient",
        "official": [{"family": "示例"}],
        "usual": [{"given": ["三"]}],
    }


@pytest.mark.parametrize(
    ("arguments", "given"),
    [
        ("use: [official, usual]", [["一", "二"], ["三"]]),
        ('given: "三"', [["三"]]),
        ("use: old", None),
        ("_count: 1", [["一", "二"]]),
        ("_offset: 1", [["三"]]),
        ("_offset: 1, _count: 5", [["三"]]),
        ("_count: 0", None),
        ('fhirpath: "period.start > @2001"', [["三"]]),
        ("fhirpath: \"use = 'usual'\", _offset: 1", None),
        ("use: $unset", [["一", "二"], ["三"]]),
    ],
)
def test_arguments_select_elements_of_a_list(
    client: Client, arguments: str, given: list[list[str]] | None
) -> None:
    data = ask(client, f"query ($unset: String) {{ name({arguments}) {{ given }} }}", PLACE)
    assert data == ({} if given is None else {"name": [{"given": each} for each in given]})


def test_numbers_and_urls_select_extensions_and_telecoms(client: Client) -> None:
    data = ask(
        client,
        '{ extension(url: "http://e.example/b") { valueInteger } contact { telecom(rank: 1) { value } } }',
        PLACE,
    )
    assert data == {"extension": [{"valueInteger": 2}], "contact": [{"telecom": [{"value": "1"}]}]}


def test_extensions_of_primitives_and_choices_have_their_names_of_json(client: Client) -> None:
    data = ask(client, "{ birthDate _birthDate { extension { valueBoolean } } multipleBirthInteger }", PLACE)
    assert data == {
        "birthDate": "1980-01-01",
        "_birthDate": {"extension": [{"valueBoolean": True}]},
        "multipleBirthInteger": 2,
    }


def test_a_decimal_keeps_its_digits(client: Client) -> None:
    store_text = (
        b'{"resourceType":"Observation","id":"d","status":"final","code":{"text":"x"},'
        b'"valueQuantity":{"value":1.10}}'
    )
    client.put("/fhir/Observation/d", store_text)
    response = client.get("/fhir/Observation/d/$graphql?query={valueQuantity{value}}")
    assert response.content == b'{"data":{"valueQuantity":{"value":1.10}}}'


def test_fragments_are_merged_with_the_fields_beside_them(client: Client) -> None:
    data = ask(
        client,
        """
        query {
          name(_count: 1) { family } ...Given ... on Patient { birthDate } ... on Group { quantity }
          ... { name(_count: 1) { use } } contact { ...Contact }
        }
        fragment Given on Patient { name(_count: 1) { given } }
        fragment Contact on PatientContact { name { family __typename } __typename }
        """,
        PLACE,
    )
    assert data == {
        "name": [{"family": "示例", "given": ["一", "二"], "use": "official"}],
        "birthDate": "1980-01-01",
        "contact": [{"name": {"family": "亲", "__typename": "HumanName"}, "__typename": "PatientContact"}],
    }


def test_variables_have_defaults_and_skip_and_include(client: Client) -> None:
    document = """
      query ($use: String! = "usual", $with: Boolean!) {
        name(use: $use) { given }
        birthDate @include(if: $with)
        id @skip(if: $with)
      }
    """
    assert ask(client, document, PLACE, **{"with": True}) == {
        "name": [{"given": ["三"]}],
        "birthDate": "1980-01-01",
    }
    assert ask(client, document, PLACE, **{"with": False, "use": "official"}) == {
        "name": [{"given": ["一", "二"]}],
        "id": "p",
    }


def test_one_of_several_operations_is_chosen_by_its_name(client: Client) -> None:
    document = "query A { id } query B { birthDate }"
    path = "/fhir/Patient/p/$graphql"
    chosen = client.get(f"{path}?query={document}&operationName=B")
    assert chosen.json() == {"data": {"birthDate": "1980-01-01"}}
    assert client.get(f"{path}?query={document}").status_code == 400
    assert client.get(f"{path}?query={document}&operationName=C").status_code == 400


def test_suffixes_of_slices_add_up(client: Client) -> None:
    data = ask(
        client,
        '{ name @flatten @slice(path: "use") { given period @flatten @slice(path: "start") { start } } }',
        PLACE,
    )
    assert data == {
        "given.official": ["一", "二"],
        "start.official.2001": ["2001"],
        "given.usual": ["三"],
        "start.usual.2002": ["2002"],
    }


def test_a_slice_that_is_not_flattened_keeps_the_objects(client: Client) -> None:
    data = ask(client, '{ name @slice(path: "use") @singleton { given @first } }', PLACE)
    assert data == {"name.official": {"given": "一"}, "name.usual": {"given": "三"}}


def test_what_is_flattened_out_of_a_list_becomes_lists(client: Client) -> None:
    assert ask(client, "{ name @flatten { period @flatten { start } } }", PLACE) == {
        "start": ["2001", "2002"]
    }


def test_values_of_several_types_do_not_come_together(client: Client) -> None:
    document = "{ contact @flatten { telecom @flatten { system } } extension @flatten { system: url } }"
    status, code, message = refusal(client, document, PLACE)
    assert (status, code) == (400, "invalid")
    assert message == "`system` would hold values of type code and of type uri"


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{ name { something } }", "`something` is not a field of HumanName"),
        ("{ value }", "`value` is not a field of Patient"),
        ("{ name }", "`name` is an object: select fields of it"),
        ("{ birthDate { extension { url } } }", "`birthDate` is a value: it has no fields to select"),
        ("{ birthDate(x: 1) }", "`birthDate` is a value: it has no arguments"),
        (
            "{ name(period: 1) { given } }",
            "`name` cannot be filtered by `period`: that is none of its values",
        ),
        ("{ name(_count: -1) { given } }", "`_count` is not a whole number"),
        ("{ id @upper }", "There is no directive `@upper` here"),
        ("{ id @include(if: 1) }", "The directive `@include` has one argument, `if`: true or false"),
        ("{ ...X }", "There is no fragment `X`"),
        ("{ ...X } fragment X on Patient { ...X }", "The fragment `X` contains itself"),
        ("{ ... on Person2 { id } }", "There is no type `Person2`"),
        ("{ ... on Group { birthDate } }", "`birthDate` is not a field of Group"),
        ("{ id: birthDate id }", "`id` stands for two different fields; give one an alias"),
        ("query ($x: Int!) { name(_count: $x) { given } }", "The variable `$x` has no value"),
        ("{ name(_count: $x) { given } }", "The variable `$x` is not defined"),
        ("query ($x: Int = true) { id }", "The variable `$x` is not of type Int"),
        ("subscription { id }", "Subscriptions are not supported by $graphql"),
        ("fragment X on Patient { id }", "There is no operation"),
    ],
)
def test_what_is_not_valid_is_refused(client: Client, document: str, message: str) -> None:
    assert refusal(client, document, PLACE) == (400, "invalid", message)


def test_a_syntax_error_says_where(client: Client) -> None:
    response = client.get("/fhir/Patient/p/$graphql?query={ id%0A name {")
    assert response.status_code == 400
    assert response.json()["errors"][0]["locations"] == [{"line": 2, "column": 8}]


def test_a_fhirpath_error_is_a_refusal(client: Client) -> None:
    status, code, _ = refusal(client, '{ name(fhirpath: "family.") { given } }', PLACE)
    assert (status, code) == (400, "invalid")


def test_limits_are_of_depth_fields_and_values(client: Client) -> None:
    deep = "{ extension " * 8 + "{ url }" + " }" * 8
    assert refusal(client, deep, PLACE)[:2] == (422, "too-costly")
    wide = "{" + " ".join(f"a{each}: id" for each in range(201)) + "}"
    assert refusal(client, wide, PLACE)[:2] == (422, "too-costly")
    bomb = "{...F0} " + " ".join(f"fragment F{n} on Patient {{...F{n + 1} ...F{n + 1}}}" for n in range(40))
    assert refusal(client, bomb + " fragment F40 on Patient {id}", PLACE)[:2] == (422, "too-costly")
    many = patient("many", name=[{"given": [str(each) for each in range(2_001)]}])
    store(client, many)
    assert refusal(client, "{ name { given } }", "Patient/many")[:2] == (422, "too-costly")


def test_an_instance_that_is_not_there_is_not_found(client: Client) -> None:
    assert refusal(client, "{ id }", "Patient/nobody")[:2] == (404, "not-found")
    assert refusal(client, "{ id }", "Foo/1")[0] == 404
