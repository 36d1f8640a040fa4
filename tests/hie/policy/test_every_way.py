"""Who does not stand to a record reaches it by no way that the server has, under the real policy.

The ways are those of the router, of the registry of operations, and the searches that lead astray
(tests/fhir_server/access). A new route or operation is tried here by itself.
"""

from collections.abc import Iterator

import psycopg
import pytest

from hie.core.access import Requester
from tests.fhir_server.access.city import CANARY
from tests.fhir_server.access.test_every_way import ALL, WITH_NAME, ways
from tests.fhir_server.access.test_one_patient import READS, bundle, entry
from tests.hie.policy.city import (
    ANALYST,
    CITIZEN,
    CLINICIAN,
    COLLEAGUE,
    OPERATOR,
    PHARMACIST,
    STRANGER,
)
from tests.hie.policy.conftest import As

EVERYBODY = {
    "citizen": CITIZEN,
    "doctor": CLINICIAN,
    "colleague": COLLEAGUE,
    "stranger": STRANGER,
    "pharmacist": PHARMACIST,
    "operator": OPERATOR,
    "analyst": ANALYST,
    "application": Requester("person", "a-1", "app", CLINICIAN.roles, ("user/*.cruds",), "", "d-x", "h-x"),
}
# who is nearest to the record; all others at full size
_NEAREST = frozenset({"citizen", "colleague"})
WITH_REQUESTER = pytest.mark.parametrize(
    "who",
    [
        pytest.param(who, id=name, marks=() if name in _NEAREST else pytest.mark.full)
        for name, who in EVERYBODY.items()
    ],
)


@pytest.fixture
def stored(looking_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(looking_url, autocommit=True) as connection:
        yield connection


def versions(connection: psycopg.Connection) -> object:
    """Return how many versions there are of the other patient's resources, and the last one's number."""
    return connection.execute(
        "SELECT count(*), sum(version), max(seq) FROM resource"
        " WHERE position(convert_to(%s, 'UTF8') IN body) > 0",
        (CANARY,),
    ).fetchone()


@WITH_NAME
@pytest.mark.parametrize(
    "names", [_NEAREST, pytest.param(frozenset(EVERYBODY), marks=pytest.mark.full)], ids=len
)
def test_no_route_and_no_operation_shows_or_changes_another_record(
    looking: As, name: str, names: frozenset[str], stored: psycopg.Connection
) -> None:
    before = versions(stored)
    for who in (EVERYBODY[each] for each in sorted(names)):
        client = looking(who)
        for way in ways(name):
            status, text = way.take(client)
            assert CANARY not in text, (who, way)
            assert status < 500, (who, way, text)
    assert versions(stored) == before


@WITH_REQUESTER
def test_no_search_shows_another_record(looking: As, who: Requester) -> None:
    client = looking(who)
    for path in READS:
        answer = client.get(f"/fhir/{path}")
        assert CANARY not in answer.text, path
        assert answer.status_code < 500, (path, answer.text)
        named = [each["resource"].get("id") for each in answer.json().get("entry", ()) if "resource" in each]
        assert not {"y", "e-y", "o-y", "c-y", "k-y", "o-back"}.intersection(named), path
        if who in (COLLEAGUE, STRANGER):
            assert "o-hiv" not in named, path


@WITH_REQUESTER
@pytest.mark.parametrize("kind", ["batch", pytest.param("transaction", marks=pytest.mark.full)])
def test_no_entry_of_a_bundle_shows_another_record(looking: As, who: Requester, kind: str) -> None:
    client = looking(who)
    for path in READS:
        answer = client.post("/fhir", bundle(kind, entry("GET", path)))
        assert CANARY not in answer.text, path
        assert answer.status_code < 500, (path, answer.text)


@pytest.mark.parametrize(
    "path",
    [
        "Observation?code:text=HIV",
        "Observation?_security=HIV",
        "Observation?_security:not=N",
        "Patient?_has:Observation:patient:code:text=HIV",
        "Patient?_has:Observation:patient:_security=HIV",
        "Patient?_id=x&_revinclude=Observation:patient&_count=50",
        "Patient/x/Observation",
        "Patient/x/$everything",
        "Observation/_history",
        "Observation/o-hiv/_history/1",
        "Observation/o-hiv",
        "?_type=Observation&_security=HIV",
        "Observation?_filter=_security eq HIV",
        "Observation/$lastn?patient=Patient/x",
        "Observation?patient=Patient/x&_summary=count&_security=HIV",
        "Observation/$graphql?query={ObservationList{code{text}}}",
    ],
)
def test_what_carries_a_sensitive_label_is_found_by_who_treats_and_by_no_colleague(
    looking: As, path: str
) -> None:
    shown = looking(COLLEAGUE).get(f"/fhir/{path}")
    assert "antibody" not in shown.text
    assert "o-hiv" not in shown.text or "does not exist" in shown.text
    if path.startswith("Patient?_has"):
        assert '"Patient"' not in shown.text
    if "_summary=count" in path:
        assert shown.json()["total"] == 0


def test_there_are_ways_to_try() -> None:
    assert len(ALL) > 100
