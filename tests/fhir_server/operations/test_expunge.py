"""$expunge: physical removal."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import sql

from fhir_server.tables import INDEX_TABLES
from hie.core.fhir.json import Json, JsonObject
from tests.fhir_server.interactions.client import Client, assert_outcome
from tests.fhir_server.operations.test_everything import put

Rows = Callable[[], dict[str, int]]
TABLES = ("resource", "resource_history", *(table.name for table in INDEX_TABLES))


@pytest.fixture
def rows(database_url: str) -> Iterator[Rows]:
    """Count the rows of every table that holds something of a resource."""
    with psycopg.connect(database_url, autocommit=True) as connection:

        def count() -> dict[str, int]:
            return {
                name: connection.execute(
                    sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(name))
                ).fetchall()[0][0]
                for name in TABLES
            }

        yield count


def expunge(client: Client, path: str, **inputs: Json) -> JsonObject:
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": name, ("valueBoolean" if isinstance(value, bool) else "valueInteger"): value}
            for name, value in inputs.items()
        ],
    }
    answer = client.post(f"{path}$expunge", json=body)
    assert answer.status_code == 200, answer.text
    (parameter,) = answer.json()["parameter"]
    assert parameter["name"] == "count"
    count: JsonObject = {"count": parameter["valueInteger"]}
    return count


@pytest.fixture
def stored(client: Client) -> None:
    """Three versions of one patient, two of another that is deleted, one group."""
    for gender in ("male", "female", "other"):
        put(client, "Patient", "p", gender=gender, name=[{"family": "张"}], birthDate="1980-01-01")
    put(client, "Patient", "gone", gender="male")
    client.delete("Patient/gone")
    put(client, "Group", "g", type="person", actual=True)
    put(client, "Group", "g", type="person", actual=True, name="n")


@pytest.mark.usefixtures("stored")
def test_previous_versions_of_an_instance_are_gone_and_the_current_one_stays(client: Client) -> None:
    assert expunge(client, "Patient/p/", expungePreviousVersions=True) == {"count": 2}
    assert client.get("Patient/p").json()["meta"]["versionId"] == "3"
    assert client.get("Patient/p/_history/1").status_code == 404
    assert client.get("Patient/p/_history/3").status_code == 200
    assert len(client.get("Patient/p/_history").json()["entry"]) == 1
    assert client.get("Group/g/_history/1").status_code == 200
    assert client.get("Patient?gender=other").json()["entry"][0]["resource"]["id"] == "p"
    assert put(client, "Patient", "p", gender="male") == "Patient/p"
    assert client.get("Patient/p").json()["meta"]["versionId"] == "4"


@pytest.mark.usefixtures("stored")
def test_one_version_is_gone_by_its_number(client: Client) -> None:
    assert expunge(client, "Patient/p/_history/2/", expungePreviousVersions=True) == {"count": 1}
    assert client.get("Patient/p/_history/2").status_code == 404
    assert client.get("Patient/p/_history/1").status_code == 200
    # The current version is no previous one.
    assert expunge(client, "Patient/p/_history/3/", expungePreviousVersions=True) == {"count": 0}
    assert client.get("Patient/p").status_code == 200


@pytest.mark.usefixtures("stored")
def test_a_deleted_resource_is_gone_and_its_id_is_free(client: Client) -> None:
    assert client.get("Patient/gone").status_code == 410
    assert expunge(client, "Patient/p/", expungeDeletedResources=True) == {"count": 0}
    assert expunge(client, "Patient/gone/", expungeDeletedResources=True) == {"count": 2}
    assert client.get("Patient/gone").status_code == 404
    assert client.get("Patient/gone/_history").status_code == 404
    put(client, "Patient", "gone")
    assert client.get("Patient/gone").json()["meta"]["versionId"] == "1"


@pytest.mark.usefixtures("stored")
def test_a_type_is_expunged_alone(client: Client) -> None:
    assert expunge(client, "Patient/", expungeDeletedResources=True, expungePreviousVersions=True) == {
        "count": 4
    }
    assert client.get("Patient/gone").status_code == 404
    assert client.get("Patient/p").status_code == 200
    assert client.get("Group/g/_history/1").status_code == 200


@pytest.mark.usefixtures("stored")
def test_everything_leaves_no_row(client: Client, rows: Rows) -> None:
    assert sum(rows().values()) > 10
    assert expunge(client, "", expungeEverything=True) == {"count": 7}
    assert rows() == dict.fromkeys(TABLES, 0)
    assert client.get("Patient/p").status_code == 404
    assert client.get("Patient").json().get("entry", []) == []


@pytest.mark.usefixtures("stored")
def test_at_most_limit_versions_are_removed_at_once(client: Client, rows: Rows) -> None:
    # Two versions of the deleted resource, then what the limit leaves of three superseded ones.
    both = {"expungeDeletedResources": True, "expungePreviousVersions": True, "limit": 3}
    counts = [expunge(client, "", **both)["count"] for _ in range(3)]
    assert counts == [3, 2, 0]
    assert rows()["resource_history"] == 0
    assert expunge(client, "", expungeEverything=True, limit=1) == {"count": 1}
    assert rows()["resource"] == 1


@pytest.mark.usefixtures("stored")
def test_what_was_current_is_announced_as_deleted(client: Client, database_url: str) -> None:
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute("DELETE FROM outbox")
        expunge(client, "Patient/", expungeEverything=True)
        events = connection.execute("SELECT topic, payload FROM outbox").fetchall()
    change = {"type": "Patient", "id": "p", "version": 4, "method": "DELETE"}
    assert events == [("fhir.changed", {"changes": [change]})]


@pytest.mark.usefixtures("stored")
def test_nothing_is_removed_without_being_told_what(client: Client, rows: Rows) -> None:
    before = rows()
    diagnostics = (
        "$expunge is told by `expungePreviousVersions`, `expungeDeletedResources` or `expungeEverything`"
        " what to remove"
    )
    assert_outcome(client.post("$expunge"), 400, "required", diagnostics, "Parameters.parameter")
    assert client.get("$expunge?expungeEverything=true").status_code == 405
    assert client.post("Patient/p/_history/1/$expunge?expungeEverything=true").status_code == 400
    assert client.post("Patient/$expunge?expungeAll=true").status_code == 400
    assert rows() == before


def test_updates_of_deleted_resources_and_their_expunge_do_not_lose_each_other(
    client: Client, rows: Rows
) -> None:
    for number in range(8):
        put(client, "Patient", f"p{number}")
        client.delete(f"Patient/p{number}")

    def write(number: int) -> int:
        answer = client.put(f"Patient/p{number}", json={"resourceType": "Patient", "id": f"p{number}"})
        return answer.status_code

    with ThreadPoolExecutor(9) as pool:
        expunged = pool.submit(lambda: expunge(client, "Patient/", expungeDeletedResources=True))
        written = list(pool.map(write, range(8)))
        expunged.result()
    assert set(written) <= {200, 201}
    assert [client.get(f"Patient/p{number}").status_code for number in range(8)] == [200] * 8
    assert rows()["resource"] == 8
