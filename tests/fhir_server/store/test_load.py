"""Loading files: what `hie load` does."""

import gzip
import tracemalloc
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from fhir_server.load import LoadReport, load
from fhir_server.service import Repository
from hie import wiring
from hie.core.db.database import Database
from hie.core.errors import DeletedError
from hie.core.fhir.json import Json, dumps, loads
from hie.core.settings import Settings
from tests.fhir_server.store.bundles import bundle, observation, patient, post, put, upsert

CountRows = Callable[[], dict[str, int]]

ALICE = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"


def numbers(report: LoadReport) -> tuple[int, int, int, list[tuple[str, str]]]:
    failures = [(failure.place, failure.message) for failure in report.failures]
    return report.created, report.updated, report.unchanged, failures


def write(path: Path, value: Json) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(dumps(value))
    return path


def test_every_kind_of_file_is_loaded_and_loading_again_changes_nothing(
    tmp_path: Path, database: Database, repository: Repository, count_rows: CountRows
) -> None:
    write(tmp_path / "a/patient.json", patient(id="p1"))
    collection = {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": patient(id="p2")}, {"fullUrl": "urn:x"}, {"resource": patient(id="p3")}],
    }
    write(tmp_path / "a/collection.json", collection)
    write(
        tmp_path / "transaction.json",
        bundle(upsert(patient("4"), ALICE), put("Observation/o1", observation(ALICE, id="o1"))),
    )
    batch = {**bundle(put("Patient/p5", patient(id="p5"))), "type": "batch"}
    (tmp_path / "batch.json.gz").write_bytes(gzip.compress(dumps(batch)))
    lines = b"\n".join(dumps(patient(id=f"n{number}")) for number in range(120))
    (tmp_path / "more.ndjson").write_bytes(lines + b"\n\n")
    (tmp_path / "more.ndjson.gz").write_bytes(gzip.compress(dumps(patient(id="z")) + b"\r\n"))
    (tmp_path / "notes.txt").write_text("not FHIR", encoding="utf-8")
    progress: list[int] = []
    report = load(database, repository, [tmp_path], on_progress=progress.append, batch=25)
    assert numbers(report) == (127, 0, 0, [])
    assert progress == sorted(progress)
    assert (progress[-1], len(progress) >= 5) == (127, True)
    counts = count_rows()
    assert counts["resource"] == 127
    again = load(database, repository, [tmp_path], batch=1000)
    assert numbers(again) == (0, 0, 127, [])
    assert count_rows() == counts


def test_a_document_bundle_is_one_resource(
    tmp_path: Path, database: Database, repository: Repository
) -> None:
    document = {
        "resourceType": "Bundle",
        "id": "d",
        "type": "document",
        "entry": [{"fullUrl": ALICE, "resource": observation(ALICE)}],
    }
    report = load(database, repository, [write(tmp_path / "d.json", document)])
    assert numbers(report) == (1, 0, 0, [])
    with database.transaction() as transaction:
        assert repository.read(transaction, "Bundle", "d").version == 1


def test_what_fails_is_named_and_the_rest_is_loaded(
    tmp_path: Path, database: Database, repository: Repository, count_rows: CountRows
) -> None:
    ndjson = tmp_path / "lines.ndjson"
    ndjson.write_bytes(
        b'{"resourceType":"Patient","id":"a"}\n{"resourceType":\n[]\n{"resourceType":"Patient","id":"b"}\n'
    )
    broken = write(tmp_path / "transaction.json", bundle(post(patient("1")), post(observation(ALICE))))
    invalid = write(
        tmp_path / "collection.json",
        {
            "resourceType": "Bundle",
            "type": "collection",
            "entry": [{"resource": patient(id="c")}, {"resource": {"resourceType": "Patient", "active": 7}}],
        },
    )
    damaged = tmp_path / "damaged.json.gz"
    damaged.write_bytes(b"not gzip")
    missing = tmp_path / "missing.json"
    report = load(database, repository, [ndjson, broken, invalid, damaged, missing])
    created, updated, unchanged, failures = numbers(report)
    assert (created, updated, unchanged) == (3, 0, 0)
    places = sorted(place for place, _ in failures)
    assert places == sorted(
        [
            f"{ndjson}:2",
            f"{ndjson}:3 resourceType",
            f"{broken} Bundle.entry[1].resource.subject.reference",
            f"{invalid} Bundle.entry[1] Patient.active",
            f"{damaged}",
            f"{missing}",
        ]
    )
    assert all(message for _, message in failures)
    assert count_rows()["resource"] == 3


@pytest.mark.usefixtures("plain_bodies")
def test_the_bundles_of_synthea_are_loaded_without_a_dangling_reference(
    conformance_data: Path, database: Database, repository: Repository
) -> None:
    files = sorted(
        (conformance_data / "fhir" / "synthea-r4").rglob("*.json"), key=lambda file: file.stat().st_size
    )[:6]
    assert len(files) == 6
    report = load(database, repository, files)
    assert report.failures == []
    assert report.created > 100
    with database.transaction() as transaction:
        rows = transaction.connection.execute(
            "SELECT count(*) FROM resource WHERE convert_from(body, 'UTF8') LIKE '%\"reference\":\"urn:%'"
        ).fetchone()
        dangling = transaction.connection.execute(
            "SELECT count(*) FROM ix_reference x WHERE target_type IS NOT NULL"
            " AND NOT EXISTS (SELECT FROM resource r WHERE r.key_hash = x.target_hash)"
        ).fetchone()
    assert (rows, dangling) == ((0,), (0,))


def test_a_history_leaves_its_newest_version_and_a_searchset_its_matches(
    tmp_path: Path, database: Database, repository: Repository
) -> None:
    def version(gender: str) -> Json:
        return {"resource": patient(id="p", gender=gender), "request": {"method": "PUT", "url": "Patient/p"}}

    gone = {"request": {"method": "DELETE", "url": "Patient/gone"}}
    made = {"resource": patient(id="gone"), "request": {"method": "PUT", "url": "Patient/gone"}}
    entries = [version("other"), version("female"), gone, made]
    write(tmp_path / "history.json", {"resourceType": "Bundle", "type": "history", "entry": entries})
    outcome = {"resource": {"resourceType": "OperationOutcome", "issue": []}, "search": {"mode": "outcome"}}
    found = {"resource": patient(id="found"), "search": {"mode": "match"}}
    searchset = {"resourceType": "Bundle", "type": "searchset", "entry": [found, outcome, 7]}
    path = write(tmp_path / "searchset.json", searchset)
    report = load(database, repository, [tmp_path])
    assert numbers(report) == (3, 2, 0, [(f"{path} Bundle.entry[2]", "The entry is not an object")])
    with database.transaction() as transaction:
        stored = repository.read(transaction, "Patient", "p")
        assert stored.body is not None
        assert (stored.version, loads(stored.body)["gender"]) == (2, "other")
        with pytest.raises(DeletedError):
            repository.read(transaction, "Patient", "gone")
        repository.read(transaction, "Patient", "found")


def test_large_ndjson_is_loaded_by_processes_with_the_same_result(
    tmp_path: Path, database_url: str, database: Database, repository: Repository, count_rows: CountRows
) -> None:
    lines = [dumps(patient(id=f"n{number}")) for number in range(1200)]
    lines[3], lines[700] = b'{"resourceType":', dumps({"resourceType": "Patient", "id": "x", "active": 7})
    path = tmp_path / "large.ndjson.gz"
    path.write_bytes(gzip.compress(b"\n".join(lines)))
    write(tmp_path / "small.json", patient(id="n1", gender="female"))
    with wiring.build(Settings(import_processes=2), database_url=database_url) as exchange:
        report = load(
            exchange.database, exchange.repository, [tmp_path], imports=exchange.imports, large_bytes=1
        )
        assert numbers(report)[:3] == (1198, 1, 0)
        assert [place for place, _ in numbers(report)[3]] == [f"{path}:4", f"{path}:701 Patient.active"]
        again = load(exchange.database, exchange.repository, [path], imports=exchange.imports, large_bytes=1)
    assert numbers(again)[:3] == (0, 1, 1197)
    one_by_one = load(database, repository, [path])
    assert numbers(one_by_one)[:3] == (0, 0, 1198)
    assert [place for place, _ in numbers(one_by_one)[3]] == [place for place, _ in numbers(report)[3]]
    assert count_rows()["resource"] == 1198


@pytest.mark.parametrize("name", ["bomb.json.gz", "bomb.ndjson.gz"])
def test_small_file_that_unpacks_to_a_huge_one_is_a_failure_and_fills_no_memory(
    name: str, tmp_path: Path, database: Database, repository: Repository, count_rows: CountRows
) -> None:
    packed = zlib.compressobj(wbits=31)
    with (tmp_path / name).open("wb") as file:
        file.write(packed.compress(dumps(patient(id="first")) + b"\n" if "ndjson" in name else b"["))
        for _ in range(64):
            file.write(packed.compress(b" " * (4 * 1024 * 1024)))
        file.write(packed.flush())
    assert (tmp_path / name).stat().st_size < 1024 * 1024
    tracemalloc.start()
    report = load(database, repository, [tmp_path], limit_bytes=1024 * 1024)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    (failure,) = report.failures
    assert failure.message.endswith("is larger than 1048576 bytes unpacked")
    assert peak < 32 * 1024 * 1024
    assert count_rows()["resource"] == ("ndjson" in name)


def test_file_that_is_no_gzip_inside_is_a_failure(
    tmp_path: Path, database: Database, repository: Repository
) -> None:
    whole = gzip.compress(dumps(patient(id="p")) * 50)
    (tmp_path / "cut.json.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "broken.json.gz").write_bytes(whole[:12] + b"\xff" * 20 + whole[32:])
    (tmp_path / "none.ndjson.gz").write_bytes(b"{}")
    report = load(database, repository, [tmp_path])
    assert {Path(each.place).name for each in report.failures} == {
        "cut.json.gz",
        "broken.json.gz",
        "none.ndjson.gz",
    }
    assert all(each.message.startswith("The file cannot be read: ") for each in report.failures)
