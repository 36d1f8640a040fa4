"""Searches that cannot be understood: 4xx that names the parameter; no text of a client is a fault."""

from random import Random
from urllib.parse import quote

import pytest

from fhir_server.definitions.search_parameters import load_registry
from hie.core.fhir.json import dumps
from tests.fhir_server.bad_input.api import STRUCTURE, Client, Rows, issues_of, outcome_of
from tests.fhir_server.validation.mutations import least

SEED = 20240302

BAD: list[tuple[str, str, str]] = [
    ("Patient?foo=1", "not-supported", "Patient.foo"),
    ("Patient?name:foo=1", "value", "Patient.name:foo"),
    ("Patient?name=", "value", "Patient.name"),
    ("Patient?birthdate=yesterday", "value", "Patient.birthdate"),
    ("Patient?birthdate=2024-13", "value", "Patient.birthdate"),
    ("Patient?birthdate=2024-02-30", "value", "Patient.birthdate"),
    ("Patient?birthdate=xx2024", "value", "Patient.birthdate"),
    ("Patient?birthdate=ge", "value", "Patient.birthdate"),
    ("Patient?_lastUpdated=now", "value", "Patient._lastUpdated"),
    ("Patient?_id=a_b", "value", "Patient._id"),
    ("Patient?identifier=|", "value", "Patient.identifier"),
    ("Patient?active:missing=maybe", "value", "Patient.active:missing"),
    ("Observation?value-quantity=heavy", "value", "Observation.value-quantity"),
    ("Observation?value-quantity=5|http://unitsofmeasure.org", "value", "Observation.value-quantity"),
    ("Observation?value-quantity=NaN", "value", "Observation.value-quantity"),
    ("Observation?subject=?", "value", "Observation.subject"),
    ("Observation?subject:Foo=1", "value", "Observation.subject:Foo"),
    ("Observation?subject.foo=1", "not-supported", "Observation.subject.foo"),
    ("Observation?_has:foo=1", "value", "_has:foo"),
    ("Patient?_count=-1", "value", "_count"),
    ("Patient?_count=many", "value", "_count"),
    ("Patient?_count=%D9%A1", "value", "_count"),
    ("Patient?_sort=foo", "not-supported", "Patient.foo"),
    ("Patient?_include=foo", "value", "_include"),
    ("Patient?_total=some", "value", "_total"),
    ("Patient?_summary=short", "value", "_summary"),
    ("Patient?_cursor=abc", "value", "_cursor"),
    ("Patient?_cursor=%00", "value", "_cursor"),
    ("Foo?_id=1", "not-supported", ""),
]


@pytest.mark.parametrize(("url", "code", "expression"), BAD)
def test_a_search_that_cannot_be_understood_is_refused(
    client: Client, url: str, code: str, expression: str
) -> None:
    response = client.request("GET", f"/fhir/{url}", headers={"prefer": "handling=strict"})
    assert response.status_code == (404 if url.startswith("Foo") else 400)
    assert issues_of(response) == [(code, [expression] if expression else [])]
    by_post = client.request(
        "POST",
        f"/fhir/{url.partition('?')[0]}/_search",
        content=url.partition("?")[2].encode(),
        headers={"content-type": "application/x-www-form-urlencoded", "prefer": "handling=strict"},
    )
    assert (by_post.status_code, outcome_of(by_post)) == (response.status_code, outcome_of(response))


def test_a_search_in_a_body_of_another_type_is_refused(client: Client) -> None:
    for content_type in ("application/fhir+json", "text/plain", "multipart/form-data; boundary=a"):
        response = client.request(
            "POST", "/fhir/Patient/_search", content=b"name=a", headers={"content-type": content_type}
        )
        assert response.status_code == 415
        assert issues_of(response) == [("not-supported", [])]


TEXTS = [
    *(
        "\x00",
        "a\x00b",
        "%",
        "_",
        "\\",
        "\\,",
        "a\\",
        "'",
        "';--",
        '"',
        "$",
        "|",
        "||",
        "a|b|c|d",
        ",",
        ",,",
        "*",
    ),
    *(
        "张",
        "\U0001f469",
        "\ufffd",
        "\u202e",
        " ",
        "\t\n",
        "a" * 5_000,
        "1e999",
        "-0",
        "9" * 400,
        "1e-999",
        "0.0e1",
    ),
    *("0001", "9999", "9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "lt0001", "ap0001", "ap9999"),
    *(
        "2016-12-31T23:59:60Z",
        "ge2024-02-29T10:00",
        "eq2024",
        "sa2024-01",
        "ne9999-12-31",
        "24:00",
        "nan",
        "inf",
    ),
    *(
        "Patient/p1",
        "Patient/",
        "/Patient/p1",
        "http://",
        "http://[",
        "urn:uuid:",
        "#a",
        "Patient/p1/_history/1",
    ),
    *(
        "true",
        "false",
        "male",
        "http://hie.example/sid/mr|1",
        "|1",
        "http://hie.example/sid/mr|",
        "{}",
        "[]",
        "null",
    ),
]
SEARCHED = ["Patient", "Observation", "Encounter", "ValueSet", "RiskAssessment", "Basic"]
MODIFIERS = [
    "",
    "",
    "",
    ":exact",
    ":contains",
    ":missing",
    ":not",
    ":above",
    ":below",
    ":of-type",
    ":identifier",
]
MODIFIERS += [
    ":text",
    ":in",
    ":Patient",
    ":iterate",
    ":",
    "::",
    ":\x00",
    ".name",
    ".",
    "..",
    ".identifier.name",
]


def test_no_text_in_a_search_is_a_fault(client: Client, rows: Rows) -> None:
    random = Random(SEED)  # noqa: S311  # chooses searches
    for resource_type in SEARCHED:
        for _ in range(5):
            body = dumps(least(resource_type, random))
            assert client.post(f"/fhir/{resource_type}", body).status_code == 201
    before = rows()
    answered = 0
    registry = load_registry()
    for _ in range(1_500):
        resource_type = random.choice(SEARCHED)
        codes = [
            *registry.of(resource_type),
            "_sort",
            "_include",
            "_revinclude",
            "_count",
            "_elements",
            "_has:a",
        ]
        parameters = [
            quote(random.choice(codes) + random.choice(MODIFIERS), safe="")
            + "="
            + quote(random.choice(TEXTS), safe="")
            for _ in range(random.choice((1, 1, 2)))
        ]
        url = f"/fhir/{resource_type}?{'&'.join(parameters)}"
        response = client.get(url)
        if response.status_code == 200:
            answered += 1
            assert STRUCTURE.validate(response.json()) == [], url
        else:
            assert response.status_code == 400, (url, response.text)
            assert all(expressions for _, expressions in issues_of(response)), (url, response.text)
    assert 100 < answered < 1_300
    assert rows() == before


@pytest.mark.parametrize(
    "query", ["name=%FF%FE", "name=%C3%28", "%FF=1", "name=%ED%A0%80", "&&&", "=", "=1", "?", "name"]
)
def test_a_query_that_is_not_utf8_or_not_pairs_is_no_fault(client: Client, query: str) -> None:
    response = client.get(f"/fhir/Patient?{query}")
    assert response.status_code in (200, 400)
