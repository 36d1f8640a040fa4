"""Texts of a patient are looked for in every column of a used database: they stand where it is said only."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from psycopg import sql

from fhir_server.operations import own_definitions
from hie import wiring
from hie.core.fhir.json import JsonObject
from hie.worker import deliver_all
from hl7_gateway.conveyor import Received
from hl7_gateway.pipeline import Pipeline
from tests.fhir_server.encryption.conftest import put, settings_of

NAME = "金丝雀甲"
FAMILY = "Kanarienvogel"
CARD = "410102198003071231"
PHONE = "13900008731"
STREET = "丝雀路八十七号"
NOTE = "kanariengesang"
CODE = "K17-kanarie"
CANARIES = (NAME, FAMILY, CARD, PHONE, STREET, NOTE, CODE)

# What is not encrypted, as docs/security.md lists it: the index, for searches by beginning, part, order,
# words and sound.
CLEAR: Mapping[tuple[str, str], frozenset[str]] = {
    ("ix_string", "norm"): frozenset({NAME, FAMILY, STREET, NOTE}),
    ("ix_string", "exact"): frozenset({NAME, FAMILY, STREET, NOTE}),
    ("ix_composite", "norm"): frozenset({NOTE}),
    ("ix_token", "code"): frozenset({CODE, CARD, PHONE, NAME, FAMILY}),
    ("ix_text", "words"): frozenset({FAMILY, NOTE, CARD, PHONE, CODE, NAME, STREET}),
}

ADT = (
    "MSH|^~\\&|HIS|H1|HIE|CITY|20261122083000||{type}|{id}|P|2.5|||||CHN|UNICODE UTF-8\r"
    "EVN|A01|20261122083000\r"
    f"PID|1||{CARD}^^^H1^MR||{NAME}^{FAMILY}||{{birth}}|M|||{STREET}^^郑州||{PHONE}\r"
    "PV1|1|I|内科^301^02||||||||||||||||V1\r"
    f"NK1|1|{NAME}^{FAMILY}|FTH|{STREET}|{PHONE}\r"
    f"ZZZ|{NOTE}\r"
)
PATIENT: JsonObject = {
    "resourceType": "Patient",
    "id": "canary",
    "identifier": [{"system": "urn:oid:2.16.156.1", "value": CARD}],
    "name": [{"family": FAMILY, "text": NAME}],
    "telecom": [{"system": "phone", "value": PHONE}],
    "address": [{"line": [STREET]}],
    "contact": [{"name": {"text": NAME}}],
}
OBSERVATION: JsonObject = {
    "resourceType": "Observation",
    "id": "canary",
    "status": "final",
    "code": {"coding": [{"system": "urn:codes", "code": CODE}], "text": NOTE},
    "subject": {"reference": "Patient/canary"},
    "valueString": NOTE,
    "note": [{"text": f"{NOTE} of {FAMILY}"}],
}


@pytest.fixture(scope="module")
def used(url: str, folder: Path) -> Iterator[wiring.Exchange]:
    """A database that server, gateway and worker have used with encryption and audit trail on."""
    settings = settings_of(folder).model_copy(update={"audit": "on", "audit_folder": folder / "audit"})
    with wiring.build(settings, database_url=url) as exchange:
        with exchange.database.transaction() as transaction:
            own_definitions.publish(exchange.repository, transaction)
        put(exchange, PATIENT, OBSERVATION)
        put(exchange, {**PATIENT, "gender": "male"}, {**OBSERVATION, "status": "amended"})
        pipeline = Pipeline(
            settings,
            database=exchange.database,
            store=exchange.repository,
            engine=exchange.engine,
            clock=exchange.clock,
        )
        messages = [
            ADT.format(type="ADT^A01^ADT_A01", id="1", birth="19800307"),
            ADT.format(type="ADT^A01^ADT_A01", id="2", birth=NOTE),
            ADT.format(type="ADT^Z99", id="3", birth="19800307"),
            f"MSH|^~\\&|HIS|H1|HIE|CITY|20261122083000||ADT^A01|4|P|2.5\rPID|{NAME}",
        ]
        now = exchange.clock.now()
        answers = pipeline.process([Received(message.encode(), now) for message in messages])
        assert [b"MSA|AA|1" in answers[0], b"MSA|AA" in answers[2]] == [True, False]
        deliver_all(exchange)
        words = exchange.words_indexer()
        assert words is not None
        while words.work_one():
            pass
        yield exchange


def found(exchange: wiring.Exchange) -> dict[tuple[str, str], set[str]]:
    """Return (table, column) -> the canaries that its values hold, whatever their types."""
    places: dict[tuple[str, str], set[str]] = {}
    with exchange.database.reading() as transaction:
        connection = transaction.connection
        columns = connection.execute(
            "SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c"
            " JOIN information_schema.tables t USING (table_schema, table_name)"
            " WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE'"
            " AND c.data_type NOT IN ('bigint', 'integer', 'smallint', 'boolean', 'numeric')"
        ).fetchall()
        for table, column, kind in columns:
            for canary in CANARIES:
                text = sql.SQL("position({} IN {}) > 0" if kind == "bytea" else "strpos({1}::text, {0}) > 0")
                condition = text.format(
                    sql.Literal(canary.encode() if kind == "bytea" else canary), sql.Identifier(column)
                )
                statement = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE {})").format(
                    sql.Identifier(table), condition
                )
                if kind != "bytea":
                    folded = sql.SQL("strpos(lower({}::text), {}) > 0").format(
                        sql.Identifier(column), sql.Literal(canary.lower())
                    )
                    statement = sql.SQL("SELECT EXISTS (SELECT FROM {} WHERE {} OR {})").format(
                        sql.Identifier(table), condition, folded
                    )
                if connection.execute(statement).fetchone() == (True,):
                    places.setdefault((table, column), set()).add(canary)
    return places


def test_texts_of_a_patient_stand_in_the_clear_where_it_is_said_only(used: wiring.Exchange) -> None:
    for place, canaries in found(used).items():
        assert canaries <= CLEAR.get(place, frozenset()), place


def test_what_is_searched_for_is_there_to_be_found(used: wiring.Exchange) -> None:
    with used.database.reading() as transaction:
        connection = transaction.connection
        counts = connection.execute(
            "SELECT (SELECT count(*) FROM journal WHERE is_sealed), (SELECT count(*) FROM journal"
            " WHERE error IS NOT NULL), (SELECT count(*) FROM audit_pending) > 0"
        ).fetchone()
        patients = used.repository.search(transaction, "Patient", [("family", FAMILY)])
        by_words = used.repository.search(transaction, "Observation", [("_content", NOTE)])
    assert counts is not None
    assert counts[0] == 4
    assert counts[1] >= 2
    assert counts[2]
    assert [FAMILY in (each.resource.body or b"").decode() for each in patients.entries] == [True]
    assert [each.resource.id for each in by_words.entries] == ["canary"]
    assert found(used)["ix_string", "norm"]
