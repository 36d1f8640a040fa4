"""Who may see one patient never sees another's text, on whatever way it asks."""

import pytest

from hie.core.access import Permissive
from hie.core.fhir.json import Json, JsonObject, dumps
from hie.core.ports import MERGE_EXTENSION
from tests.fhir_server.access.city import CANARY, SYSTEM
from tests.fhir_server.access.conftest import Under
from tests.fhir_server.access.policies import OnePatient, WriteAnything
from tests.fhir_server.bad_input.api import Client

JSON_PATCH = {"content-type": "application/json-patch+json"}
READS = [
    "Patient/y",
    "Patient/y/_history",
    "Patient/y/_history/1",
    "Observation/o-y",
    "Patient",
    "Patient?_id=x,y",
    f"Patient?identifier={SYSTEM}%7Cp-y",
    "Patient?name=CANARY",
    "Observation",
    "Observation?_total=accurate",
    "Observation?_summary=count&code:text=panel",
    "Observation?patient=Patient/y",
    "Observation?patient:missing=false&_sort=-date",
    "Observation?_id=o-both&_include=*",
    "Observation?_id=o-both&_include=Observation:has-member",
    "Observation?_id=o-both&_include=Observation:encounter&_include:iterate=Encounter:patient",
    "Observation?_id=o-x&_revinclude=Observation:has-member",
    "Observation?_id=o-both&_include=Observation:has-member&_revinclude:iterate=Condition:encounter",
    "Organization?_revinclude=Patient:organization",
    "Organization?_id=o&_revinclude=Patient:organization&_revinclude:iterate=Observation:patient",
    "Organization?_has:Patient:organization:_id=y&_revinclude=Patient:organization",
    "List/l",
    "List?_id=l&_include=List:item",
    "_history",
    "_history?_count=100",
    "Patient/_history",
    "Observation/_history?_at=2020",
    "_history?_list=l",
    "Observation/_history?_list=List/l",
    "?_type=Patient,Observation",
    "Patient/y/Observation",
    "Patient/y/*",
    "Patient/y/$everything",
    "Patient/$everything",
    "Encounter/e-y/$everything",
    "Composition/k-y/$document",
    "Observation/$lastn?patient=Patient/y&code=718-7",
]


@pytest.mark.parametrize("path", READS)
def test_no_read_yields_another_patients_text(sharing: Under, path: str) -> None:
    answer = sharing(OnePatient("x")).get(f"/fhir/{path}")
    assert CANARY not in answer.text
    assert answer.status_code in (200, 404)
    others = [
        entry["resource"]["id"]
        for entry in answer.json().get("entry", ())
        if entry.get("resource", {}).get("id") in ("y", "e-y", "o-y", "c-y", "k-y", "o-back")
    ]
    assert others == []


def test_the_reads_of_the_test_above_do_find_the_text_when_everything_is_permitted(sharing: Under) -> None:
    client = sharing(Permissive())
    finding = [path for path in READS if CANARY in client.get(f"/fhir/{path}").text]
    # Those that show no resource by nature.
    assert set(READS) - set(finding) == {
        "Observation?_summary=count&code:text=panel",
        "List/l",
        "Observation/_history?_at=2020",
    }


def ids(client: Client, path: str) -> set[str]:
    answer = client.get(f"/fhir/{path}")
    assert answer.status_code == 200, answer.text
    return {entry["resource"]["id"] for entry in answer.json().get("entry", ())}


def test_what_may_be_read_is_found_as_before(sharing: Under) -> None:
    client = sharing(OnePatient("x"))
    assert ids(client, "Patient") == {"x"}
    assert ids(client, "Observation") == {"o-x", "o-both"}
    assert ids(client, "Observation?_include=Observation:subject") == {"o-x", "o-both", "x"}
    assert ids(client, "Observation?_include=Observation:has-member") == {"o-x", "o-both"}
    assert ids(client, "_history") == {"x", "e-x", "o-x", "c-x", "k-x", "o-both", "l", "o", "g"}
    assert ids(client, "Encounter/_history") == {"e-x"}
    assert client.get("/fhir/Patient/x").status_code == 200
    assert client.get("/fhir/Patient/x/_history/1").status_code == 200


def test_a_total_counts_what_may_be_read(sharing: Under) -> None:
    client = sharing(OnePatient("x"))
    for path, total in (
        ("Observation?_total=accurate", 2),
        ("Observation?_summary=count", 2),
        ("Patient?_summary=count", 1),
        ("Patient?_id=y&_summary=count", 0),
    ):
        assert client.get(f"/fhir/{path}").json()["total"] == total, path


def test_a_chain_through_what_may_not_be_read_does_not_match(sharing: Under) -> None:
    """Else it would tell, value by value, what is in it."""
    restricted, permitted = sharing(OnePatient("x")), sharing(Permissive())
    for path, found in (
        ("Observation?encounter.reason-code:text=CANARY", {"o-y", "o-both"}),
        ("Observation?has-member.value-string=CANARY", {"o-both"}),
        ("Observation?has-member:Observation.patient._id=y", {"o-both"}),
        ("Organization?_has:Patient:organization:name=CANARY", {"o"}),
        ("Observation?_has:Observation:has-member:patient=Patient/y", {"o-x"}),
    ):
        if "code:text" not in path:  # `reason-code:text` is the search parameters' affair
            assert ids(permitted, path) == found, path
            assert ids(restricted, path) == set(), path
    assert ids(restricted, "Observation?encounter.patient=Patient/x") == {"o-x"}
    assert ids(restricted, "Organization?_has:Patient:organization:_id=x") == {"o"}


def test_a_deleted_resource_shows_its_history_only_where_the_policy_decides_so(under: Under) -> None:
    permitted, restricted = under(Permissive()), under(OnePatient("x"))
    for name in ("c-x", "c-y"):
        assert permitted.request("DELETE", f"/fhir/Condition/{name}").status_code == 204
    assert restricted.get("/fhir/Condition/c-x").status_code == 410
    assert restricted.get("/fhir/Condition/c-x/_history/1").status_code == 200
    assert restricted.get("/fhir/Condition/c-x/_history").json()["total"] == 2
    for path in ("Condition/c-y", "Condition/c-y/_history/1", "Condition/c-y/_history"):
        answer = restricted.get(f"/fhir/{path}")
        assert (answer.status_code, answer.json()["issue"][0]["diagnostics"]) == (
            404,
            "`Condition/c-y` does not exist",
        )
    shown = restricted.get("/fhir/Condition/_history")
    assert CANARY not in shown.text
    assert [
        (entry["fullUrl"].rpartition("/")[2], entry["request"]["method"]) for entry in shown.json()["entry"]
    ] == [
        ("c-x", "DELETE"),
        ("c-x", "PUT"),
    ]


def entry(method: str, url: str, resource: JsonObject | None = None, **request: Json) -> JsonObject:
    made: JsonObject = {"request": {"method": method, "url": url, **request}}
    return made if resource is None else {**made, "resource": resource}


def bundle(kind: str, *entries: JsonObject) -> bytes:
    return dumps({"resourceType": "Bundle", "type": kind, "entry": list(entries)})


@pytest.mark.parametrize("kind", ["batch", "transaction"])
def test_get_entries_of_a_bundle_yield_no_other_patients_text(sharing: Under, kind: str) -> None:
    client = sharing(OnePatient("x"))
    for path in READS:
        answer = client.post("/fhir", bundle(kind, entry("GET", path)))
        assert CANARY not in answer.text, path
        assert answer.status_code in (200, 404), path


def test_conditional_writes_neither_show_nor_change_what_may_not_be_read(under: Under) -> None:
    client, permitted = under(OnePatient("x")), under(Permissive())
    before = {name: permitted.get(f"/fhir/{name}").text for name in ("Patient/y", "Observation/o-y")}
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "mine"},
        "subject": {"reference": "Patient/x"},
    }
    own = f"identifier={SYSTEM}|o-y"
    answers = [
        client.request(
            "POST",
            "/fhir/Observation",
            content=dumps(observation),
            headers={"content-type": "application/fhir+json", "if-none-exist": own},
        ),
        client.put(f"/fhir/Observation?identifier={SYSTEM}%7Co-y", dumps(observation)),
        client.put("/fhir/Observation/o-y", dumps({**observation, "id": "o-y"})),
        client.put("/fhir/Patient/y", dumps({"resourceType": "Patient", "id": "y"})),
        client.request("DELETE", "/fhir/Observation/o-y"),
        client.request("DELETE", "/fhir/Patient/y"),
        client.post(
            "/fhir", bundle("transaction", entry("POST", "Observation", observation, ifNoneExist=own))
        ),
        client.post("/fhir", bundle("transaction", entry("DELETE", "Observation/o-y"))),
    ]
    for answer in answers:
        assert answer.status_code == 403, answer.text
        assert CANARY not in answer.text
        assert "o-y" not in answer.headers.get("location", "")
    assert {name: permitted.get(f"/fhir/{name}").text for name in before} == before


def test_who_may_write_but_not_read_is_not_shown_what_is_stored(under: Under) -> None:
    client = under(WriteAnything("x"))
    observation = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "new"},
        "subject": {"reference": "Patient/y"},
        "identifier": [{"system": SYSTEM, "value": "o-y"}],
    }
    patch = dumps([{"op": "add", "path": "/language", "value": "en"}])
    merge = {"url": MERGE_EXTENSION, "valueBoolean": True}
    own = f"identifier={SYSTEM}|o-y"
    refused = [
        (
            client.post(
                "/fhir", bundle("transaction", entry("POST", "Observation", observation, ifNoneExist=own))
            ),
            403,
        ),
        (
            client.post(
                "/fhir",
                bundle(
                    "transaction",
                    entry("PUT", f"Observation?{own}", observation, extension=[merge]),
                ),
            ),
            403,
        ),
        (client.request("PATCH", "/fhir/Observation/o-y", content=patch, headers=JSON_PATCH), 404),
        (
            client.request(
                "PATCH", f"/fhir/Observation?identifier={SYSTEM}%7Co-y", content=patch, headers=JSON_PATCH
            ),
            404,
        ),
    ]
    for answer, status in refused:
        assert answer.status_code == status, answer.text
        assert CANARY not in answer.text
        assert "o-y" not in answer.headers.get("location", "") + answer.headers.get("etag", "")
    written = client.put(f"/fhir/Observation?identifier={SYSTEM}%7Co-y", dumps(observation))
    assert (written.status_code, written.headers["etag"]) == (200, 'W/"2"')
    assert CANARY not in written.text
    # What is unchanged is not read to the writer either: it may be more than was sent.
    again = client.put(f"/fhir/Observation?identifier={SYSTEM}%7Co-y", dumps(observation))
    assert (again.status_code, again.text) == (200, "")


def test_criteria_beyond_one_identifier_select_only_what_may_be_read(under: Under) -> None:
    """Else a conditional create would tell, value by value, what is in a record."""
    client, permitted = under(OnePatient("x")), under(Permissive())
    gone = client.request(
        "DELETE", f"/fhir/Observation?patient=Patient/y,Patient/x&identifier={SYSTEM}%7Co-y,{SYSTEM}%7Co-x"
    )
    assert gone.status_code == 204, gone.text
    assert permitted.get("/fhir/Observation/o-x").status_code == 410
    assert permitted.get("/fhir/Observation/o-y").status_code == 200
    made = client.request(
        "POST",
        "/fhir/Condition",
        content=dumps({"resourceType": "Condition", "subject": {"reference": "Patient/x"}}),
        headers={"content-type": "application/fhir+json", "if-none-exist": "encounter=Encounter/e-y"},
    )
    assert made.status_code == 201


def test_a_conditional_reference_does_not_resolve_to_what_may_not_be_read(under: Under) -> None:
    client = under(OnePatient("x"))

    def write(value: str) -> tuple[int, str]:
        observation = {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "mine"},
            "subject": {"reference": "Patient/x"},
            "derivedFrom": [{"reference": f"Observation?identifier={SYSTEM}|{value}"}],
        }
        answer = client.post("/fhir", bundle("transaction", entry("POST", "Observation", observation)))
        return answer.status_code, answer.json().get("issue", [{}])[0].get("diagnostics", "")

    assert write("o-x")[0] == 200
    refused = (422, "The conditional reference Observation?identifier selects no resource")
    assert write("o-y") == write("o-never") == refused
