"""Who is shown names, numbers and addresses masked is shown them masked on every way that the server has.

The ways are those of the router, of the registry of operations, and the searches that lead astray
(tests/fhir_server/access); a new one is tried here by itself. Everything may be read: only masking hides.
"""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import quote

import pytest
from httpx import Response

from fhir_server.subscriptions.journal import Event
from fhir_server.subscriptions.shown import show
from hie import app, wiring
from hie.core.access import SYSTEM, Permissive, Requester
from hie.core.fhir.json import JsonObject, dumps
from hie.core.settings import Settings
from tests.conftest import fresh_database
from tests.fhir_server.access.test_every_way import ALL, FORM, WITH_NAME, ways
from tests.fhir_server.access.test_one_patient import READS, bundle, entry
from tests.fhir_server.bad_input.api import FHIR, Client
from tests.hie.policy.city import ANALYST, CLINICIAN, DESK, PHARMACIST
from tests.hie.policy.conftest import As, Known
from tests.hie.privacy.secrets import (
    GIVEN,
    NAME,
    PHONE,
    PHOTO,
    RESIDENT_ID,
    RESIDENT_IDS,
    SECRETS,
    STREET,
    stored,
)

JSON_PATCH = {"content-type": "application/json-patch+json"}


@pytest.fixture(scope="module")
def exchange(
    server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[wiring.Exchange]:
    """An exchange under a policy that permits everything, with the record of two patients."""
    with fresh_database(server_url, template) as url:
        settings = Settings(var_dir=tmp_path_factory.mktemp("var"))
        with wiring.build(settings, database_url=url, access=Permissive()) as built:
            yield built


@pytest.fixture(scope="module")
def seeing(exchange: wiring.Exchange) -> Iterator[As]:
    """A client of that exchange for each requester."""
    clients: dict[Requester, Client] = {}
    with ExitStack() as opened:

        def client(requester: Requester) -> Client:
            if requester not in clients:
                built = app.build(exchange)
                built.add_middleware(Known, requester=requester)
                clients[requester] = opened.enter_context(Client(built))
            return clients[requester]

        answer = client(SYSTEM).post("/fhir", dumps(stored()))
        assert answer.status_code == HTTPStatus.OK, answer.text
        yield client


def patched(client: Client, operations: bytes) -> Response:
    return client.request("PATCH", "/fhir/Patient/y", content=operations, headers=JSON_PATCH)


def secrets_in(text: str) -> list[str]:
    return [each for each in SECRETS if each in text]


@WITH_NAME
def test_no_route_and_no_operation_shows_what_is_masked(seeing: As, name: str) -> None:
    client = seeing(DESK)
    for way in ways(name):
        if way.is_write:
            continue
        status, text = way.take(client)
        assert secrets_in(text) == [], way
        assert status < HTTPStatus.INTERNAL_SERVER_ERROR, (way, text)


def test_the_same_ways_do_show_it_to_a_clinician(seeing: As) -> None:
    """Else the test above would prove nothing."""
    client = seeing(CLINICIAN)
    showing = {way.name for way in ALL if not way.is_write and secrets_in(way.take(client)[1])}
    assert showing >= {
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


@pytest.mark.parametrize("path", READS)
def test_no_search_shows_what_is_masked(seeing: As, path: str) -> None:
    answer = seeing(DESK).get(f"/fhir/{path}")
    assert secrets_in(answer.text) == []
    refused = {"Patient?name=CANARY"}
    assert answer.status_code == (HTTPStatus.FORBIDDEN if path in refused else HTTPStatus.OK)


def test_in_a_batch_in_xml_in_parts_and_as_binary_it_is_masked_too(seeing: As) -> None:
    client = seeing(DESK)
    paths = [
        "Patient/y?_format=xml",
        "Patient/y?_summary=text",
        "Patient/y?_elements=name",
        "Patient?_id=y&_summary=true",
        "Patient?_contained=true&_id=r",
        "Binary/b",
        "Binary/b?_format=json",
    ]
    texts = [client.get(f"/fhir/{path}").text for path in paths]
    texts.append(client.post("/fhir", bundle("batch", *(entry("GET", path) for path in READS[:6]))).text)
    texts.append(client.request("GET", "/fhir/Binary/b", headers={"accept": "text/plain"}).text)
    fields = "name{text family given} telecom{value} identifier{value} address{line text} photo{data}"
    asked = f'{{Patient(id:"y"){{{fields}}}}}'
    texts.append(client.get(f"/fhir/$graphql?query={quote(asked)}").text)
    assert "欧" in texts[-1]
    for text in texts:
        assert secrets_in(text) == []


def test_a_clinician_is_shown_the_bytes_that_are_stored(seeing: As) -> None:
    shown = seeing(CLINICIAN).get("/fhir/Patient/y")
    assert secrets_in(shown.text) == [NAME, GIVEN, RESIDENT_ID, PHONE, *SECRETS[4:]]
    assert "MASKED" not in shown.text
    assert shown.content == seeing(SYSTEM).get("/fhir/Patient/y").content


def test_a_masked_patient_keeps_what_its_role_needs_and_is_labelled(seeing: As) -> None:
    shown = seeing(DESK).get("/fhir/Patient/y").json()
    assert shown["name"][0] == {"use": "official", "text": "欧***", "family": "欧*", "given": ["**"]}
    assert shown["telecom"] == [
        {"system": "phone", "value": "138****1234"},
        {"system": "email", "value": "o***@mail.example"},
    ]
    assert shown["identifier"][0] == {"system": RESIDENT_IDS, "value": "11****************"}
    assert shown["identifier"][1]["value"] == "p-y"
    assert shown["address"] == [{"city": "北京市", "district": "朝阳区"}]
    assert shown["birthDate"] == "1949-12-31"
    assert not {"text", "photo"} & shown.keys()
    assert shown["meta"]["security"] == [
        {
            "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
            "code": "MASKED",
            "display": "masked",
        }
    ]
    pharmacist = seeing(PHARMACIST).get("/fhir/Patient/y")
    assert NAME in pharmacist.text
    assert RESIDENT_ID in pharmacist.text
    assert not {PHONE, STREET, PHOTO} & set(secrets_in(pharmacist.text))


@pytest.mark.parametrize(
    "path",
    [
        f"Patient?name={NAME}",
        f"Patient?family:exact={NAME}",
        f"Patient?phone={PHONE}",
        f"Patient?telecom={PHONE}",
        f"Patient?address={STREET}",
        "Patient?address-city=x",
        f"Patient?identifier={RESIDENT_ID}",
        f"Patient?identifier={RESIDENT_IDS}%7C{RESIDENT_ID}",
        f"Patient?identifier=http://hospital.example/mrn%7Cp-y,{RESIDENT_IDS}%7C{RESIDENT_ID}",
        f"Patient?identifier:of-type=a%7Cb%7C{RESIDENT_ID}",
        "Patient?identifier:missing=false",
        f"Patient?phonetic={NAME}",
        "Patient?_sort=family",
        "Patient?_sort=-phone",
        f"Patient?_content={NAME}",
        f"Observation?_text={NAME}",
        f"Patient?_filter=name eq {NAME}",
        f"Patient?_filter=identifier eq {RESIDENT_IDS}%7C{RESIDENT_ID}",
        f"Observation?patient.name={NAME}",
        f"Observation?subject:Patient.phone={PHONE}",
        f"Observation?patient:identifier={RESIDENT_IDS}%7C{RESIDENT_ID}",
        f"Organization?_has:Patient:organization:name={NAME}",
        f"Patient?_has:Observation:patient:subject:Patient.name={NAME}",
        f"Group?_filter=member[name eq {NAME}].gender eq male",
        f"?_type=Patient&name={NAME}",
        f"Patient?_contained=true&name={NAME}",
        f"Patient/y/Person?name={NAME}",
    ],
)
@pytest.mark.parametrize("handling", ["strict", "lenient"])
def test_search_by_what_is_masked_is_refused(seeing: As, path: str, handling: str) -> None:
    answer = seeing(DESK).request("GET", f"/fhir/{path}", headers={"prefer": f"handling={handling}"})
    assert answer.status_code == HTTPStatus.FORBIDDEN, answer.text
    (issue,) = answer.json()["issue"]
    assert issue["code"] == "forbidden"
    assert "masked" in issue["diagnostics"]


def test_search_by_an_identifier_that_is_not_masked_finds(seeing: As) -> None:
    shown = seeing(DESK).get("/fhir/Patient?identifier=http://hospital.example/mrn%7Cp-y").json()
    assert [each["resource"]["id"] for each in shown["entry"]] == ["y"]


def test_by_post_and_in_graphql_and_as_a_condition_the_search_is_refused_too(seeing: As) -> None:
    client = seeing(DESK)
    token = f"{RESIDENT_IDS}|{RESIDENT_ID}"
    form = client.request(
        "POST", "/fhir/Patient/_search", content=f"identifier={token}".encode(), headers=FORM
    )
    asked = f'{{PatientList(name: "{NAME}"){{id}}}}'
    graph = client.get(f"/fhir/$graphql?query={quote(asked)}")
    lastn = client.get(f"/fhir/Observation/$lastn?patient.phone={PHONE}&code=718-7")
    task: JsonObject = {"resourceType": "Task", "status": "draft", "intent": "order"}
    nobody = dumps({"resourceType": "Patient"})
    condition = {**FHIR, "if-none-exist": f"identifier={token}"}
    create = client.request("POST", "/fhir/Patient", content=nobody, headers=condition)
    update = client.put(f"/fhir/Patient?identifier={quote(token)}", nobody)
    reference = {**task, "for": {"reference": f"Patient?identifier={token}"}}
    linked = client.post("/fhir", bundle("transaction", entry("POST", "Task", reference)))
    by_name = {**task, "for": {"reference": f"Patient?name={NAME}"}}
    named = client.post("/fhir", bundle("transaction", entry("POST", "Task", by_name)))
    deleted = client.request("DELETE", f"/fhir/Patient?phone={PHONE}")
    for answer in (form, lastn, create, update, linked, named, deleted):
        assert answer.status_code == HTTPStatus.FORBIDDEN, answer.text
    assert '"y"' not in graph.text
    assert "masked" in graph.text


def test_what_is_masked_is_not_taken_back(seeing: As) -> None:
    client, before = seeing(DESK), seeing(SYSTEM).get("/fhir/Patient/y").content
    masked = client.get("/fhir/Patient/y").json()
    for who in (DESK, SYSTEM):
        put = seeing(who).put("/fhir/Patient/y", dumps(masked))
        assert put.status_code == HTTPStatus.UNPROCESSABLE_ENTITY, put.text
        assert put.json()["issue"][0]["expression"] == ["Patient.meta.security"]
        posted = seeing(who).post("/fhir", bundle("transaction", entry("PUT", "Patient/y", masked)))
        assert posted.status_code == HTTPStatus.UNPROCESSABLE_ENTITY, posted.text
    assert seeing(SYSTEM).get("/fhir/Patient/y").content == before


def test_what_is_masked_cannot_be_patched_for_a_patch_can_ask(seeing: As) -> None:
    before = seeing(SYSTEM).get("/fhir/Patient/y").content
    test = dumps([{"op": "test", "path": "/telecom/0/value", "value": PHONE}])
    wrong = dumps([{"op": "test", "path": "/telecom/0/value", "value": "13900001234"}])
    answers = [patched(seeing(DESK), each) for each in (test, wrong)]
    assert [each.status_code for each in answers] == [HTTPStatus.FORBIDDEN] * 2
    assert answers[0].text == answers[1].text
    assert seeing(SYSTEM).get("/fhir/Patient/y").content == before


def test_the_answer_to_a_write_is_masked(seeing: As) -> None:
    mine = {"resourceType": "Patient", "telecom": [{"system": "phone", "value": "13700005555"}]}
    made = seeing(DESK).request(
        "POST", "/fhir/Patient", content=dumps(mine), headers={**FHIR, "prefer": "return=representation"}
    )
    assert made.status_code == HTTPStatus.CREATED
    assert made.json()["telecom"] == [{"system": "phone", "value": "137****5555"}]


def test_an_application_is_shown_no_more_than_who_uses_it(seeing: As) -> None:
    used = Requester("person", "a-1", "app", ANALYST.roles, ("user/*.rs",))
    assert secrets_in(seeing(used).get("/fhir/Patient/y").text) == []


def test_the_pages_of_the_portal_show_masked_names(seeing: As) -> None:
    page = seeing(DESK).get("/patients/y")
    assert page.status_code == HTTPStatus.OK
    assert "欧***" in page.text
    assert secrets_in(page.text) == []
    assert NAME in seeing(CLINICIAN).get("/patients/y").text


@pytest.mark.parametrize("path", ["$export", "Patient/$export?_elements=name,telecom"])
def test_a_bulk_export_is_masked(seeing: As, exchange: wiring.Exchange, path: str) -> None:
    texts = {}
    for who in (DESK, CLINICIAN):
        headers = {"prefer": "respond-async", "accept": "application/fhir+json"}
        begun = seeing(who).request("GET", f"/fhir/{path}", headers=headers)
        assert begun.status_code == HTTPStatus.ACCEPTED, begun.text
        runner = exchange.job_runner()
        while runner.work_one():
            pass
        base = "http://127.0.0.1:8000"
        manifest = seeing(who).get(begun.headers["content-location"].removeprefix(base)).json()
        files = [seeing(who).get(each["url"].removeprefix(base)) for each in manifest["output"]]
        texts[who] = "".join(each.text for each in files)
    assert NAME in texts[CLINICIAN]
    assert secrets_in(texts[DESK]) == []
    assert "MASKED" in texts[DESK]


def test_a_notification_is_masked(seeing: As, exchange: wiring.Exchange) -> None:
    assert seeing(DESK)
    event = Event(1, "Patient", "y", 1, "PUT", datetime(2026, 1, 1, tzinfo=UTC))
    with exchange.database.transaction() as transaction:
        shown = {
            who: show(exchange.repository, transaction, who, [event], {})[0] for who in (DESK, CLINICIAN)
        }
    assert secrets_in(repr(shown[DESK])) == []
    assert NAME in repr(shown[CLINICIAN])


def test_a_subscription_to_what_is_masked_is_refused(seeing: As) -> None:
    asked: JsonObject = {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "r",
        "criteria": f"Patient?phone={PHONE}",
        "channel": {"type": "websocket"},
    }
    refused = seeing(DESK).post("/fhir/Subscription", dumps(asked))
    assert refused.status_code == HTTPStatus.FORBIDDEN, refused.text
    made = seeing(DESK).post("/fhir/Subscription", dumps({**asked, "criteria": "Patient?gender=male"}))
    assert made.status_code == HTTPStatus.CREATED, made.text
