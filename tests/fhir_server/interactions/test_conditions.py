"""Conditional delete of several, If-Match and If-None-Match on writes, and the limits of a request.

https://hl7.org/fhir/R4/http.html#3.1.0.7.1, #concurrency; RFC 9110 section 13.1.
"""

from collections.abc import Callable
from typing import Any

import pytest

from fhir_server.index.indexer import Indexer
from fhir_server.search.service import SearchService
from fhir_server.service import Repository
from fhir_server.transaction.criteria import parse
from fhir_server.transaction.entry import Operation
from fhir_server.validation.level import ResourceValidator
from fhir_server.validation.structure import StructureValidator
from hie.core.access import Permissive
from hie.core.clock import SystemClock
from hie.core.db.database import Database
from hie.core.errors import MultipleMatchesError
from hie.core.fhir.json import Json, JsonObject, dumps
from hie.core.settings import Settings, ValidationLevel
from tests.fhir_server.interactions.client import Client, assert_outcome

CountRows = Callable[[], tuple[int, ...]]

SYSTEM = "http://hospital.example/mrn"


def patient(identity: str, **elements: Json) -> JsonObject:
    return {"resourceType": "Patient", "id": identity, **elements}


def put(client: Client, identity: str, headers: dict[str, str] | None = None, **elements: Json) -> int:
    return client.put(f"Patient/{identity}", json=patient(identity, **elements), headers=headers).status_code


def bundle(kind: str, *entries: JsonObject) -> JsonObject:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry(method: str, url: str, resource: JsonObject | None = None, **request: Any) -> JsonObject:
    made: JsonObject = {"request": {"method": method, "url": url, **request}}
    return made if resource is None else {**made, "resource": resource}


def present(client: Client, *names: str) -> list[str]:
    return [name for name in names if client.get(f"Patient/{name}").status_code == 200]


@pytest.mark.parametrize("criteria", ["gender=male", f"identifier={SYSTEM}|1", "gender=male&_id=a,b,c"])
def test_conditional_delete_deletes_all_that_its_criteria_select(client: Client, criteria: str) -> None:
    for name in "abc":
        put(client, name, gender="male", identifier=[{"system": SYSTEM, "value": "1"}])
    put(client, "d", gender="female", identifier=[{"system": SYSTEM, "value": "2"}])
    told = client.delete(f"Patient?{criteria}", headers={"prefer": "return=OperationOutcome"})
    assert told.status_code == 200
    assert sorted(issue["diagnostics"] for issue in told.json()["issue"]) == [
        f"`Patient/{name}` was deleted" for name in "abc"
    ]
    assert present(client, "a", "b", "c", "d") == ["d"]
    assert client.delete(f"Patient?{criteria}").status_code == 204
    history = client.get("Patient/_history").json()["entry"]
    assert [each["request"]["method"] for each in history].count("DELETE") == 3


def test_every_deletion_of_a_conditional_delete_is_told_to_the_outbox(
    client: Client, database: Database
) -> None:
    for name in "abc":
        put(client, name, gender="male")
    client.delete("Patient?gender=male")
    with database.transaction() as transaction:
        (event,) = transaction.connection.execute(
            "SELECT payload FROM outbox ORDER BY id DESC LIMIT 1"
        ).fetchone() or ({},)
    assert sorted((each["id"], each["method"], each["version"]) for each in event["changes"]) == [
        ("a", "DELETE", 2),
        ("b", "DELETE", 2),
        ("c", "DELETE", 2),
    ]


def test_conditional_delete_of_more_than_the_limit_deletes_nothing(
    client: Client, count_rows: CountRows
) -> None:
    for name in "abcdef":
        put(client, name, gender="male")
    before = count_rows()
    assert_outcome(
        client.delete("Patient?gender=male"),
        409,
        "conflict",
        "The criteria Patient?gender select more than the 5 resources that one request may delete",
    )
    assert count_rows() == before
    assert client.delete("Patient?gender=male&_id=a,b,c,d,e").status_code == 204
    assert present(client, *"abcdef") == ["f"]


def test_with_the_limit_1_criteria_that_select_several_are_refused(database: Database) -> None:
    settings = Settings()
    repository = Repository(
        validator=ResourceValidator(StructureValidator()),
        validation=ValidationLevel.STRUCTURE,
        indexer=Indexer(settings.base_url, settings.zone),
        search=SearchService(settings),
        access=Permissive(),
        clock=SystemClock(),
        delete_limit=1,
    )
    with database.transaction() as transaction:
        repository.transact(
            transaction,
            [bundle("transaction", *(entry("PUT", f"Patient/{n}", patient(n, gender="male")) for n in "ab"))],
        )
        operation = Operation("DELETE", type="Patient", criteria=parse("Patient", "gender=male"))
        with pytest.raises(MultipleMatchesError) as refused:
            repository.apply_one(transaction, operation)
        assert refused.value.message == "The criteria Patient?gender select more than one resource"
        assert repository.read(transaction, "Patient", "a").version == 1


def test_update_with_if_none_match_any_creates_only(client: Client, count_rows: CountRows) -> None:
    only = {"if-none-match": "*"}
    assert put(client, "p", only, gender="male") == 201
    before = count_rows()
    assert_outcome(
        client.put("Patient/p", json=patient("p", gender="female"), headers=only),
        412,
        "conflict",
        "If-None-Match names version * of `Patient/p`, the current version is 1",
    )
    assert count_rows() == before
    client.delete("Patient/p")
    assert put(client, "p", only, gender="female") == 201


def test_update_with_if_none_match_of_versions(client: Client) -> None:
    put(client, "p", gender="male")
    assert put(client, "p", {"if-none-match": 'W/"1", W/"9"'}, gender="female") == 412
    assert put(client, "p", {"if-none-match": 'W/"9"'}, gender="female") == 200


def test_update_and_delete_with_if_match_any_and_lists(client: Client) -> None:
    assert put(client, "p", {"if-match": "*"}, gender="male") == 412
    assert put(client, "p", gender="male") == 201
    assert put(client, "p", {"if-match": "*"}, gender="female") == 200
    assert put(client, "p", {"if-match": 'W/"7", W/"2"'}, gender="other") == 200
    for stale in ('W/"2"', 'W/"x"', '"99999999999"'):
        assert client.delete("Patient/p", headers={"if-match": stale}).status_code == 412
    assert client.delete("Patient/p", headers={"if-match": 'W/"3"'}).status_code == 204
    assert client.delete("Patient/p", headers={"if-match": 'W/"4"'}).status_code == 412


@pytest.mark.parametrize("kind", ["transaction", "batch"])
def test_entries_carry_if_match_and_if_none_match(client: Client, kind: str) -> None:
    put(client, "p", gender="male")

    def statuses(*entries: JsonObject) -> list[str]:
        answer = client.post("", json=bundle(kind, *entries))
        if answer.status_code != 200:
            return [str(answer.status_code)]
        return [each["response"]["status"].partition(" ")[0] for each in answer.json()["entry"]]

    assert statuses(entry("PUT", "Patient/p", patient("p"), ifNoneMatch="*")) == ["412"]
    assert statuses(entry("PUT", "Patient/q", patient("q"), ifNoneMatch="*")) == ["201"]
    assert statuses(entry("DELETE", "Patient/q", ifMatch='W/"2"')) == ["412"]
    assert statuses(entry("DELETE", "Patient/q", ifMatch='W/"1"')) == ["204"]
    read = client.post("", json=bundle(kind, entry("GET", "Patient/p", ifNoneMatch='W/"1"')))
    (answer,) = read.json()["entry"]
    assert answer["response"]["status"] == "304 Not Modified"
    assert "resource" not in answer
    assert statuses(entry("GET", "Patient/p", ifNoneMatch='W/"2"')) == ["200"]


@pytest.mark.parametrize("kind", ["transaction", "batch"])
def test_a_deleted_id_is_updated_inside_a_bundle(client: Client, kind: str) -> None:
    put(client, "p", gender="male")
    client.delete("Patient/p")
    answer = client.post("", json=bundle(kind, entry("PUT", "Patient/p", patient("p", gender="other"))))
    assert answer.json()["entry"][0]["response"]["status"] == "201 Created"
    assert client.get("Patient/p").json()["meta"]["versionId"] == "3"


@pytest.mark.parametrize("kind", ["transaction", "batch"])
def test_a_conditional_delete_inside_a_bundle_goes_before_its_creates(client: Client, kind: str) -> None:
    for name in "ab":
        put(client, name, gender="male")
    answer = client.post(
        "",
        json=bundle(
            kind,
            entry("POST", "Patient", {"resourceType": "Patient", "gender": "female"}),
            entry("DELETE", "Patient?gender=male"),
        ),
    )
    assert [each["response"]["status"] for each in answer.json()["entry"]] == [
        "201 Created",
        "204 No Content",
    ]
    assert present(client, "a", "b") == []
    assert client.get("Patient?_summary=count").json()["total"] == 1


@pytest.mark.parametrize("kind", ["transaction", "batch"])
def test_entries_read_search_and_call_operations_after_the_writes(client: Client, kind: str) -> None:
    put(client, "p", gender="male")
    urls = [
        "Patient/p",
        "Patient?gender=female",
        "Patient/p/_history",
        "Patient/p/_history/1",
        "Patient/_history?_count=1",
        "_history?_count=1",
        "Patient/p/$meta",
        "?_type=Patient,Device&_id=p",
    ]
    answer = client.post(
        "",
        json=bundle(
            kind,
            *(entry("GET", url) for url in urls),
            entry("PUT", "Patient/p", patient("p", gender="female")),
            entry("HEAD", "Patient/p"),
        ),
    )
    assert answer.status_code == 200, answer.text
    entries = answer.json()["entry"]
    assert {each["response"]["status"] for each in entries} == {"200 OK"}
    read, found, history, version, kinds, system, meta = (each["resource"] for each in entries[:7])
    assert (read["gender"], version["gender"]) == ("female", "male")
    assert [each["resource"]["id"] for each in found["entry"]] == ["p"]
    assert history["total"] == 2
    assert [each["response"]["etag"] for each in (*kinds["entry"], *system["entry"])] == ['W/"2"', 'W/"2"']
    assert meta["resourceType"] == "Parameters"
    assert [each["resource"]["id"] for each in entries[7]["resource"]["entry"]] == ["p"]
    assert "resource" not in entries[-1]
    assert entries[-1]["response"]["etag"] == 'W/"2"'


def test_a_read_entry_that_fails_fails_a_transaction_whole_and_only_itself_in_a_batch(
    client: Client, count_rows: CountRows
) -> None:
    entries = [entry("PUT", "Patient/p", patient("p")), entry("GET", "Patient/never")]
    before = count_rows()
    failed = client.post("", json=bundle("transaction", *entries))
    assert_outcome(failed, 404, "not-found", "`Patient/never` does not exist", "Bundle.entry[1].request.url")
    assert count_rows() == before
    passed = client.post("", json=bundle("batch", *entries)).json()["entry"]
    assert [each["response"]["status"] for each in passed] == ["201 Created", "404 Not Found"]


@pytest.mark.parametrize("kind", ["transaction", "batch"])
def test_an_operation_that_changes_is_called_by_a_post_entry(client: Client, kind: str) -> None:
    meta = {"tag": [{"system": "http://t.example", "code": "t"}]}
    given = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": meta}]}
    answer = client.post(
        "",
        json=bundle(
            kind, entry("POST", "Patient/p/$meta-add", given), entry("PUT", "Patient/p", patient("p"))
        ),
    )
    assert answer.status_code == 200, answer.text
    assert client.get("Patient/p").json()["meta"]["tag"] == meta["tag"]


def test_a_bundle_with_more_entries_than_the_limit_is_refused(client: Client, count_rows: CountRows) -> None:
    entries = [entry("POST", "Patient", {"resourceType": "Patient"}) for _ in range(51)]
    before = count_rows()
    for kind in ("transaction", "batch"):
        assert_outcome(
            client.post("", json=bundle(kind, *entries)),
            413,
            "too-long",
            "The Bundle has 51 entries, more than 50",
            "Bundle.entry",
        )
    assert count_rows() == before
    assert client.post("", json=bundle("batch", *entries[:50])).status_code == 200


def nested(levels: int) -> bytes:
    """Return a Patient whose JSON is `levels` deep."""
    extension: JsonObject = {"url": "http://e.example", "valueBoolean": True}
    for _ in range((levels - 3) // 2):
        extension = {"url": "http://e.example", "extension": [extension]}
    return dumps({"resourceType": "Patient", "extension": [extension]})


@pytest.mark.parametrize("levels", [65, 201, 1_001, 5_001])
def test_a_body_that_is_nested_too_deeply_is_refused(
    client: Client, count_rows: CountRows, levels: int
) -> None:
    text = (
        nested(levels)
        if levels < 500
        else b'{"resourceType":"Patient","extension":['
        + b'{"extension":[' * (levels // 2)
        + b"]}" * (levels // 2)
        + b"]}"
    )
    before = count_rows()
    answer = client.post("Patient", content=text)
    assert answer.status_code in (400, 422), answer.text
    if levels < 500:
        assert_outcome(answer, 422, "too-long", "The body is nested more than 64 levels deep")
    assert count_rows() == before


def test_a_body_at_the_limit_of_nesting_is_taken(client: Client) -> None:
    assert client.post("Patient", content=nested(63)).status_code == 201
    # Many brackets are not many levels.
    wide = {"resourceType": "Patient", "name": [{"given": ["a"]} for _ in range(100)]}
    assert client.post("Patient", json=wide).status_code == 201
