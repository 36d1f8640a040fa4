"""$everything of Patient and Encounter: https://hl7.org/fhir/R4/patient-operation-everything.html."""

from typing import Any

import pytest

from hie.core.fhir.json import JsonObject
from tests.fhir_server.interactions.client import Client, assert_outcome

BASE = "http://127.0.0.1:8000/fhir"


def put(client: Client, resource_type: str, resource_id: str, **elements: Any) -> str:
    """Store a resource under its id; return its reference."""
    resource = {"resourceType": resource_type, "id": resource_id, **elements}
    answer = client.put(f"{resource_type}/{resource_id}", json=resource)
    assert answer.status_code in (200, 201), answer.text
    return f"{resource_type}/{resource_id}"


def observation(client: Client, resource_id: str, patient: str, **elements: Any) -> str:
    return put(
        client,
        "Observation",
        resource_id,
        **{"status": "final", "code": {"text": "x"}, "subject": {"reference": patient}, **elements},
    )


def names(bundle: JsonObject, mode: str | None = None) -> list[str]:
    """Return the references of the entries, in order."""
    assert bundle["type"] == "searchset", bundle
    found = []
    for entry in bundle.get("entry", []):
        resource = entry["resource"]
        name = f"{resource['resourceType']}/{resource['id']}"
        assert entry["fullUrl"] == f"{BASE}/{name}"
        if mode in (None, entry["search"]["mode"]):
            found.append(name)
    return found


def pages(client: Client, url: str) -> list[JsonObject]:
    """Return the pages from `url` on."""
    found = []
    while url:
        answer = client.get(url)
        assert answer.status_code == 200, answer.text
        found.append(answer.json())
        url = next((link["url"] for link in found[-1]["link"] if link["relation"] == "next"), "")
    return found


@pytest.fixture
def record(client: Client) -> str:
    """A patient with a record that touches others."""
    put(client, "Organization", "o")
    put(client, "Practitioner", "dr")
    put(client, "Practitioner", "stranger")
    put(client, "Location", "ward")
    put(client, "Medication", "m")
    put(client, "Binary", "scan", contentType="text/plain", data="QUJD")
    alice = put(client, "Patient", "alice", managingOrganization={"reference": "Organization/o"})
    put(
        client,
        "Encounter",
        "e",
        status="finished",
        **{"class": {"code": "IMP"}},
        subject={"reference": alice},
        participant=[{"individual": {"reference": f"{BASE}/Practitioner/dr"}}],
        location=[{"location": {"reference": "Location/ward/_history/1"}}],
    )
    observation(
        client,
        "hb",
        alice,
        encounter={"reference": "Encounter/e"},
        effectiveDateTime="2024-03-01T08:00:00+08:00",
    )
    put(
        client,
        "MedicationRequest",
        "mr",
        status="active",
        intent="order",
        subject={"reference": alice},
        medicationReference={"reference": "Medication/m"},
    )
    put(
        client,
        "DocumentReference",
        "d",
        status="current",
        subject={"reference": alice},
        content=[{"attachment": {"url": "Binary/scan"}}],
    )
    bob = put(client, "Patient", "bob")
    observation(client, "bobs", bob, performer=[{"reference": "Practitioner/stranger"}])
    # Alice's observation is derived from one of Bob's, and his is not hers for it.
    observation(client, "derived", alice, derivedFrom=[{"reference": "Observation/bobs"}])
    return alice


COMPARTMENT = {
    "Patient/alice",
    "Encounter/e",
    "Observation/hb",
    "Observation/derived",
    "MedicationRequest/mr",
    "DocumentReference/d",
}
SUPPORTING = {"Organization/o", "Practitioner/dr", "Location/ward", "Medication/m", "Binary/scan"}


def test_everything_of_a_patient_is_its_compartment_and_what_that_refers_to(
    client: Client, record: str
) -> None:
    answer = client.get(f"{record}/$everything")
    assert answer.status_code == 200
    bundle = answer.json()
    assert names(bundle)[0] == record
    assert (set(names(bundle, "match")), set(names(bundle, "include"))) == (COMPARTMENT, SUPPORTING)
    assert len(names(bundle)) == len(COMPARTMENT | SUPPORTING)
    assert bundle["total"] == len(COMPARTMENT)
    assert bundle["link"] == [{"relation": "self", "url": f"{BASE}/{record}/$everything"}]
    for entry in bundle["entry"]:
        read = client.get(entry["fullUrl"], headers={"accept": "application/fhir+json"})
        assert entry["resource"] == read.json()
    assert client.post(f"{record}/$everything").json()["entry"] == bundle["entry"]


def test_deleted_resources_are_no_part_of_everything(client: Client, record: str) -> None:
    client.delete("MedicationRequest/mr")
    client.delete("Practitioner/dr")
    found = client.get(f"{record}/$everything").json()
    assert set(names(found)) == (COMPARTMENT | SUPPORTING) - {
        "MedicationRequest/mr",
        "Medication/m",
        "Practitioner/dr",
    }


def test_everything_of_a_patient_that_is_not_there(client: Client, record: str) -> None:
    assert_outcome(client.get("Patient/x/$everything"), 404, "not-found", "`Patient/x` does not exist")
    client.delete(record)
    assert client.get(f"{record}/$everything").status_code == 410


def test_type_keeps_the_named_types_also_of_what_comes_along(client: Client, record: str) -> None:
    assert names(client.get(f"{record}/$everything?_type=Observation").json()) == [
        "Observation/derived",
        "Observation/hb",
    ]
    several = client.get(f"{record}/$everything?_type=Encounter,Practitioner&_type=Medication").json()
    assert set(names(several, "match")) == {"Encounter/e"}
    assert set(names(several, "include")) == {"Practitioner/dr", "Medication/m"}
    assert names(client.get(f"{record}/$everything?_type=Location").json()) == ["Location/ward"]
    assert_outcome(
        client.get(f"{record}/$everything?_type=Visit"),
        400,
        "value",
        "`Visit` is not a resource type of FHIR R4",
        "_type",
    )


def test_since_keeps_what_was_stored_since_wherever_it_stands(client: Client, record: str) -> None:
    changed = client.put("Practitioner/dr", json={"resourceType": "Practitioner", "id": "dr", "active": True})
    since = changed.json()["meta"]["lastUpdated"]
    observation(client, "new", record)
    found = client.get(f"{record}/$everything?_since={since}").json()
    assert (names(found, "match"), names(found, "include")) == (["Observation/new"], ["Practitioner/dr"])
    later = client.get(f"{record}/$everything?_since=2999-01-01T00:00:00%2B08:00").json()
    assert names(later) == []
    assert later["total"] == 0


@pytest.mark.parametrize(
    ("span", "dated"),
    [
        ("start=2024-03-01&end=2024-03-01", {"hb"}),
        ("start=2024-03", {"hb", "april"}),
        ("end=2024-03", {"hb"}),
        ("end=2024-02-29", set()),
        ("start=2024-03-02&end=2024-03-31", set()),
        ("start=2024&end=2024", {"hb", "april"}),
    ],
)
def test_start_and_end_keep_the_care_of_a_span_and_what_has_no_clinical_date(
    client: Client, record: str, span: str, dated: set[str]
) -> None:
    observation(client, "april", record, effectivePeriod={"start": "2024-04-02", "end": "2024-04-03"})
    found = names(client.get(f"{record}/$everything?{span}").json(), "match")
    assert {name.partition("/")[2] for name in found if name.startswith("Observation")} == dated | {"derived"}
    assert "MedicationRequest/mr" in found


def test_the_bounds_of_the_span_are_those_of_days_in_the_servers_zone(client: Client, record: str) -> None:
    observation(client, "first", record, effectiveDateTime="2024-03-01T00:00:00+08:00")
    observation(client, "last", record, effectiveDateTime="2024-03-01T23:59:59+08:00")
    observation(client, "after", record, effectiveDateTime="2024-03-02T00:00:00+08:00")
    observation(client, "before", record, effectiveDateTime="2024-02-29")
    found = names(
        client.get(f"{record}/$everything?start=2024-03-01&end=2024-03-01&_type=Observation").json()
    )
    assert set(found) == {f"Observation/{name}" for name in ("first", "last", "hb", "derived")}


def test_pages_hold_every_resource_once_and_end(client: Client, record: str) -> None:
    found = pages(client, f"{record}/$everything?_count=2")
    matches = [name for page in found for name in names(page, "match")]
    assert len(found) == 3
    assert matches[0] == record
    assert sorted(matches) == sorted(COMPARTMENT)
    assert {name for page in found for name in names(page, "include")} == SUPPORTING
    assert "total" not in found[0]


def test_pages_are_stable_while_resources_are_created_changed_and_deleted(client: Client) -> None:
    alice = put(client, "Patient", "alice")
    before = [observation(client, f"o{number}", alice) for number in range(12)]
    url = f"{alice}/$everything?_count=3"
    seen: list[str] = []
    step = 0
    while url:
        bundle = client.get(url).json()
        seen += names(bundle, "match")
        # Those seen and those not yet seen change; new ones come; one not yet seen goes.
        observation(client, f"new{step}", alice)
        observation(client, "o11", alice, status="amended")
        observation(client, f"o{step}", alice, status="amended")
        client.delete("Observation/o0")
        step += 1
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
    assert sorted(seen) == sorted([alice, *before[1:]])


def test_a_large_record_is_one_bundle_unless_pages_are_asked_for(client: Client) -> None:
    put(client, "Patient", "p")
    entries = [
        {
            "resource": {
                "resourceType": "Observation",
                "id": f"o{number}",
                "status": "final",
                "code": {"text": "x"},
                "subject": {"reference": "Patient/p"},
            },
            "request": {"method": "PUT", "url": f"Observation/o{number}"},
        }
        for number in range(1_200)
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert client.post("", json=bundle).status_code == 200
    whole = client.get("Patient/p/$everything").json()
    assert (len(whole["entry"]), whole["total"]) == (1_201, 1_201)
    assert [link["relation"] for link in whole["link"]] == ["self"]
    # A page is never larger than the setting allows.
    found = pages(client, "Patient/p/$everything?_count=5000")
    assert [len(page["entry"]) for page in found] == [1_000, 201]
    assert {name for page in found for name in names(page)} == set(names(whole))


def test_a_page_of_since_holds_as_many_shown_resources_as_asked_for(client: Client) -> None:
    alice = put(client, "Patient", "alice")
    for number in range(6):
        observation(client, f"old{number}", alice)
    since = client.get(f"Observation/old{number}").json()["meta"]["lastUpdated"]
    for number in range(6):
        observation(client, f"old{number}", alice, status="amended")
    found = pages(client, f"{alice}/$everything?_count=2&_since={since}")
    assert [len(names(page, "match")) for page in found] == [2, 2, 2]


def test_post_gives_links_that_a_get_can_follow(client: Client, record: str) -> None:
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "_count", "valueInteger": 1},
            {"name": "_type", "valueCode": "Observation"},
        ],
    }
    first = client.post(f"{record}/$everything", json=body).json()
    assert names(first) == ["Observation/derived"]
    (following,) = [link["url"] for link in first["link"] if link["relation"] == "next"]
    assert [names(page) for page in pages(client, following)] == [["Observation/hb"]]


@pytest.mark.parametrize(
    "cursor", ["x", "7", "7.bob", ".alice", "0.alice", "9999999999999999999.alice", "7.a b"]
)
def test_a_cursor_that_was_not_given_out_is_refused(client: Client, record: str, cursor: str) -> None:
    answer = client.get(f"{record}/$everything?_cursor={cursor}")
    assert answer.status_code == 400, answer.text
    assert answer.json()["issue"][0]["expression"] == ["_cursor"]


@pytest.mark.parametrize("count", ["0", "-1"])
def test_a_count_below_one_is_refused(client: Client, record: str, count: str) -> None:
    assert_outcome(
        client.get(f"{record}/$everything?_count={count}"),
        400,
        "value",
        f"`_count` is {count}, at least 1 is taken",
        "_count",
    )


def test_an_unknown_parameter_is_refused(client: Client, record: str) -> None:
    answer = client.get(f"{record}/$everything?colour=red")
    assert answer.status_code == 400
    assert answer.json()["issue"][0]["code"] == "not-supported"
    assert answer.json()["issue"][0]["expression"] == ["colour"]


def test_everything_of_the_type_is_the_record_of_every_patient(client: Client, record: str) -> None:
    whole = client.get("Patient/$everything").json()
    assert sorted(names(whole, "match")) == sorted(COMPARTMENT | {"Patient/bob", "Observation/bobs"})
    assert set(names(whole, "include")) == SUPPORTING | {"Practitioner/stranger"}
    found = pages(client, "Patient/$everything?_count=3")
    matches = [name for page in found for name in names(page, "match")]
    assert sorted(matches) == sorted(names(whole, "match"))
    # Patient by patient.
    assert matches.index("Patient/bob") == len(COMPARTMENT)
    assert record == matches[0]


def test_everything_of_an_encounter_brings_its_patient_and_no_other(client: Client, record: str) -> None:
    observation(client, "other", "Patient/bob", encounter={"reference": "Encounter/e"})
    found = client.get("Encounter/e/$everything").json()
    assert names(found, "match") == ["Encounter/e", "Observation/other", "Observation/hb"]
    assert set(names(found, "include")) == {"Practitioner/dr", "Location/ward", record}


def test_a_resource_that_belongs_twice_stands_once(client: Client) -> None:
    alice = put(client, "Patient", "alice")
    put(client, "Condition", "c", subject={"reference": alice}, asserter={"reference": alice})
    for query in ("", "?_count=2"):
        bundle = client.get(f"{alice}/$everything{query}").json()
        assert names(bundle) == [alice, "Condition/c"]
        assert bundle["total"] == 2


def test_text_that_looks_like_a_reference_brings_nothing_along(client: Client) -> None:
    put(client, "Practitioner", "dr")
    alice = put(client, "Patient", "alice")
    observation(client, "o", alice, note=[{"text": 'the "reference":"Practitioner/dr" is text'}])
    assert names(client.get(f"{alice}/$everything").json()) == [alice, "Observation/o"]


def test_everything_in_a_batch(client: Client, record: str) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": f"{record}/$everything?_type=Observation"}}],
    }
    answer = client.post("", json=bundle)
    assert answer.status_code == 200, answer.text
    (entry,) = answer.json()["entry"]
    assert entry["response"]["status"] == "200 OK", entry
    assert names(entry["resource"]) == ["Observation/derived", "Observation/hb"]
