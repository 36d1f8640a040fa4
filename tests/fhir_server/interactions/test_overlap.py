"""Transactions over the same resources, in any order and by conditions of any kind, against a real server."""

import random
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import psycopg
import pytest

from hie.core.fhir.json import JsonObject
from tests.fhir_server.interactions.serving import Server

SYSTEM = "http://hospital.example/mrn"
CLIENTS = 16
TRANSACTIONS = 12
PEOPLE = 10


def entry(number: int, chance: random.Random) -> JsonObject:
    """Return an entry that creates or changes person `number`, by one of four ways to name it."""
    person: JsonObject = {
        "resourceType": "Patient",
        "identifier": [{"system": SYSTEM, "value": str(number)}],
        "name": [{"family": f"F{number}"}],
        "multipleBirthInteger": chance.randrange(10**6),
    }
    own = f"identifier={SYSTEM}|{number}"
    requests: list[JsonObject] = [
        {"method": "PUT", "url": f"Patient?{own}"},
        {"method": "PUT", "url": f"Patient?family=F{number}"},
        {"method": "POST", "url": "Patient", "ifNoneExist": f"{own}&family=F{number}"},
    ]
    request = chance.choice([*requests, None])
    if request is None:  # another resource, by its id
        person |= {"id": f"p{number}", "identifier": [], "name": [{"family": "Other"}]}
        del person["identifier"]
        request = {"method": "PUT", "url": f"Patient/p{number}"}
    return {"resource": person, "request": request}


@pytest.mark.usefixtures("plain_bodies")
def test_overlapping_transactions_all_succeed_and_make_each_person_once(
    database_url: str, tmp_path: Path
) -> None:
    with Server(database_url, tmp_path) as server:
        server.wait()

        def press(seed: int) -> Counter[int]:
            chance = random.Random(seed)  # noqa: S311 - an order, not a secret
            statuses: Counter[int] = Counter()
            with httpx.Client(timeout=60) as client:
                for _ in range(TRANSACTIONS):
                    entries = [entry(number, chance) for number in chance.sample(range(PEOPLE), 5)]
                    given = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
                    answer = client.post(f"http://127.0.0.1:{server.port}/fhir", json=given)
                    statuses[answer.status_code] += 1
            return statuses

        with ThreadPoolExecutor(CLIENTS) as pool:
            found = sum(pool.map(press, range(CLIENTS)), Counter[int]())
    assert found == {200: CLIENTS * TRANSACTIONS}
    with psycopg.connect(database_url) as connection:
        rows = connection.execute(
            "SELECT convert_from(body, 'UTF8')::json -> 'name' -> 0 ->> 'family', count(*) FROM resource"
            " WHERE convert_from(body, 'UTF8')::json -> 'name' -> 0 ->> 'family' <> 'Other' GROUP BY 1"
        ).fetchall()
        versions = connection.execute(
            "SELECT count(*) FROM resource r WHERE version <> 1 +"
            " (SELECT count(*) FROM resource_history h WHERE h.rid = r.rid)"
        ).fetchone()
    assert dict(rows) == {f"F{number}": 1 for number in range(PEOPLE)}
    assert versions == (0,)
