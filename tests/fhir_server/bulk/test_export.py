"""$export over HTTP: kick-off, status, files; system, patient and group level; all parameters."""

from datetime import datetime

import pytest

from hie.core.fhir.json import JsonObject, loads
from tests.fhir_server.bulk.server import Bulk


def patient(identity: str, **elements: object) -> JsonObject:
    return {"resourceType": "Patient", "id": identity, **elements}


def observation(identity: str, who: str, code: str = "a", **elements: object) -> JsonObject:
    return {
        "resourceType": "Observation",
        "id": identity,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": code}], "text": 'two\n"lines" \\ back'},
        "subject": {"reference": f"Patient/{who}"},
        **elements,
    }


def provenance(identity: str, *targets: str, recorded: str = "2026-01-01T00:00:00Z") -> JsonObject:
    return {
        "resourceType": "Provenance",
        "id": identity,
        "target": [{"reference": each} for each in targets],
        "recorded": recorded,
        "agent": [{"who": {"display": "somebody"}}],
    }


def group(identity: str, *members: str, **elements: object) -> JsonObject:
    return {
        "resourceType": "Group",
        "id": identity,
        "type": "person",
        "actual": True,
        "member": [{"entity": {"reference": each}} for each in members],
        **elements,
    }


@pytest.fixture
def city(bulk: Bulk) -> Bulk:
    bulk.put(
        patient("p1", gender="female"),
        patient("p2"),
        patient("p3"),
        observation("o1", "p1"),
        observation("o2", "p1", "b"),
        observation("o3", "p2", "b"),
        observation("o4", "p3", "c"),
        {"resourceType": "Organization", "id": "org", "name": "an organization"},
        {"resourceType": "Practitioner", "id": "dr"},
        provenance("v1", "Observation/o1"),
        provenance("v2", "Observation/o3", recorded="2026-02-01T00:00:00Z"),
        provenance("v3", "Organization/org"),
        group("g1", "Patient/p1", "Group/g2"),
        group("g2", "Patient/p3", "Group/g1"),
    )
    return bulk


ALL = [
    *("Group/g1", "Group/g2", "Observation/o1", "Observation/o2", "Observation/o3", "Observation/o4"),
    *("Organization/org", "Patient/p1", "Patient/p2", "Patient/p3", "Practitioner/dr"),
    *("Provenance/v1", "Provenance/v2", "Provenance/v3"),
]


def test_system_export_gives_every_resource_as_it_is_stored(city: Bulk) -> None:
    manifest = city.export("$export")
    assert city.names(manifest) == ALL
    for resource in city.lines(manifest):
        stored = city.client.get(f"{resource['resourceType']}/{resource['id']}")
        assert loads(stored.content) == resource
    assert sorted(manifest) == [
        *("deleted", "error", "output", "request", "requiresAccessToken", "transactionTime"),
    ]
    assert (manifest["deleted"], manifest["error"], manifest["requiresAccessToken"]) == ([], [], False)
    assert manifest["request"] == f"{city.base}/$export"
    counts = [entry["count"] for entry in manifest["output"] if entry["type"] == "Observation"]
    assert counts == [3, 1], "a file has at most three resources here"


def test_kick_off_answers_202_and_the_job_waits_for_a_worker(city: Bulk) -> None:
    kicked_off = city.kick_off("$export")
    assert kicked_off.status_code == 202
    assert loads(kicked_off.content)["resourceType"] == "OperationOutcome"
    waiting = city.status(kicked_off)
    assert (waiting.status_code, waiting.content) == (202, b"")
    assert waiting.headers["X-Progress"] == "waiting for a worker"
    assert waiting.headers["Retry-After"].isdigit()
    city.work()
    done = city.status(kicked_off)
    assert (done.status_code, done.headers["content-type"]) == (200, "application/json")
    assert "Expires" in done.headers


def test_delete_of_the_status_url_gives_the_export_up(city: Bulk) -> None:
    kicked_off = city.kick_off("$export")
    city.work()
    manifest = loads(city.status(kicked_off).content)
    where = city.path(kicked_off.headers["Content-Location"])
    given_up = city.client.delete(where)
    assert (given_up.status_code, loads(given_up.content)["resourceType"]) == (202, "OperationOutcome")
    for path in (where, city.path(manifest["output"][0]["url"])):
        answer = city.client.get(path)
        assert answer.status_code == 404
        assert loads(answer.content)["issue"][0]["code"] == "not-found"
    assert city.client.delete(where).status_code == 404
    assert city.runner().remove_expired() == 1
    assert list((city.folder / "jobs").iterdir()) == []


def test_nothing_but_the_files_of_the_manifest_is_served(city: Bulk) -> None:
    kicked_off = city.kick_off("$export")
    city.work()
    where = city.path(kicked_off.headers["Content-Location"])
    assert (city.folder / "jobs" / where.rpartition("/")[2] / "Patient.versions").exists()
    for name in ("Patient.versions", "..%2F..%2Fin", "nothing.ndjson"):
        assert city.client.get(f"{where}/{name}").status_code == 404
    assert city.client.get("_jobs/not-a-uuid").status_code == 404


def test_file_comes_in_gzip_to_a_client_that_takes_it(city: Bulk) -> None:
    manifest = city.export("$export")
    url = city.path(manifest["output"][0]["url"])
    plain, packed = (
        city.client.get(url, headers={"Accept-Encoding": coding}) for coding in ("identity", "gzip")
    )
    assert "content-encoding" not in plain.headers
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == plain.content


def test_patient_export_gives_compartments_and_the_provenance_about_them(city: Bulk) -> None:
    assert city.names(city.export("Patient/$export")) == [
        *("Group/g1", "Group/g2"),
        *("Observation/o1", "Observation/o2", "Observation/o3", "Observation/o4"),
        *("Patient/p1", "Patient/p2", "Patient/p3", "Provenance/v1", "Provenance/v2"),
    ]


def test_group_export_gives_the_compartments_of_members_also_of_inner_groups(city: Bulk) -> None:
    assert city.names(city.export("Group/g2/$export")) == [
        *("Group/g1", "Group/g2", "Observation/o1", "Observation/o2", "Observation/o4"),
        *("Patient/p1", "Patient/p3", "Provenance/v1"),
    ]
    city.put(group("g3", "Device/d"), group("g4", "Patient/p1", "Patient/p2"))
    assert city.names(city.export("Group/g3/$export")) == []
    left = group("g4", "Patient/p1", "Patient/p2")
    left["member"][0]["inactive"] = True
    left["member"].append({"entity": {"reference": "http://elsewhere.example/fhir/Patient/p3"}})
    left["member"].append({"entity": {"reference": f"{city.base}/Patient/p2/_history/1"}})
    city.put(left)
    assert city.names(city.export("Group/g4/$export?_type=Patient")) == ["Patient/p2"]


def test_export_of_an_unknown_group_is_refused_at_once(city: Bulk) -> None:
    assert city.kick_off("Group/nobody/$export").status_code == 404


def test_patient_parameter_limits_an_export_to_these_patients(city: Bulk) -> None:
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "patient", "valueReference": {"reference": "Patient/p2"}},
            {"name": "_type", "valueString": "Patient,Observation"},
        ],
    }
    assert city.names(city.export("Patient/$export", body)) == ["Observation/o3", "Patient/p2"]
    refused = city.kick_off("Group/g1/$export", body)
    assert refused.status_code == 400
    assert loads(refused.content)["issue"][0]["diagnostics"] == "`Patient/p2` is not in `Group/g1`"
    body["parameter"][0]["valueReference"] = {"reference": "Patient/nobody"}  # type: ignore[index] # a list of objects
    assert city.kick_off("Patient/$export", body).status_code == 400
    assert city.kick_off("$export", body).status_code == 400


def test_type_may_repeat_or_be_separated_by_commas(city: Bulk) -> None:
    expected = ["Organization/org", "Patient/p1", "Patient/p2", "Patient/p3"]
    assert city.names(city.export("$export?_type=Patient,Organization")) == expected
    assert city.names(city.export("$export?_type=Patient&_type=Organization")) == expected


def test_type_filters_of_one_type_add_and_leave_other_types_whole(city: Bulk) -> None:
    manifest = city.export(
        "$export?_type=Observation,Patient"
        "&_typeFilter=Observation%3Fcode%3Da%26subject%3DPatient%2Fp1,Observation%3Fcode%3Dc,"
        "Observation%3Fcode%3Dx%2Cy"
    )
    assert city.names(manifest) == [
        *("Observation/o1", "Observation/o4", "Patient/p1", "Patient/p2", "Patient/p3")
    ]


def test_elements_keep_what_is_named_and_what_is_mandatory(city: Bulk) -> None:
    manifest = city.export("$export?_type=Patient,Observation&_elements=Observation.subject,gender")
    found = {each["id"]: each for each in city.lines(manifest)}
    assert set(found["o1"]) == {"resourceType", "id", "meta", "status", "code", "subject"}
    assert found["p1"]["gender"] == "female"
    assert found["p1"]["meta"]["tag"][-1]["code"] == "SUBSETTED"


def test_since_gives_what_changed_or_was_deleted_after_it(city: Bulk) -> None:
    first = city.export("$export")
    city.put(patient("p1", gender="other"), observation("o9", "p2"))
    city.delete("Observation/o4")
    city.delete("Practitioner/dr")
    since = f"_since={first['transactionTime']}"
    manifest = city.export(f"$export?{since}")
    assert city.names(manifest) == ["Observation/o9", "Patient/p1"]
    (entry,) = manifest["deleted"]
    assert (entry["type"], entry["count"]) == ("Bundle", 1)
    (bundle,) = city.lines(manifest, "deleted")
    assert bundle["type"] == "transaction"
    assert sorted((each["request"]["method"], each["request"]["url"]) for each in bundle["entry"]) == [
        ("DELETE", "Observation/o4"),
        ("DELETE", "Practitioner/dr"),
    ]
    for path, deleted in (
        (f"Patient/$export?{since}", ["Observation/o4"]),
        (f"Group/g2/$export?{since}", ["Observation/o4"]),
        (f"$export?_type=Practitioner&{since}", ["Practitioner/dr"]),
        (f"$export?_type=Patient&{since}", []),
    ):
        bundles = city.lines(city.export(path), "deleted")
        assert [each["request"]["url"] for every in bundles for each in every["entry"]] == deleted, path
    again = city.export(f"$export?_since={manifest['transactionTime']}")
    assert (again["output"], again["deleted"]) == ([], [])


def test_provenance_comes_as_include_associated_data_says(city: Bulk) -> None:
    city.put(
        provenance("v4", "Observation/o1", recorded="2026-03-01T00:00:00Z"),
        provenance("v5", "Observation/o1", "Patient/p2", recorded="2025-03-01T00:00:00Z"),
    )
    path = "Patient/$export?_type=Observation&includeAssociatedData="
    observations = ["Observation/o1", "Observation/o2", "Observation/o3", "Observation/o4"]
    relevant = city.names(city.export(path + "RelevantProvenanceResources"))
    assert relevant == [*observations, "Provenance/v1", "Provenance/v2", "Provenance/v4", "Provenance/v5"]
    latest = city.names(city.export(path + "LatestProvenanceResources"))
    assert latest == [*observations, "Provenance/v2", "Provenance/v4"]


@pytest.mark.parametrize(
    ("path", "expression"),
    [
        ("$export?_outputFormat=text/csv", "_outputFormat"),
        ("$export?_since=yesterday", "_since"),
        ("$export?_type=Nothing", "_type"),
        ("$export?_type=Patient,Nothing", "_type"),
        ("$export?_elements=a.b.c", "_elements"),
        ("$export?_typeFilter=code%3Da", "_typeFilter"),
        ("$export?_typeFilter=Observation%3F_sort%3Dcode", "_typeFilter"),
        ("$export?_type=Patient&_typeFilter=Observation%3Fcode%3Da", "_typeFilter"),
        ("Patient/$export?_typeFilter=Organization%3Fname%3Da", "_typeFilter"),
        ("$export?includeAssociatedData=_other", "includeAssociatedData"),
        ("$export?_maximumFileSize=3", "_maximumFileSize"),
        ("Patient/$export?_type=Organization", "_type"),
        ("Patient/$export?_type=Organization,Patient", "_type"),
    ],
)
def test_what_cannot_be_exported_is_refused_and_no_job_begins(city: Bulk, path: str, expression: str) -> None:
    answer = city.kick_off(path)
    assert 400 <= answer.status_code < 500
    (issue,) = loads(answer.content)["issue"]
    assert issue["severity"] == "error"
    assert issue["expression"] == [expression]
    with city.exchange.database.transaction() as transaction:
        assert transaction.connection.execute("SELECT count(*) FROM job").fetchone() == (0,)


def test_type_filter_that_no_search_understands_is_refused_at_once(city: Bulk) -> None:
    answer = city.kick_off("$export?_typeFilter=Observation%3Fnonsense%3Da")
    assert answer.status_code == 400
    assert "nonsense" in answer.text


def test_export_without_respond_async_is_refused(city: Bulk) -> None:
    answer = city.client.get("$export")
    assert answer.status_code == 400
    assert "respond-async" in loads(answer.content)["issue"][0]["diagnostics"]


def test_lenient_handling_ignores_what_is_not_understood_and_says_so(city: Bulk) -> None:
    manifest = city.export(
        "$export?_type=Patient,Nothing&_maximumFileSize=3", prefer="respond-async, handling=lenient"
    )
    assert city.names(manifest) == ["Patient/p1", "Patient/p2", "Patient/p3"]
    outcomes = city.lines(manifest, "error")
    assert sorted(each["issue"][0]["expression"][0] for each in outcomes) == ["_maximumFileSize", "_type"]
    assert {each["issue"][0]["severity"] for each in outcomes} == {"warning"}


def test_every_name_of_ndjson_is_accepted(city: Bulk) -> None:
    for name in ("application/fhir%2Bndjson", "application/fhir+ndjson", "application/ndjson", "ndjson"):
        assert city.kick_off(f"$export?_outputFormat={name}").status_code == 202


def test_transaction_time_is_not_before_what_was_stored_before_the_export(city: Bulk) -> None:
    stored = loads(city.client.get("Provenance/v3").content)["meta"]["lastUpdated"]
    manifest = city.export("$export")
    assert datetime.fromisoformat(stored) <= datetime.fromisoformat(manifest["transactionTime"])
