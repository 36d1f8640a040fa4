"""`_contained` and `_containedType`, and chains into contained resources, over HTTP.

https://hl7.org/fhir/R4/search.html#contained
"""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from fhir.resources.R4B.bundle import Bundle
from sqlalchemy.engine import URL

from hie import wiring
from hie.app import build as build_app
from hie.core.db.database import Database
from hie.core.fhir.json import JsonObject
from hie.core.settings import Settings
from tests.fhir_server.interactions.client import Client

BASE = "http://127.0.0.1:8000/fhir"

# The page's own example: a prescription whose Medication is a custom formulation.
REQUEST: JsonObject = {
    "resourceType": "MedicationRequest",
    "id": "23",
    "status": "active",
    "intent": "order",
    "contained": [
        {
            "resourceType": "Medication",
            "id": "m1",
            "ingredient": [
                {
                    "itemCodeableConcept": {
                        "coding": [{"system": "http://acme.com./medications", "code": "abc"}]
                    }
                }
            ],
            "manufacturer": {"reference": "#o1"},
        },
        {
            "resourceType": "Organization",
            "id": "o1",
            "name": "Acme",
            "partOf": {"reference": "Organization/city"},
        },
    ],
    "medicationReference": {"reference": "#m1"},
    "subject": {"reference": "Patient/p"},
}
# Two contained resources of one type, neither of which is male and called Li.
TWO: JsonObject = {
    "resourceType": "Observation",
    "id": "two",
    "status": "final",
    "code": {"text": "x"},
    "contained": [
        {"resourceType": "Patient", "id": "a", "name": [{"family": "Li"}], "gender": "female"},
        {
            "resourceType": "Patient",
            "id": "b",
            "name": [{"family": "Wu"}],
            "gender": "male",
            "birthDate": "1970",
        },
    ],
    "subject": {"reference": "#b"},
    "focus": [{"reference": "#a"}],
}
ONE: JsonObject = {
    "resourceType": "Observation",
    "id": "one",
    "status": "final",
    "code": {"text": "x"},
    "contained": [{"resourceType": "Patient", "id": "a", "name": [{"family": "Li"}], "gender": "male"}],
    "subject": {"reference": "#a"},
}
PLAIN: JsonObject = {"resourceType": "Patient", "id": "li", "name": [{"family": "Li"}], "gender": "male"}
CITY: JsonObject = {"resourceType": "Organization", "id": "city", "name": "City"}
OF_PLAIN: JsonObject = {
    "resourceType": "Observation",
    "id": "plain",
    "status": "final",
    "code": {"text": "x"},
    "subject": {"reference": "Patient/li"},
}


@contextmanager
def filled(database_url: str) -> Iterator[Client]:
    with wiring.build(Settings(page_size_limit=50), database_url=database_url) as exchange:
        made = Client(build_app(exchange))
        for resource in (CITY, REQUEST, TWO, ONE, PLAIN, OF_PLAIN):
            put(made, resource)
        yield made


@pytest.fixture
def client(database_url: str) -> Iterator[Client]:
    """A client of a server of the test's own."""
    with filled(database_url) as made:
        yield made


@pytest.fixture(scope="module")
def reader(module_database: Database) -> Iterator[Client]:
    """A client of a server that is only read from."""
    with module_database.transaction() as transaction:
        info = transaction.connection.info
    url = URL.create(
        "postgresql",
        username=info.user,
        password=info.password or None,
        database=info.dbname,
        query={"host": info.host, "port": str(info.port)},
    )
    with filled(url.render_as_string(hide_password=False)) as made:
        yield made


@pytest.fixture(scope="module")
def paged(reader: Client) -> Client:
    """The same with containers of several contained resources."""
    many(reader, 4, 3)
    return reader


def put(client: Client, resource: JsonObject) -> None:
    answer = client.request("PUT", f"{resource['resourceType']}/{resource['id']}", json=resource)
    assert answer.status_code in (200, 201), answer.text


def search(client: Client, query: str) -> JsonObject:
    answer = client.get(query)
    assert answer.status_code == 200, answer.text
    bundle: JsonObject = answer.json()
    Bundle.model_validate(bundle)
    return bundle


def found(client: Client, query: str) -> list[str]:
    """Return the full URLs of what matches, below the base, in order."""
    entries = search(client, query).get("entry", [])
    return [each["fullUrl"].removeprefix(f"{BASE}/") for each in entries if each["search"]["mode"] == "match"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Medication?ingredient-code=abc", []),
        ("Medication?ingredient-code=abc&_contained=false", []),
        ("Medication?ingredient-code=abc&_contained=true", ["MedicationRequest/23"]),
        ("Medication?ingredient-code=abc&_contained=both", ["MedicationRequest/23"]),
        (
            "Medication?ingredient-code=abc&_contained=true&_containedType=contained",
            ["MedicationRequest/23#m1"],
        ),
        ("Medication?_contained=true&_containedType=contained", ["MedicationRequest/23#m1"]),
        ("Patient?family=Li", ["Patient/li"]),
        ("Patient?family=Li&_contained=true", ["Observation/one", "Observation/two"]),
        ("Patient?family=Li&_contained=both", ["Patient/li", "Observation/one", "Observation/two"]),
        ("Patient?family=Li&gender=male&_contained=true", ["Observation/one"]),
        ("Patient?family=Wu&birthdate=lt1980&_contained=true", ["Observation/two"]),
        ("Patient?family=Li&birthdate=lt1980&_contained=true", []),
        ("Patient?family:contains=u&_contained=true", ["Observation/two"]),
        ("Patient?birthdate:missing=true&_contained=true", ["Observation/one", "Observation/two"]),
        ("Patient?birthdate:missing=false&_contained=true", ["Observation/two"]),
        ("Patient?gender:not=male&_contained=true&_containedType=contained", ["Observation/two#a"]),
        ("Patient?_id=b&_contained=true&_containedType=contained", ["Observation/two#b"]),
        ("Patient?_id=li&_contained=true", []),
        ("Specimen?_contained=true&_sort=_lastUpdated", []),
        ("Specimen?_contained=both&_containedType=contained&_sort=type", []),
        ("Patient?family=Nobody&_contained=both&_sort=_lastUpdated", []),
        ("Patient?phonetic=lee&_contained=true", ["Observation/one", "Observation/two"]),
        ("Patient?_lastUpdated=gt2000&_contained=true", []),
        (
            "Patient?family=Li,Wu&_contained=both&_containedType=contained",
            ["Patient/li", "Observation/one#a", "Observation/two#a", "Observation/two#b"],
        ),
        ("Patient?_contained=true", ["Observation/one", "Observation/two"]),
        ("Organization?partof=Organization/city&_contained=true", ["MedicationRequest/23"]),
        ("Organization?partof.name=City&_contained=true", ["MedicationRequest/23"]),
        ("Organization?partof.name=Town&_contained=true", []),
        ("Medication?manufacturer.name=Acme&_contained=true", ["MedicationRequest/23"]),
        ("Medication?manufacturer.partof=Organization/city&_contained=true", ["MedicationRequest/23"]),
        (
            "Medication?_has:MedicationRequest:medication:status=active&_contained=true",
            ["MedicationRequest/23"],
        ),
        ("Medication?_has:MedicationRequest:medication:status=stopped&_contained=true", []),
        (
            "Organization?_has:Medication:manufacturer:ingredient-code=abc&_contained=true&_containedType=contained",
            ["MedicationRequest/23#o1"],
        ),
        ("Patient?_filter=family eq Li and gender eq male&_contained=true", ["Observation/one"]),
        (
            "Patient?_filter=family eq Wu or gender eq male&_contained=true",
            ["Observation/one", "Observation/two"],
        ),
        (
            "?_type=Patient,Medication&_contained=true",
            ["Observation/one", "Observation/two", "MedicationRequest/23"],
        ),
    ],
)
def test_contained_resources_are_found_where_they_are_asked_for(
    reader: Client, query: str, expected: list[str]
) -> None:
    assert found(reader, query) == expected
    assert search(reader, f"{query}&_summary=count")["total"] == len(expected)
    assert search(reader, f"{query}&_total=accurate")["total"] == len(expected)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("MedicationRequest?medication.ingredient-code=abc", ["MedicationRequest/23"]),
        ("MedicationRequest?medication.ingredient-code=other", []),
        ("MedicationRequest?medication.manufacturer.name=Acme", ["MedicationRequest/23"]),
        ("MedicationRequest?medication.manufacturer.partof.name=City", ["MedicationRequest/23"]),
        ("Observation?subject:Patient.family=Li", ["Observation/plain", "Observation/one"]),
        ("Observation?subject.family=Li&_contained=false", ["Observation/plain", "Observation/one"]),
        ("Observation?focus:Patient.family=Li", ["Observation/two"]),
        ("Observation?subject.family=Wu&status=final", ["Observation/two"]),
        ("Observation?subject.gender=male&subject.family=Li", ["Observation/plain", "Observation/one"]),
        ("Observation?patient._id=a", ["Observation/one"]),
        ("Observation?_filter=subject.family eq Wu", ["Observation/two"]),
        ("Observation?_filter=patient[gender eq female].family eq Li", []),
        ("Observation?subject=a", []),
    ],
)
def test_a_chain_is_evaluated_inside_contained_resources(
    reader: Client, query: str, expected: list[str]
) -> None:
    assert found(reader, query) == expected


def test_a_container_is_returned_whole_and_a_contained_resource_alone(reader: Client) -> None:
    (entry,) = search(reader, "Medication?ingredient-code=abc&_contained=true")["entry"]
    assert (entry["resource"]["resourceType"], entry["search"]) == ("MedicationRequest", {"mode": "match"})
    assert entry["resource"]["contained"] == REQUEST["contained"]
    (entry,) = search(reader, "Medication?_contained=true&_containedType=contained")["entry"]
    assert entry["fullUrl"] == f"{BASE}/MedicationRequest/23#m1"
    assert (entry["resource"], entry["search"]) == (REQUEST["contained"][0], {"mode": "match"})


def pages(client: Client, query: str) -> list[list[str]]:
    shown = []
    url: str | None = query
    while url:
        bundle = search(client, url)
        shown.append([each["fullUrl"].removeprefix(f"{BASE}/") for each in bundle.get("entry", [])])
        following = [link["url"] for link in bundle["link"] if link["relation"] == "next"]
        parts = urlsplit(following[0]) if following else None
        url = f"{parts.path.removeprefix('/fhir/')}?{parts.query}" if parts else None
    return shown


def many(client: Client, containers: int, each: int) -> None:
    for number in range(containers):
        contained = [
            {"resourceType": "Practitioner", "id": f"d{at}", "name": [{"family": f"N{at:02}-{number:02}"}]}
            for at in range(each)
        ]
        subject = {"reference": "Patient/nobody"}
        put(client, {**OF_PLAIN, "id": f"m{number}", "subject": subject, "contained": contained})


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 50])
@pytest.mark.parametrize(
    "order", ["", "&_sort=_lastUpdated", "&_sort=family", "&_sort=-family", "&_sort=_id"]
)
def test_pages_show_every_contained_resource_once(paged: Client, count: int, order: str) -> None:
    query = f"Practitioner?_contained=true&_containedType=contained&_count={count}{order}"
    shown = pages(paged, query)
    everything = [each for page in shown for each in page]
    assert all(0 < len(page) <= count for page in shown)
    assert sorted(everything) == [f"Observation/m{number}#d{at}" for number in range(4) for at in range(3)]
    containers = [each.partition("#")[0] for each in everything[::3]]
    newest_first = ["Observation/m3", "Observation/m2", "Observation/m1", "Observation/m0"]
    assert containers == (newest_first if order in ("", "&_sort=-family") else newest_first[::-1])


def test_pages_of_containers_show_each_once_while_they_are_changed(client: Client) -> None:
    many(client, 6, 2)
    first = search(client, "Practitioner?_contained=true&_count=2")
    (following,) = [link["url"] for link in first["link"] if link["relation"] == "next"]
    put(client, {**OF_PLAIN, "id": "m1", "note": [{"text": "x"}], "contained": many_contained()})
    put(client, {**OF_PLAIN, "id": "m9", "contained": many_contained()})
    parts = urlsplit(following)
    rest = pages(client, f"{parts.path.removeprefix('/fhir/')}?{parts.query}")
    shown = [each["fullUrl"].removeprefix(f"{BASE}/") for each in first["entry"]] + [
        each for page in rest for each in page
    ]
    assert shown == [f"Observation/m{number}" for number in (5, 4, 3, 2, 1, 0)]


def many_contained() -> list[JsonObject]:
    return [{"resourceType": "Practitioner", "id": "d0", "name": [{"family": "N"}]}]


def test_what_contained_resources_refer_to_is_included(reader: Client) -> None:
    for kind in ("container", "contained"):
        bundle = search(
            reader, f"Organization?_contained=true&_containedType={kind}&_include=Organization:partof"
        )
        modes = [(each["resource"]["id"], each["search"]["mode"]) for each in bundle["entry"]]
        assert modes == [("23" if kind == "container" else "o1", "match"), ("city", "include")]


def rows_of_contained(database: Database) -> int:
    with database.transaction() as transaction:
        counts = transaction.connection.execute(
            "SELECT (SELECT count(*) FROM contained), (SELECT count(*) FROM ix_token WHERE param < 0),"
            " (SELECT count(*) FROM ix_string WHERE param < 0),"
            " (SELECT count(*) FROM ix_reference WHERE rid < 0)"
        ).fetchone()
    assert counts is not None
    return sum(counts)


def test_contained_resources_are_renewed_and_go_with_their_container(
    client: Client, database_url: str
) -> None:
    query = "Patient?family=Li&_contained=true&_containedType=contained"
    changed = {**TWO["contained"][0], "name": [{"family": "Zhou"}]}
    put(client, {**TWO, "contained": [changed], "subject": {"reference": "Patient/li"}})
    assert found(client, query) == ["Observation/one#a"]
    assert found(client, query.replace("Li", "Zhou")) == ["Observation/two#a"]
    assert found(client, "Patient?family=Wu&_contained=true") == []
    assert client.request("DELETE", "Observation/one").status_code == 204
    assert found(client, query) == []
    put(client, ONE)
    assert found(client, query) == ["Observation/one#a"]
    expunge = {
        "resourceType": "Parameters",
        "parameter": [{"name": "expungeEverything", "valueBoolean": True}],
    }
    for name in ("Observation/one", "Observation/two", "MedicationRequest/23"):
        answer = client.request("POST", f"{name}/$expunge", json=expunge)
        assert answer.status_code == 200, answer.text
    with Database.from_url(database_url, pool_size=1) as database:
        assert rows_of_contained(database) == 0


def test_contained_resources_of_a_transaction_are_found(client: Client) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {"resource": {**ONE, "id": "t1"}, "request": {"method": "PUT", "url": "Observation/t1"}},
            {
                "resource": {key: value for key, value in ONE.items() if key != "id"},
                "request": {"method": "POST", "url": "Observation"},
            },
        ],
    }
    assert client.request("POST", "", json=bundle).status_code == 200
    assert len(found(client, "Patient?family=Li&_contained=true")) == 4
    assert len(found(client, "Observation?subject:Patient.family=Li")) == 4


@pytest.mark.parametrize(
    ("query", "parameter"),
    [
        ("Patient?_contained=maybe", "_contained"),
        ("Patient?_contained=true&_containedType=box", "_containedType"),
        ("Patient?_contained:exact=true", "_contained:exact"),
    ],
)
def test_other_values_are_refused(reader: Client, query: str, parameter: str) -> None:
    answer = reader.get(query)
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["expression"] == [parameter]
