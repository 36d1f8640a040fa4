"""$import of NDJSON, from the request and from allowed files: what is new, changed, the same, wrong."""

import gzip
import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import httpx
import pytest

from fhir_server.bulk.source import check_source, fetch, read_lines
from hie.core.errors import ExchangeError, ForbiddenError, NotFoundError, UnavailableError
from hie.core.fhir.json import Json, JsonObject, dumps, loads
from tests.fhir_server.bulk.server import Bulk

NDJSON = {"Content-Type": "application/fhir+ndjson", "Prefer": "respond-async"}


def patient(identity: str, **elements: Json) -> JsonObject:
    return {"resourceType": "Patient", "id": identity, **elements}


def observation(identity: str, subject: str) -> JsonObject:
    return {
        "resourceType": "Observation",
        "id": identity,
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "718-7"}]},
        "subject": {"reference": subject},
    }


def post(bulk: Bulk, *lines: bytes, **headers: str) -> httpx.Response:
    return bulk.client.post("$import", content=b"\n".join(lines), headers={**NDJSON, **headers})


def parameters(*files: tuple[str, str | None]) -> JsonObject:
    entries: list[JsonObject] = [{"name": "inputFormat", "valueString": "application/fhir+ndjson"}]
    for url, name in files:
        parts = [{"name": "url", "valueUri": url}]
        if name:
            parts.append({"name": "type", "valueString": name})
        entries.append({"name": "input", "part": parts})
    return {"resourceType": "Parameters", "parameter": entries}


def test_body_of_the_request_is_imported_and_found_by_search(bulk: Bulk) -> None:
    kicked_off = post(
        bulk,
        dumps(patient("p1", gender="female")),
        b"",
        b'  {"resourceType": "Patient", "id": "p2", "multipleBirthInteger": 2}\r',
        dumps(observation("o1", "Patient/p1")),
        b'{"resourceType":"Observation","status":"final","code":{"text":"x"},'
        b'"valueQuantity":{"value":1.500,"unit":"mg"}}',
    )
    manifest = bulk.finish(kicked_off)
    assert manifest["request"] == f"{bulk.base}/$import"
    assert manifest["error"] == []
    assert manifest["output"] == [
        {
            "inputUrl": f"{bulk.base}/$import",
            "count": 4,
            "extension": {"created": 4, "updated": 0, "unchanged": 0},
        }
    ]
    found = loads(bulk.client.get("Observation?subject=Patient/p1").content)
    assert [each["resource"]["id"] for each in found["entry"]] == ["o1"]
    assert found["entry"][0]["resource"]["meta"]["versionId"] == "1"
    created = loads(bulk.client.get("Observation?_count=5").content)["entry"]
    assert any('"value":1.500' in bulk.client.get(f"Observation/{e['resource']['id']}").text for e in created)


def test_contained_resources_of_imported_ones_are_found(bulk: Bulk) -> None:
    contained = [patient("c", gender="female"), patient("d", gender="male")]
    lines = [
        {**observation("o1", "#c"), "contained": contained},
        {**observation("o2", "#d"), "contained": contained[1:]},
    ]
    assert bulk.finish(post(bulk, *map(dumps, lines)))["error"] == []
    changed = {**observation("o1", "#d"), "contained": contained[1:]}
    assert bulk.finish(post(bulk, dumps(changed)))["error"] == []
    for query, expected in (
        ("Patient?gender=female&_contained=true", []),
        ("Patient?gender=male&_contained=true", ["o1", "o2"]),
        ("Observation?subject:Patient.gender=male", ["o1", "o2"]),
        ("Observation?subject:Patient.gender=female", []),
    ):
        found = loads(bulk.client.get(query).content)
        assert sorted(each["resource"]["id"] for each in found.get("entry", ())) == expected, query


def test_imported_resource_is_what_an_update_would_have_stored(bulk: Bulk) -> None:
    resource = {
        **patient("p1"),
        "meta": {"versionId": "17", "tag": [{"code": "t"}]},
        "name": [{"text": "示例"}],
    }
    bulk.put({**resource, "id": "p2"})
    bulk.finish(post(bulk, dumps(resource)))
    imported, updated = (loads(bulk.client.get(f"Patient/{each}").content) for each in ("p1", "p2"))
    for each in (imported, updated):
        del each["id"], each["meta"]["lastUpdated"]
    assert imported == updated
    with bulk.exchange.database.transaction() as transaction:
        rows = transaction.connection.execute(
            "SELECT count(DISTINCT (param, norm, exact)), count(*) FROM ix_string"
        ).fetchone()
        assert rows == (rows[1] // 2 if rows else 0, rows[1] if rows else 0)


def test_stored_resources_become_new_versions_or_stay_as_they_are(bulk: Bulk) -> None:
    bulk.put(patient("same"), patient("changed"), patient("gone"))
    bulk.delete("Patient/gone")
    manifest = bulk.finish(
        post(
            bulk,
            dumps(patient("same")),
            dumps(patient("changed", gender="male")),
            dumps(patient("gone")),
            dumps(patient("twice", gender="male")),
            dumps(patient("twice", gender="female")),
        )
    )
    assert manifest["output"][0]["extension"] == {"created": 2, "updated": 2, "unchanged": 1}
    versions = {
        name: loads(bulk.client.get(f"Patient/{name}").content)
        for name in ("same", "changed", "gone", "twice")
    }
    assert {name: each["meta"]["versionId"] for name, each in versions.items()} == {
        "same": "1",
        "changed": "2",
        "gone": "3",
        "twice": "2",
    }
    assert versions["twice"]["gender"] == "female"
    again = bulk.finish(post(bulk, dumps(patient("changed", gender="male"))))
    assert again["output"][0]["extension"] == {"created": 0, "updated": 0, "unchanged": 1}


def test_conditional_references_are_resolved_and_urn_references_refused(bulk: Bulk) -> None:
    known = patient("p1", identifier=[{"system": "http://s", "value": "1"}])
    bulk.put(known)
    manifest = bulk.finish(
        post(
            bulk,
            dumps(observation("o1", "Patient?identifier=http://s|1")),
            dumps(observation("o2", "Patient?identifier=http://s|2")),
            dumps(observation("o3", "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0")),
        )
    )
    stored = loads(bulk.client.get("Observation/o1").content)
    assert stored["subject"]["reference"] == "Patient/p1"
    assert manifest["output"][0]["count"] == 1
    assert [each["issue"][0]["diagnostics"].partition(":")[0] for each in bulk.lines(manifest, "error")] == [
        "Line 2",
        "Line 3",
    ]


def test_lines_that_are_wrong_are_named_and_the_others_stored(bulk: Bulk) -> None:
    manifest = bulk.finish(
        post(
            bulk,
            dumps(patient("p1")),
            b'{"resourceType":"Patient","id":',
            b"[1,2]",
            dumps({"resourceType": "Dragon", "id": "d"}),
            dumps(patient("bad id")),
            dumps(patient("p2", active="yes")),
            b'{"resourceType":"Patient","id":"p3","id":"p4"}',
            dumps(patient("p5", birthDate="2020-13-01")),
            dumps(patient("p6")),
        )
    )
    (error,) = manifest["error"]
    assert (error["type"], error["count"]) == ("OperationOutcome", 7)
    outcomes = bulk.lines({"error": [{**error, "count": 7}]}, "error")
    lines = [each["issue"][0]["diagnostics"].partition(":")[0] for each in outcomes]
    assert lines == [f"Line {number}" for number in (2, 3, 4, 5, 6, 7, 8)]
    assert outcomes[4]["issue"][0]["expression"] == ["Patient.active"]
    assert manifest["output"][0]["count"] == 2
    assert [bulk.client.get(f"Patient/p{n}").status_code for n in range(1, 7)] == [
        200,
        404,
        404,
        404,
        404,
        200,
    ]


def test_files_that_the_operator_allows_are_imported(bulk: Bulk) -> None:
    folder = bulk.folder / "in"
    folder.mkdir()
    (folder / "patients.ndjson").write_bytes(dumps(patient("p1")) + b"\n" + dumps(patient("p2")))
    (folder / "more.ndjson.gz").write_bytes(
        gzip.compress(dumps(patient("p3")) + b"\n" + dumps(observation("o1", "Patient/p3")) + b"\n")
    )
    plain, packed = ((folder / name).as_uri() for name in ("patients.ndjson", "more.ndjson.gz"))
    manifest = bulk.finish(bulk.kick_off("$import", parameters((plain, "Patient"), (packed, "Patient"))))
    assert [(each["inputUrl"], each["type"], each["count"]) for each in manifest["output"]] == [
        (plain, "Patient", 2),
        (packed, "Patient", 1),
    ]
    (outcome,) = bulk.lines(manifest, "error")
    assert outcome["issue"][0]["diagnostics"].startswith("Line 2: The resource is a Observation")


def test_packed_body_is_imported(bulk: Bulk) -> None:
    body = gzip.compress(dumps(patient("p1")))
    assert bulk.finish(post(bulk, body, **{"Content-Encoding": "gzip"}))["output"][0]["count"] == 1
    refused = post(bulk, b"x", **{"Content-Encoding": "br"})
    assert refused.status_code == 415
    assert len(list((bulk.folder / "jobs").iterdir())) == 1


def test_body_that_is_too_large_is_refused_and_leaves_nothing(bulk: Bulk) -> None:
    answer = post(bulk, dumps(patient("p1")), b" " * 200_000)
    assert answer.status_code == 413
    assert loads(answer.content)["issue"][0]["code"] == "too-long"
    assert list((bulk.folder / "jobs").iterdir()) == []


def test_file_that_is_not_there_fails_the_job(bulk: Bulk) -> None:
    url = (bulk.folder / "in" / "nothing.ndjson").as_uri()
    kicked_off = bulk.kick_off("$import", parameters((url, None)))
    bulk.work()
    status = bulk.status(kicked_off)
    assert status.status_code == 404
    assert loads(status.content)["issue"][0]["diagnostics"] == f"`{url}` does not exist"


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "http://169.254.169.254/latest/meta-data/",
        "{in}../secret.ndjson",
        "{in}%2e%2e/secret.ndjson",
        "{in}link/secret.ndjson",
    ],
)
def test_source_that_no_one_allowed_is_refused(bulk: Bulk, url: str) -> None:
    folder = bulk.folder / "in"
    folder.mkdir()
    (bulk.folder / "out").mkdir()
    (bulk.folder / "out" / "secret.ndjson").write_bytes(dumps(patient("p1")))
    (folder / "link").symlink_to(bulk.folder / "out")
    answer = bulk.kick_off("$import", parameters((url.replace("{in}", folder.as_uri() + "/"), None)))
    assert answer.status_code == 403
    assert loads(answer.content)["issue"][0]["code"] == "forbidden"


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"resourceType": "Parameters"}, 400),
        (
            {
                "resourceType": "Parameters",
                "parameter": [{"name": "inputFormat", "valueString": "text/csv"}],
            },
            400,
        ),
        (parameters(("ftp://host/x", None)), 400),
    ],
)
def test_import_that_cannot_be_understood_is_refused(bulk: Bulk, body: JsonObject, status: int) -> None:
    assert bulk.kick_off("$import", body).status_code == status


def test_import_without_respond_async_is_refused(bulk: Bulk) -> None:
    for headers in ({"Content-Type": "application/fhir+ndjson"}, {"Content-Type": "application/fhir+json"}):
        answer = bulk.client.post("$import", content=b"{}", headers=headers)
        assert answer.status_code == 400, answer.text
    assert not (bulk.folder / "jobs").exists()


class _Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/redirect":
            self.send_response(302)
            self.send_header("Location", "/data")
        else:
            self.send_response({"/data": 200, "/broken": 503}.get(self.path, 404))
        self.end_headers()
        self.wfile.write(b"content" if self.path == "/data" else b"")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _server() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Answers) as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.05))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_url_is_fetched_once_and_redirects_are_not_followed(tmp_path: Path) -> None:
    with _server() as base:
        target = tmp_path / "input"
        assert fetch(f"{base}/data", target).read_bytes() == b"content"
        refusals: dict[str, type[ExchangeError]] = {
            "nothing": NotFoundError,
            "redirect": NotFoundError,
            "broken": UnavailableError,
        }
        for path, error in refusals.items():
            with pytest.raises(error):
                fetch(f"{base}/{path}", target)
    with pytest.raises(UnavailableError):
        fetch(f"{base}/data", target)


def test_prefix_of_a_source_ends_at_a_slash() -> None:
    check_source("https://files.example/in/a", ("https://files.example/in",), expression="url")
    for url in (
        "https://files.example/inner/a",
        "https://files.example/in",
        "https://files.example.evil/in/a",
    ):
        with pytest.raises(ForbiddenError):
            check_source(url, ("https://files.example/in",), expression="url")


def test_line_that_is_too_long_is_cut_and_the_next_begins_where_it_should(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_bytes(b"short\n" + b"x" * 5000 + b"\nnext\n" + b"y" * 11)
    lines = list(read_lines(path, 0, 10))
    assert [line for _, line in lines] == [b"short\n", b"x" * 11, b"next\n", b"y" * 11]
    assert [offset for offset, _ in lines] == [6, 5007, 5012, 5023]
    assert [line for _, line in read_lines(path, 5007, 10)] == [b"next\n", b"y" * 11]
