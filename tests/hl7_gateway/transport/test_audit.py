"""Each message that the gateway takes stands in the audit trail, in the transaction that journals it."""

import orjson

from hie.core.db.database import Database
from hie.core.fhir.json import JsonObject
from hie.wiring import Exchange
from hl7_gateway.conveyor import Received
from hl7_gateway.pipeline import Pipeline
from tests.hl7_gateway.transport.conftest import CLOCK

ADT = (
    "MSH|^~\\&|HIS|H1|HIE|CITY|20261122083000||ADT^A01^ADT_A01|{0}|P|2.5|||||CHN|UNICODE UTF-8\r"
    "EVN|A01|20261122083000\r"
    "PID|1||90000{0}^^^H1^MR||测试^一||19800101|M\r"
    "PV1|1|I|内科^301^02||||||||||||||||V{0}\r"
)


def pending(database: Database) -> list[JsonObject]:
    with database.transaction() as transaction:
        rows = transaction.connection.execute("SELECT body FROM audit_pending ORDER BY id").fetchall()
    return [orjson.loads(row[0]) for row in rows]


def received(text: str) -> Received:
    return Received(text.encode(), CLOCK.now())


def test_messages_are_recorded_with_sender_patient_and_outcome(exchange: Exchange) -> None:
    pipeline = Pipeline(
        exchange.settings,
        database=exchange.database,
        store=exchange.repository,
        engine=exchange.engine,
        clock=CLOCK,
    )
    bad = ADT.format(3).replace("ADT^A01^ADT_A01", "XYZ^X99")
    pipeline.process([received(ADT.format(1)), received(ADT.format(2)), received(bad)])
    pipeline.process([received(ADT.format(1))])
    first, second, failed, resent = pending(exchange.database)
    with exchange.database.transaction() as transaction:
        page = exchange.repository.search(transaction, "Patient", [("identifier", "900001")])
    (patient,) = [entry.resource.id for entry in page.entries]
    assert first["kind"] == "message"
    assert (first["do"], first["status"], first["patients"]) == ("ADT^A01", 200, [patient])
    assert first["who"] == {"kind": "client", "id": "HIS|H1", "purpose": "TREAT"}
    assert first["detail"]["control-id"] == "1"
    assert first["seen"]["Patient"] == [patient]
    assert second["patients"] != first["patients"]
    assert (failed["status"] >= 400, failed["detail"]["acknowledgment"] != "AA") == (True, True)
    assert (resent["detail"]["resent"], resent["detail"]["control-id"]) == ("true", "1")


def test_message_whose_transaction_fails_leaves_no_record_of_success(exchange: Exchange) -> None:
    with exchange.database.transaction() as transaction:
        transaction.connection.execute(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN RAISE 'no' USING ERRCODE = 'check_violation'; END $$;"
            " CREATE TRIGGER refuse BEFORE INSERT ON resource FOR EACH ROW EXECUTE FUNCTION refuse()"
        )
    pipeline = Pipeline(
        exchange.settings,
        database=exchange.database,
        store=exchange.repository,
        engine=exchange.engine,
        clock=CLOCK,
    )
    pipeline.process([received(ADT.format(1))])
    (found,) = pending(exchange.database)
    assert found["status"] >= 400
    assert "patients" not in found
