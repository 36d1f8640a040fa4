"""Erasure: refused while the law has a record kept; afterwards nothing is left that anybody can read."""

from datetime import date

import pytest

from fhir_server.jobs.service import Jobs
from hie import app, wiring
from hie.core.errors import ConflictError, NotFoundError
from hie.core.fhir.json import JsonObject
from hie.core.security_errors import KeyDestroyedError
from hl7_gateway import journal
from tests.fhir_server.encryption.conftest import observation, patient, put
from tests.fhir_server.interactions.client import Client
from tests.hl7_gateway.transport.admissions import admission
from tests.hl7_gateway.transport.test_journal import STORED

OLD = "1990-01-01T08:00:00+08:00"


def visit(identity: str, of: str, code: str = "AMB", status: str = "finished", **period: str) -> JsonObject:
    """Return an Encounter."""
    return {
        "resourceType": "Encounter",
        "id": identity,
        "status": status,
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": code},
        "subject": {"reference": f"Patient/{of}"},
        "period": period,
    }


def erase(exchange: wiring.Exchange, identity: str) -> None:
    """Erase a record in a transaction of its own."""
    with exchange.database.transaction() as transaction:
        exchange.erasure.erase(transaction, identity, reason="request 1")


def refusal(exchange: wiring.Exchange, identity: str) -> tuple[str, date | None] | None:
    """Return code and last day of a refusal."""
    with exchange.database.reading() as transaction:
        found = exchange.erasure.refusal(transaction, identity, exchange.clock.now().date())
    return None if found is None else (found.code, found.until)


def count(exchange: wiring.Exchange, statement: str, *values: object) -> int:
    """Return the number that a statement counts."""
    with exchange.database.reading() as transaction:
        (found,) = transaction.connection.execute(statement.encode(), values).fetchone() or (0,)
    return int(found)


def test_record_is_kept_while_the_law_has_it_kept(exchange: wiring.Exchange) -> None:
    put(exchange, patient("r1"))
    assert refusal(exchange, "r1") is None
    put(exchange, visit("r1-old", "r1", start=OLD, end=OLD))
    assert refusal(exchange, "r1") is None
    put(exchange, visit("r1-visit", "r1", start="2020-03-01T09:00:00+08:00"))
    assert refusal(exchange, "r1") == ("retention-outpatient", date(2035, 3, 1))
    put(exchange, visit("r1-stay", "r1", "IMP", start=OLD, end="2010-06-01T10:00:00+08:00"))
    assert refusal(exchange, "r1") == ("retention-inpatient", date(2040, 6, 1))
    put(exchange, visit("r1-now", "r1", "IMP", "in-progress", start="2026-01-01"))
    assert refusal(exchange, "r1") == ("retention-inpatient", None)
    before = count(exchange, "SELECT count(*) FROM resource")
    with pytest.raises(ConflictError, match="第五十三条"):
        erase(exchange, "r1")
    assert count(exchange, "SELECT count(*) FROM resource") == before
    assert count(exchange, "SELECT count(*) FROM data_key WHERE destroyed_at IS NOT NULL") == 0


def test_record_without_an_encounter_is_kept_from_when_it_was_stored(exchange: wiring.Exchange) -> None:
    put(exchange, patient("r2"), observation("r2-o", "r2"))
    found = refusal(exchange, "r2")
    assert found is not None
    assert found[0] == "retention-outpatient"


def test_erased_record_leaves_nothing(exchange: wiring.Exchange) -> None:
    put(exchange, patient("x", "Erased"), patient("y", "Kept"))
    put(exchange, visit("x-visit", "x", start=OLD, end=OLD), observation("x-o", "x", value="canary of x"))
    put(exchange, observation("x-o", "x", value="second canary of x"), observation("x-y", "x", "y"))
    put(exchange, observation("was-x", "x"))
    put(exchange, observation("was-x", "y"))
    put(exchange, observation("x-gone", "x"))
    with exchange.database.transaction() as transaction:
        exchange.repository.transact(
            transaction,
            [
                {
                    "resourceType": "Bundle",
                    "type": "transaction",
                    "entry": [{"request": {"method": "DELETE", "url": "Observation/x-gone"}}],
                }
            ],
        )
        entry = journal.Entry(
            **{
                **{name: getattr(STORED, name) for name in STORED.__slots__},
                "identity": journal.identify(admission(7), "HIS|H1", "7"),
                "raw": admission(7),
                "patients": ("x",),
                "resources": ("Patient/x/_history/1",),
            }
        )
        journal.write(transaction, [entry])
    folder = exchange.settings.jobs
    with exchange.database.transaction() as transaction:
        accepted = Jobs("http://hie.example", folder, exchange.clock).begin(
            transaction, kind="export", request="http://hie.example/$export", parameters={}
        )
    identity = accepted.headers["Content-Location"].rpartition("/")[2]
    (folder / identity).mkdir(parents=True)
    (folder / identity / "Observation.1.ndjson").write_bytes(b'{"subject":{"reference":"Patient/x"}}\n')
    erase(exchange, "x")
    for kind, each in (("Patient", "x"), ("Encounter", "x-visit"), ("Observation", "x-o")):
        with exchange.database.reading() as transaction, pytest.raises(NotFoundError):
            exchange.repository.read(transaction, kind, each)
    gone = ["x", "x-visit", "x-o", "x-gone"]
    assert count(exchange, "SELECT count(*) FROM resource WHERE id = ANY(%s)", gone) == 0
    assert (
        count(exchange, "SELECT count(*) FROM data_key WHERE scope = 'Patient/x' AND wrapped IS NOT NULL")
        == 0
    )
    assert count(exchange, "SELECT count(*) FROM journal WHERE control_id = '1'") == 0
    assert count(exchange, "SELECT count(*) FROM ix_string WHERE norm = 'erased'") == 0
    assert (
        count(exchange, "SELECT count(*) FROM job WHERE id::text = %s AND state = 'cancelled'", identity) == 1
    )
    with exchange.database.reading() as transaction:
        kept = exchange.repository.read(transaction, "Observation", "x-y")
        now = exchange.repository.read(transaction, "Observation", "was-x")
        with pytest.raises(NotFoundError):
            exchange.repository.vread(transaction, "Observation", "was-x", 1)
    assert b"Patient/y" in (kept.body or b"")
    assert b"Patient/y" in (now.body or b"")


def test_erasing_again_changes_nothing(exchange: wiring.Exchange) -> None:
    put(exchange, patient("z"))
    erase(exchange, "z")
    erase(exchange, "z")
    assert refusal(exchange, "z") is None


def test_copy_of_a_row_made_before_the_erasure_opens_no_more(exchange: wiring.Exchange) -> None:
    put(exchange, patient("v"))
    with exchange.database.transaction() as transaction:
        transaction.connection.execute(
            "CREATE TEMPORARY TABLE copied ON COMMIT DROP AS SELECT * FROM resource WHERE id = 'v'"
        )
        exchange.erasure.erase(transaction, "v", reason="request 2")
        transaction.connection.execute("INSERT INTO resource SELECT * FROM copied")
    with exchange.database.reading() as transaction, pytest.raises(KeyDestroyedError):
        exchange.repository.read(transaction, "Patient", "v")


def test_operation_erases_or_names_the_article_of_law(exchange: wiring.Exchange) -> None:
    put(exchange, patient("w"), patient("u"), visit("u-visit", "u", start="2026-03-01T09:00:00+08:00"))
    client = Client(app.build(exchange))
    reason = {"resourceType": "Parameters", "parameter": [{"name": "reason", "valueString": "request 3"}]}
    answer = client.post("Patient/w/$erase", json=reason)
    assert (answer.status_code, answer.json()["parameter"]) == (
        200,
        [{"name": "erased", "valueBoolean": True}],
    )
    assert client.get("Patient/w").status_code == 404
    refused = client.post("Patient/u/$erase", json=reason)
    assert refused.status_code == 409
    assert "until 2041-03-01 by law: 医疗机构管理条例实施细则第五十三条" in refused.text
    assert client.get("Patient/u").status_code == 200
    assert client.post("Patient/u/$erase").status_code == 400
