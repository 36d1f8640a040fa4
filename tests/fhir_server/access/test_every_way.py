"""No route and no operation bypasses the policy: the ways are taken from the router and the registry.

A new route or operation is tried here by itself; one that cannot be called so fails until
`SAMPLES` says how.
"""

import re
from base64 import b64decode
from collections.abc import Iterator
from typing import NamedTuple
from urllib.parse import quote

import psycopg
import pytest
from starlette.routing import Route

from fhir_server.operations.operation import Level, Operation
from fhir_server.operations.parameter import Parameter
from fhir_server.operations.registry import load_operations
from fhir_server.router import build_router
from hie import wiring
from hie.core.access import Permissive
from hie.core.fhir.json import JsonObject, dumps
from hie.core.settings import Settings
from tests.fhir_server.access.city import CANARY, record
from tests.fhir_server.access.conftest import Under
from tests.fhir_server.access.policies import DenyEverything, OnePatient, ReadOnly
from tests.fhir_server.bad_input.api import FHIR, Client

RECORD = {each["resourceType"]: each for each in record("y")}
IDS = {**{kind: each["id"] for kind, each in RECORD.items()}, "List": "l", "Group": "g"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
ASYNC = {"prefer": "respond-async"}
JSON_PATCH = {"content-type": "application/json-patch+json"}


class Way(NamedTuple):
    """One request; `is_write` says that it changes what is stored."""

    name: str
    method: str
    url: str
    body: bytes | None = None
    headers: dict[str, str] = FHIR
    is_write: bool = False

    def take(self, client: Client) -> tuple[int, str]:
        """Return status, and body and headers as text."""
        answer = client.request(self.method, self.url, content=self.body, headers=self.headers)
        text = answer.text
        if text.startswith('{"resourceType":"Binary"'):
            text += b64decode(answer.json()["data"]).decode()
        return answer.status_code, text + repr(answer.headers)


def parameters(*given: JsonObject) -> JsonObject:
    return {"resourceType": "Parameters", **({"parameter": list(given)} if given else {})}


META = parameters({"name": "meta", "valueMeta": {"tag": [{"system": "http://t.example", "code": "t"}]}})
# By the type of the instance, "" for the system.
GRAPHQL = {
    "": """{
        Patient(id: "y") { name { family } }
        PatientList { name { family } ConditionList(_reference: patient) { code { text } } }
        ObservationList { valueString subject { resource { ... on Patient { name { family } } } } }
        ObservationConnection(_count: "5") { edges { resource { valueString } } }
        }""",
    "Patient": "{ name { family } ObservationList(_reference: patient) { valueString } }",
    "Encounter": "{ reasonCode { text } }",
    "Observation": "{ valueString hasMember { resource { ... on Observation { valueString } } } }",
    "Condition": "{ code { text } }",
    "Composition": "{ title section { entry { resource { ... on Observation { valueString } } } } }",
    "List": "{ entry { item { resource { ... on Observation { valueString } } } } }",
    "Group": "{ member { entity { resource { ... on Patient { name { family } } } } } }",
}
# What an operation must be given by GET, by its code.
QUERIES = {"lastn": "?patient=Patient/y"}
# And by POST; the others are given a value for each input that they must have.
SAMPLES: dict[str, JsonObject] = {
    "lastn": parameters(
        {"name": "patient", "valueString": "Patient/y"}, {"name": "code:missing", "valueString": "false"}
    ),
    "meta-add": META,
    "meta-delete": META,
    "expunge": parameters({"name": "expungePreviousVersions", "valueBoolean": True}),
    "import": parameters(
        {"name": "input", "part": [{"name": "url", "valueUri": "http://files.example/Patient.ndjson"}]}
    ),
}


def routes() -> list[Route]:
    """Return the routes of the FHIR API as production mounts them."""
    with wiring.build(Settings(), database_url="postgresql://nobody@127.0.0.1:1/none") as exchange:
        router = build_router(exchange.repository, exchange.database, exchange.settings)
    return [route for route in router.routes if isinstance(route, Route)]


def ways_of_routes() -> list[Way]:
    return [way for route in routes() if route.name != "operation" for way in _ways(route)]


def _ways(route: Route) -> Iterator[Way]:
    names = set(re.findall(r"{(\w+)[:}]", route.path))
    unknown = names - {"resource_type", "resource_id", "version", "compartment"}
    if route.name in _OTHERS:
        return
    assert not unknown, f"say in this test how the route {route.path} is called: {unknown}"
    if "compartment" in names:
        for kind in ("Patient", "Encounter"):
            for within in ("*", "Observation"):
                url = route.path.format(compartment=kind, resource_id=IDS[kind], resource_type=within)
                yield Way(route.name, "GET", url)
        return
    for kind in RECORD if "resource_type" in names else ("Patient",):
        url = route.path.format(resource_type=kind, resource_id=IDS[kind], version="1").rstrip("/")
        for method in sorted(route.methods or ()):
            yield from _requests(route.name, method, url, kind)


# A route that shows nothing that is stored; and jobs, which are nobody's but their requester's
# (tests/fhir_server/jobs) and read as their requester (test_export_of_one_patient).
_OTHERS = {"capabilities", "operation definition", "job status", "job cancellation", "job file"}


def _requests(name: str, method: str, url: str, kind: str) -> Iterator[Way]:
    resource = dumps({**RECORD[kind], "language": "en"})
    if name == "graphql":
        asked = GRAPHQL[kind if IDS[kind] in url else ""]
        if method == "POST":
            yield Way(name, method, url, dumps({"query": asked}), {"content-type": "application/json"})
        else:
            yield Way(name, method, f"{url}?query={quote(asked)}")
        return
    if method in ("GET", "HEAD"):
        yield Way(name, method, url)
        return
    if method == "POST" and url.endswith("/_search"):
        yield Way(name, method, url, b"_count=10", FORM)
        return
    if name == "import":
        yield Way(
            name, method, url, resource, {"content-type": "application/fhir+ndjson", **ASYNC}, is_write=True
        )
        return
    if url == "/fhir":
        for bundle_kind in ("transaction", "batch"):
            yield Way(name, method, url, _bundle(bundle_kind), is_write=True)
        return
    patch = dumps([{"op": "add", "path": "/language", "value": "en"}])
    body, headers = {"PATCH": (patch, JSON_PATCH), "DELETE": (None, {})}.get(method, (resource, FHIR))
    condition = "" if url.endswith(f"/{IDS[kind]}") or method == "POST" else f"?_id={IDS[kind]}"
    yield Way(name, method, url + condition, body, headers, is_write=True)


def _bundle(kind: str) -> bytes:
    resource = {**RECORD["Observation"], "language": "en"}
    requests = [
        ("POST", "Observation", resource),
        ("PUT", "Observation/o-y", resource),
        ("DELETE", "Condition/c-y", None),
    ]
    entries = [
        {"request": {"method": method, "url": url}, **({"resource": body} if body else {})}
        for method, url, body in requests
    ]
    return dumps({"resourceType": "Bundle", "type": kind, "entry": entries})


def ways_of_operations() -> list[Way]:
    return [
        way
        for operation in load_operations()
        for level in sorted(operation.definition.levels)
        for way in _calls(operation, level)
    ]


_VALUES = {
    "boolean": True,
    "canonical": "http://e.example/x",
    "code": "x",
    "integer": 1,
    "string": "x",
    "uri": "http://e.example/x",
    "Coding": {"system": "http://e.example/x", "code": "x"},
    "CodeableConcept": {"text": "x"},
    "Meta": {"tag": [{"code": "x"}]},
}


def _sample(parameter: Parameter) -> JsonObject:
    kind = parameter.type
    if parameter.parts:
        return {"name": parameter.name, "part": [_sample(each) for each in parameter.parts if each.min]}
    if kind in ("Resource", *RECORD):
        return {"name": parameter.name, "resource": RECORD.get(kind, RECORD["Observation"])}
    assert kind in _VALUES, f"say in this test what a {kind} is"
    return {"name": parameter.name, f"value{kind[0].upper()}{kind[1:]}": _VALUES[kind]}


_JOBS = {"export", "import", "reindex"}


def _calls(operation: Operation, level: Level) -> Iterator[Way]:
    definition = operation.definition
    required = [each for each in definition.inputs if each.min]
    kinds = [kind for kind in IDS if not definition.types or kind in definition.types]
    paths = {
        "system": ["/fhir"],
        "type": [f"/fhir/{kind}" for kind in kinds],
        "instance": [f"/fhir/{kind}/{IDS[kind]}" for kind in kinds],
    }[level]
    for path in paths:
        url, name = f"{path}/${definition.code}", f"${definition.code}"
        if definition.code == "graphql":
            kind = path.split("/")[2] if level == "instance" else ""
            asked = GRAPHQL[kind]
            yield Way(name, "GET", f"{url}?query={quote(asked)}")
            yield Way(name, "POST", url, dumps(parameters({"name": "query", "valueString": asked})))
            continue
        headers = {**FHIR, **ASYNC} if definition.code in _JOBS else FHIR
        if definition.takes_get and not required:
            yield Way(name, "GET", url + QUERIES.get(definition.code, ""), headers=headers)
        body = dumps(SAMPLES.get(definition.code) or parameters(*map(_sample, required)))
        yield Way(name, "POST", url, body, headers, is_write=definition.affects_state)


ALL = [*ways_of_routes(), *ways_of_operations()]
WITH_NAME = pytest.mark.parametrize("name", sorted({way.name for way in ALL}))


def ways(name: str) -> list[Way]:
    return [way for way in ALL if way.name == name]


@pytest.fixture
def stored(shared_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(shared_url, autocommit=True) as connection:
        yield connection


def versions(connection: psycopg.Connection, text: str = "") -> object:
    """Return how many versions there are of resources with `text`, and the last one's number."""
    return connection.execute(
        "SELECT count(*), sum(version), max(seq) FROM resource"
        " WHERE position(convert_to(%s, 'UTF8') IN body) > 0",
        (text,),
    ).fetchone()


@WITH_NAME
def test_where_everything_is_denied_nothing_is_shown_or_changed(
    sharing: Under, name: str, stored: psycopg.Connection
) -> None:
    client, before = sharing(DenyEverything()), versions(stored)
    for way in ways(name):
        status, text = way.take(client)
        assert CANARY not in text, way
        assert "of x" not in text, way
        if way.is_write and b"batch" not in (way.body or b""):
            assert status in (403, 404), (way, text)
        else:
            assert status < 500, (way, text)
    assert versions(stored) == before


@WITH_NAME
def test_where_one_patient_may_be_seen_no_other_is(
    sharing: Under, name: str, stored: psycopg.Connection
) -> None:
    client, before = sharing(OnePatient("x")), versions(stored, CANARY)
    for way in ways(name):
        status, text = way.take(client)
        assert CANARY not in text, way
        assert status < 500, (way, text)
    assert versions(stored, CANARY) == before


@WITH_NAME
def test_where_only_reading_is_permitted_nothing_is_changed(
    sharing: Under, name: str, stored: psycopg.Connection
) -> None:
    client, before = sharing(ReadOnly()), versions(stored)
    for way in ways(name):
        status, text = way.take(client)
        if way.is_write and b"batch" not in (way.body or b""):
            # One that this server has not got is no way.
            assert status == 403 or "There is no operation" in text, (way, text)
    assert versions(stored) == before


def test_the_same_ways_do_show_the_text_and_write_where_everything_is_permitted(under: Under) -> None:
    """Else the tests above would prove nothing."""
    client = under(Permissive())
    reading = {way.name for way in ALL if not way.is_write and CANARY in way.take(client)[1]}
    assert reading >= {
        "read",
        "vread",
        "history",
        "history-type",
        "history-system",
        "search-type",
        "search-type by POST",
        "$everything",
        "$lastn",
        "$document",
        "graphql",
    }
    writing = {way.name for way in ALL if way.is_write and way.take(client)[0] < 300}
    assert writing >= {
        "create",
        "update",
        "conditional update",
        "delete",
        "conditional delete",
        "transaction or batch",
        "$meta-add",
    }
