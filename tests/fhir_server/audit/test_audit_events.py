"""Reading the trail as AuditEvent: readers do not notice that it is not stored like other resources."""

import json
from base64 import b64decode
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from hie import app, wiring
from hie.core.access import EVERYTHING, NOTHING, Attempt, Readable, Requester, Role
from hie.core.audit.record import Record
from hie.core.fhir.json import JsonObject
from hie.core.settings import Settings
from tests.fhir_server.audit.client import Client
from tests.fhir_server.audit.conftest import Records

PATIENT: JsonObject = {"resourceType": "Patient", "name": [{"family": "Zhao"}]}
DOCTOR = Requester(
    "person",
    "u-1",
    client="ward-app",
    roles=frozenset({Role.CLINICIAN}),
    practitioner="dr-1",
    organization="h-1",
    session="token-1",
)
NOON = datetime(2026, 3, 4, 12, tzinfo=UTC)
GIVEN: JsonObject = {
    "resourceType": "AuditEvent",
    "type": {"system": "http://terminology.hl7.org/CodeSystem/audit-event-type", "code": "rest"},
    "action": "R",
    "recorded": "2026-03-04T13:00:00Z",
    "outcome": "0",
    "agent": [{"requestor": True, "who": {"reference": "Practitioner/dr-9"}}],
    "source": {"observer": {"display": "ward"}},
    "entity": [{"what": {"reference": "Patient/p1"}}],
}


def note(exchange: wiring.Exchange, *records: Record) -> None:
    with exchange.database.transaction() as transaction:
        for record in records:
            transaction.record(record)


def read_by(requester: Requester, patient: str, minute: int, **other: object) -> Record:
    return Record(
        "rest",
        "read",
        "R",
        requester,
        NOON.replace(minute=minute),
        target=f"Patient/{patient}",
        patients=(patient,),
        address="10.0.0.8",
        id=f"record-{minute}",
        **other,  # type: ignore[arg-type] # what a test varies
    )


@pytest.fixture
def filled(client: Client, exchange: wiring.Exchange, records: Records) -> Client:
    note(
        exchange,
        *(read_by(DOCTOR, "p1" if minute % 2 else "p2", minute) for minute in range(10)),
        read_by(Requester("client", "lab"), "p1", 20, status=403, error="ForbiddenError"),
    )
    records()
    return client


def ids(client: Client, query: str) -> list[str]:
    answer = client.get(f"/fhir/AuditEvent?{query}", headers={"Prefer": "handling=strict"})
    assert answer.status_code == 200, answer.text
    return [entry["resource"]["id"] for entry in answer.json().get("entry", [])]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("patient=Patient/p1", [20, 9, 7, 5, 3, 1]),
        ("patient=p2&_sort=date", [0, 2, 4, 6, 8]),
        ("agent=Practitioner/dr-1&patient=p1", [9, 7, 5, 3, 1]),
        ("entity=Patient/p2&_count=2", [8, 6]),
        ("outcome=4", [20]),
        ("outcome:not=0", [20]),
        ("agent-role=clinician&patient=p1", [9, 7, 5, 3, 1]),
        ("altid=u-1&date=ge2026-03-04T12:08Z", [9, 8]),
        ("date=2026-03-04T12:03Z&subtype=read", [3]),
        ("date=gt2026-03-04T12:07Z&date=lt2026-03-04T12:20Z", [9, 8]),
        ("type=http://terminology.hl7.org/CodeSystem/audit-event-type|rest&_id=record-4", [4]),
        ("address=10.0.0.8&_id=record-4,record-5", [5, 4]),
        ("action=R&source:missing=false&_count=1", [20]),
        ("site=web-1&action=D", []),
        ("entity-role=1&entity-type=2&_id=record-2", [2]),
        ("patient:missing=true", []),
        ("_lastUpdated=lt2026-03-04T12:01Z", [0]),
    ],
)
def test_search_parameters_of_audit_event_find_records(
    filled: Client, query: str, expected: list[int]
) -> None:
    assert ids(filled, query) == [f"record-{minute}" for minute in expected]


def test_pages_follow_one_another_to_the_end(filled: Client) -> None:
    found: list[str] = []
    url = "/fhir/AuditEvent?date=2026-03-04&_count=4"
    pages = 0
    while url:
        bundle = filled.get(url).json()
        found += [entry["resource"]["id"] for entry in bundle.get("entry", [])]
        url = next((each["url"] for each in bundle["link"] if each["relation"] == "next"), "")
        pages += 1
    assert pages == 3
    assert found == [f"record-{minute}" for minute in (20, *range(9, -1, -1))]


def test_totals_and_summaries(filled: Client) -> None:
    counted = filled.get("/fhir/AuditEvent?patient=p1&_summary=count").json()
    assert (counted["total"], counted.get("entry")) == (6, None)
    assert filled.get("/fhir/AuditEvent?patient=p1&_total=accurate&_count=1").json()["total"] == 6
    (entry,) = filled.get("/fhir/AuditEvent?_id=record-1&_elements=recorded").json()["entry"]
    assert "entity" not in entry["resource"]
    assert entry["resource"]["meta"]["tag"][0]["code"] == "SUBSETTED"


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("patient.name=Zhao", 400),
        ("_sort=agent", 400),
        ("_include=AuditEvent:patient", 400),
        ("_cursor=elsewhere", 400),
        ("nonsense=1", 400),
    ],
)
def test_what_the_trail_cannot_be_asked_is_refused(filled: Client, query: str, status: int) -> None:
    answer = filled.get(f"/fhir/AuditEvent?{query}", headers={"Prefer": "handling=strict"})
    assert answer.status_code == status
    assert answer.json()["resourceType"] == "OperationOutcome"


def test_read_and_vread_of_a_record(filled: Client) -> None:
    answer = filled.get("/fhir/AuditEvent/record-3")
    assert answer.status_code == 200
    assert answer.headers["ETag"] == 'W/"1"'
    event = answer.json()
    assert event["recorded"] == "2026-03-04T12:03:00Z"
    assert filled.get("/fhir/AuditEvent/record-3/_history/1").json() == event
    assert filled.get("/fhir/AuditEvent/record-3/_history/2").status_code == 404
    xml = filled.get("/fhir/AuditEvent/record-3", headers={"Accept": "application/fhir+xml"}).text
    assert '<AuditEvent xmlns="http://hl7.org/fhir"><id value="record-3"/>' in xml
    assert filled.get("/fhir/AuditEvent/record-99").status_code == 404


def test_entry_of_a_bundle_and_a_compartment_find_records(filled: Client) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [
            {"request": {"method": "GET", "url": "AuditEvent/record-3"}},
            {"request": {"method": "GET", "url": "AuditEvent?patient=p2&_count=1"}},
        ],
    }
    first, second = filled.post("/fhir", json=bundle).json()["entry"]
    assert first["resource"]["id"] == "record-3"
    assert second["resource"]["entry"][0]["resource"]["id"] == "record-8"
    own = filled.get("/fhir/Patient/p2/AuditEvent?_count=2").json()["entry"]
    assert [entry["resource"]["id"] for entry in own] == ["record-8", "record-6"]


def test_audit_events_of_clients_are_found_among_the_records(filled: Client, records: Records) -> None:
    made = filled.post("/fhir/AuditEvent", json=GIVEN)
    assert made.status_code == 201
    location = made.headers["Location"].split("/")[-3]
    (recorded,) = records()
    assert recorded["on"] == f"AuditEvent/{location}/_history/1"
    assert ids(filled, "patient=p1&date=2026-03-04&_count=3") == [location, "record-20", "record-9"]
    assert ids(filled, "patient=p1&date=2026-03-04&_sort=date") == [
        *(f"record-{minute}" for minute in (1, 3, 5, 7, 9, 20)),
        location,
    ]
    assert ids(filled, "agent=Practitioner/dr-9") == [location]
    assert filled.get(f"/fhir/AuditEvent/{location}").json()["recorded"] == "2026-03-04T13:00:00Z"


def test_event_says_who_on_whose_behalf_what_why_and_how_it_ended(filled: Client) -> None:
    event = filled.get("/fhir/AuditEvent/record-3").json()
    client, server, person = event["agent"]
    assert client["who"]["identifier"]["value"] == "ward-app"
    assert client["network"] == {"address": "10.0.0.8", "type": "2"}
    assert server["who"]["identifier"]["value"] == "web-1"
    assert person["who"]["reference"] == "Practitioner/dr-1"
    assert person["policy"] == ["token-1"]
    assert person["purposeOfUse"][0]["coding"][0]["code"] == "TREAT"
    assert [each["requestor"] for each in event["agent"]] == [False, False, True]
    denied = filled.get("/fhir/AuditEvent/record-20").json()
    assert (denied["outcome"], denied["outcomeDesc"]) == ("4", "403 ForbiddenError")
    assert "profile" not in denied["meta"]


def test_event_of_a_search_has_its_query(client: Client, records: Records) -> None:
    client.get("/fhir/Patient?family=Zh%C3%A0o")
    (found,) = records()
    event = client.get(f"/fhir/AuditEvent/{found['id']}").json()
    (entity,) = event["entity"]
    assert b64decode(entity["query"]).decode() == "Patient?family=Zh%C3%A0o"
    assert event["meta"]["profile"] == [
        "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit.Query"
    ]


class OwnEvents:
    """Lets a citizen read the AuditEvents that concern himself, everybody else nothing of them."""

    def readable(self, requester: Requester, resource_type: str) -> Readable:
        """Return what may be read."""
        if resource_type != "AuditEvent":
            return EVERYTHING
        return Readable(((("patient", "Patient/p2"),),)) if requester.kind == "anonymous" else NOTHING

    def decide(self, requester: Requester, attempt: Attempt) -> None:
        """Permit the attempt."""


@pytest.fixture
def citizen(filled: Client, exchange: wiring.Exchange, settings: Settings) -> Iterator[Client]:
    assert filled
    with (
        wiring.build(settings, database_url=exchange.database_url, access=OwnEvents()) as other,
        Client(app.build(other)) as opened,
    ):
        yield opened


def test_secrets_in_a_query_are_not_recorded(client: Client, records: Records) -> None:
    client.get("/fhir/Patient?name=Zhao&access_token=sesame&id_token_hint=eyJ0.eyJ1.x")
    (record,) = [each for each in records() if "name=Zhao" in each["query"]]
    assert record["query"] == "name=Zhao&access_token=&id_token_hint="


def test_access_policy_holds_for_records_too(citizen: Client) -> None:
    assert ids(citizen, "_count=100") == [f"record-{minute}" for minute in (8, 6, 4, 2, 0)]
    assert ids(citizen, "patient=p1") == []
    assert citizen.get("/fhir/AuditEvent/record-1").status_code == 404
    assert citizen.get("/fhir/AuditEvent/record-2").status_code == 200
    assert citizen.get("/fhir/AuditEvent/record-1/_history/1").status_code == 404


def test_every_rendered_event_is_a_valid_audit_event(filled: Client) -> None:
    bundle = filled.get("/fhir/AuditEvent?_count=100").json()
    assert len(bundle["entry"]) > 10
    for entry in bundle["entry"]:
        body = json.dumps(entry["resource"]).encode()
        answer = filled.post(
            "/fhir/AuditEvent/$validate", content=body, headers={"Content-Type": "application/json"}
        )
        severities = [issue["severity"] for issue in answer.json()["issue"]]
        assert not {"error", "fatal"} & set(severities), answer.text
