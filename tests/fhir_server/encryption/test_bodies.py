"""Bodies at rest: sealed with the patient's key, bound to their place, opened on every way out."""

from pathlib import Path

import pytest

from fhir_server.store.content import canonical, content, digest_of
from hie import wiring
from hie.core.crypto.envelope import key_id_of
from hie.core.crypto.text_cipher import SEALED
from hie.core.errors import ConfigurationError
from hie.core.security_errors import CiphertextError, KeyDestroyedError
from tests.fhir_server.encryption.conftest import observation, patient, put, settings_of


def raw(exchange: wiring.Exchange, identity: str) -> list[bytes]:
    """Return the bodies of a resource as they are stored, superseded ones first."""
    with exchange.database.reading() as transaction:
        rows = transaction.connection.execute(
            "SELECT h.version, h.body FROM resource r JOIN resource_history h USING (rid) WHERE r.id = %s"
            " UNION ALL SELECT version, body FROM resource WHERE id = %s ORDER BY 1",
            (identity, identity),
        ).fetchall()
    return [body for _, body in rows]


def scope(exchange: wiring.Exchange, identity: str) -> str:
    """Return whose key the current version is sealed with."""
    with exchange.database.reading() as transaction:
        (found,) = transaction.connection.execute(
            "SELECT scope FROM data_key WHERE id = %s", (key_id_of(raw(exchange, identity)[-1]),)
        ).fetchone() or ("",)
    return str(found)


def text(exchange: wiring.Exchange, kind: str, identity: str, version: int | None = None) -> str:
    """Return a version as the repository gives it."""
    with exchange.database.reading() as transaction:
        if version is None:
            stored = exchange.repository.read(transaction, kind, identity)
        else:
            stored = exchange.repository.vread(transaction, kind, identity, version)
    return (stored.body or b"").decode()


def test_nothing_of_a_body_is_read_where_it_is_stored(exchange: wiring.Exchange) -> None:
    put(exchange, patient("a", "Canary"))
    put(exchange, patient("a", "Canary2"))
    bodies = raw(exchange, "a")
    assert len(bodies) == 2
    assert all(
        body.startswith(SEALED) and b"Canary" not in body and b"Patient" not in body for body in bodies
    )
    assert '"family":"Canary2"' in text(exchange, "Patient", "a")
    assert '"family":"Canary"' in text(exchange, "Patient", "a", 1)


def test_body_goes_with_the_key_of_the_one_patient_it_is_about(exchange: wiring.Exchange) -> None:
    put(exchange, patient("b"), patient("c"))
    put(exchange, observation("of-b", "b"), observation("of-both", "b", "c"), observation("of-none"))
    organization = {"resourceType": "Organization", "id": "org", "name": "Hospital"}
    put(exchange, organization)
    assert [scope(exchange, each) for each in ("b", "of-b", "of-both", "of-none", "org")] == [
        "Patient/b",
        "Patient/b",
        "system",
        "system",
        "system",
    ]
    put(exchange, observation("of-b", "c"))
    assert scope(exchange, "of-b") == "Patient/c"


def test_every_way_of_reading_gives_what_was_stored(exchange: wiring.Exchange) -> None:
    put(exchange, patient("d", "Way"), observation("of-d", "d", value="value of d"))
    put(exchange, patient("d", "Way"), observation("of-d", "d", value="another value of d"))
    repository = exchange.repository
    with exchange.database.reading() as transaction:
        found = repository.search(transaction, "Observation", [("subject", "Patient/d"), ("_include", "*")])
        history = repository.history(transaction, "Observation", "of-d", count=10)
        both = repository.read_all(transaction, [("Patient", "d"), ("Observation", "of-d")])
        sorted_ = repository.search(transaction, "Observation", [("subject", "Patient/d"), ("_sort", "_id")])
        matched = repository.search(transaction, "Patient", [("identifier", "urn:oid:1.2|MR-d")])
    assert [b"another value of d" in (each.resource.body or b"") for each in found.entries] == [True, False]
    assert [b"another value" in (each.resource.body or b"") for each in history.entries] == [True, False]
    assert all((each.body or b"").startswith(b'{"resourceType"') for each in both)
    assert [each.resource.id for each in sorted_.entries] == ["of-d"]
    assert [each.resource.id for each in matched.entries] == ["d"]


def test_update_that_changes_nothing_makes_no_version(exchange: wiring.Exchange) -> None:
    put(exchange, patient("e"))
    (result,) = put(exchange, patient("e"))
    assert [entry.is_changed for entry in result.entries] == [False]
    assert len(raw(exchange, "e")) == 1


def test_conditional_update_finds_the_resource_by_its_identifier(exchange: wiring.Exchange) -> None:
    put(exchange, patient("f"))
    changed = {name: value for name, value in patient("f", "Changed").items() if name != "id"}
    request = {"method": "PUT", "url": "Patient?identifier=urn:oid:1.2|MR-f"}
    entry = {"resource": changed, "request": request}
    with exchange.database.transaction() as transaction:
        (result,) = exchange.repository.transact(
            transaction, [{"resourceType": "Bundle", "type": "transaction", "entry": [entry]}]
        )
    assert [(each.id, each.version) for each in result.entries] == [("f", 2)]
    assert "Changed" in text(exchange, "Patient", "f")


def test_body_that_was_moved_to_another_row_does_not_open(exchange: wiring.Exchange) -> None:
    put(exchange, patient("g"), patient("h"))
    with exchange.database.transaction() as transaction:
        transaction.connection.execute(
            "UPDATE resource SET body = o.body FROM resource o WHERE resource.id = 'g' AND o.id = 'h'"
        )
    with pytest.raises(CiphertextError, match="Patient/g"):
        text(exchange, "Patient", "g")
    with exchange.database.reading() as transaction, pytest.raises(CiphertextError):
        exchange.repository.search(transaction, "Patient", [("_id", "g,h")])


def test_superseded_body_in_the_place_of_the_current_one_does_not_open(exchange: wiring.Exchange) -> None:
    put(exchange, patient("i", "Old"))
    put(exchange, patient("i", "New"))
    with exchange.database.transaction() as transaction:
        transaction.connection.execute(
            "UPDATE resource r SET body = h.body FROM resource_history h WHERE h.rid = r.rid AND r.id = 'i'"
        )
    with pytest.raises(CiphertextError):
        text(exchange, "Patient", "i")


def test_body_whose_key_was_destroyed_cannot_be_read(exchange: wiring.Exchange) -> None:
    put(exchange, patient("j"), observation("of-j", "j"))
    with exchange.database.transaction() as transaction:
        assert exchange.keys.destroy(transaction, "Patient/j") == 1
    with pytest.raises(KeyDestroyedError):
        text(exchange, "Observation", "of-j")


def test_process_that_does_not_encrypt_reads_what_others_encrypted(
    exchange: wiring.Exchange, plain: wiring.Exchange
) -> None:
    put(exchange, patient("k", "Sealed"))
    assert '"family":"Sealed"' in text(plain, "Patient", "k")
    put(plain, patient("k", "Plain"))
    assert [body[:1] for body in raw(exchange, "k")] == [SEALED, b"{"]
    assert '"family":"Plain"' in text(exchange, "Patient", "k")
    assert '"family":"Sealed"' in text(exchange, "Patient", "k", 1)


def test_process_without_keys_says_so(exchange: wiring.Exchange) -> None:
    put(exchange, patient("l"))
    cipher, exchange.database.cipher = exchange.database.cipher, None
    try:
        with pytest.raises(ConfigurationError, match="no keys"):
            text(exchange, "Patient", "l")
    finally:
        exchange.database.cipher = cipher


def test_content_is_compared_across_processes_that_encrypt_and_that_do_not(
    exchange: wiring.Exchange, plain: wiring.Exchange
) -> None:
    put(exchange, patient("m"))
    assert [entry.is_changed for entry in put(plain, patient("m"))[0].entries] == [False]
    put(plain, patient("n"))
    assert [entry.is_changed for entry in put(exchange, patient("n"))[0].entries] == [False]
    with exchange.database.reading() as transaction:
        digests = transaction.connection.execute(
            "SELECT digest FROM resource WHERE id IN ('m', 'n') ORDER BY id"
        ).fetchall()
    assert [len(digest) for (digest,) in digests] == [17, 16]
    unkeyed = digest_of(canonical(content(patient("m"), "m")))
    assert digests[0][0][1:] != unkeyed


def test_process_with_other_keys_cannot_read(exchange: wiring.Exchange, url: str, tmp_path: Path) -> None:
    put(exchange, patient("q"))
    with (
        wiring.build(settings_of(tmp_path), database_url=url) as stranger,
        pytest.raises(ConfigurationError, match="key"),
    ):
        text(stranger, "Patient", "q")


def test_body_that_is_damaged_does_not_open(exchange: wiring.Exchange) -> None:
    put(exchange, patient("s"))
    with exchange.database.transaction() as transaction:
        transaction.connection.execute(
            "UPDATE resource SET body = set_byte(body, n, get_byte(body, n) # 1)"
            " FROM (SELECT length(body) - 1 AS n FROM resource WHERE id = 's') AS l WHERE id = 's'"
        )
    with pytest.raises(CiphertextError, match="Patient/s"):
        text(exchange, "Patient", "s")
