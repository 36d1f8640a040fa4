"""Receipts of consents: made of every Consent given and withdrawn, in the fields of the standards, signed."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from hie.core.fhir.json import JsonObject, dumps, loads
from hie.rights.receipts import Controller, as_kantara, event_of, receipt_of
from hie.rights.signing import Receipt, receipts_of
from hie.worker import deliver_all
from tests.conftest import fresh_database
from tests.hie.rights.city import NOW, Town, town

CONTROLLER = Controller(
    "某平台", "某人", "某地", "a@hie.example", "", "http://hie.example", "http://n.example"
)

# Fields that a record of ISO/IEC TS 27560:2023 needs (https://w3id.org/dpv/guides/consent-27560, mappings).
RECORD = {"schema_version", "receipt_id", "record_id", "pii_principal_id", "pii_processing"}
PURPOSE = {
    "purpose",
    "pii_information",
    "pii_controllers",
    "storage_locations",
    "retention_period",
    "jurisdiction",
    "withdrawal_method",
}
PARTY = {"party_id", "party_address", "party_name"}
# Kantara Consent Receipt 1.1.0 (https://hackmd.io/@VNeqf5SwTyOuKC03vs0EIw/BkRgJ-8rD).
KANTARA = {
    "version",
    "jurisdiction",
    "consentTimestamp",
    "collectionMethod",
    "consentReceiptID",
    "publicKey",
    "language",
    "piiPrincipalId",
    "piiControllers",
    "policyUrl",
    "services",
    "sensitive",
    "spiCat",
}


def consent(status: str = "active", **elements: object) -> JsonObject:
    return {
        "resourceType": "Consent",
        "id": "k1",
        "status": status,
        "scope": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/consentscope",
                    "code": "patient-privacy",
                }
            ]
        },
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": "Patient/x"},
        "dateTime": "2026-03-04",
        "policyRule": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTIN"}]
        },
        "provision": {
            "type": "permit",
            "period": {"start": "2026-03-04", "end": "2027-03-04"},
            "purpose": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "TREAT"}],
            "class": [{"system": "http://hl7.org/fhir/resource-types", "code": "Observation"}],
            "actor": [
                {
                    "role": {"text": "recipient"},
                    "reference": {"reference": "Organization/h-y", "display": "医院"},
                }
            ],
        },
        **elements,
    }


def receipt(found: JsonObject) -> JsonObject:
    event = event_of(found)
    assert event is not None
    return receipt_of(
        found, event, receipt="r-1", reference="Consent/k1/_history/1", at=NOW, controller=CONTROLLER
    )


def test_a_receipt_has_the_fields_that_the_standard_demands() -> None:
    made = receipt(consent())
    assert made.keys() >= RECORD
    assert {"privacy_notice", "language", "purposes"} <= made["pii_processing"].keys()
    (purpose,) = made["pii_processing"]["purposes"]
    assert purpose.keys() >= {*PURPOSE, "recipient_third_parties"}
    assert all(each.keys() >= PARTY for each in made["party_identification"])
    (event,) = made["event"]
    assert event == {
        "event_time": NOW.isoformat(),
        "validity_duration": "2026-03-04/2027-03-04",
        "entity_id": "Patient/x",
        "event_type": "explicit",
        "event_state": "given",
    }


def test_nested_provisions_are_purposes_of_their_own() -> None:
    nested = consent()
    nested["provision"]["provision"] = [{"type": "deny", "purpose": [{"code": "HRESCH"}]}]
    made = receipt(nested)
    assert [(each["purpose"], each["provision_type"]) for each in made["pii_processing"]["purposes"]] == [
        ("TREAT", "permit"),
        ("HRESCH", "deny"),
    ]


def test_the_same_receipt_as_kantara_has_it() -> None:
    made = as_kantara(receipt(consent()), "04ab")
    assert made.keys() == KANTARA
    assert (made["version"], made["consentTimestamp"]) == ("KI-CR-v1.1.0", int(NOW.timestamp()))
    (service,) = made["services"]
    (purpose,) = service["purposes"]
    assert purpose["thirdPartyName"] == "医院"
    assert purpose["consentType"] == "EXPLICIT"


@pytest.mark.parametrize(
    ("found", "event"),
    [
        (consent(), "given"),
        (consent("inactive"), "withdrawn"),
        (consent("rejected"), "refused"),
        (consent("entered-in-error"), "terminated"),
        (consent("draft"), None),
        (consent(provision={"type": "deny"}), "refused"),
        (consent(provision={}, policyRule={"coding": [{"code": "OPTOUT"}]}), "refused"),
        (None, "withdrawn"),
    ],
    ids=["given", "withdrawn", "rejected", "in error", "draft", "denied", "opted out", "deleted"],
)
def test_what_a_version_of_a_consent_does(found: JsonObject | None, event: str | None) -> None:
    assert event_of(found) == event


@pytest.fixture(scope="module", params=["international", "national"])
def chartered(
    server_url: str, template: str, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Town]:
    """A town of either suite."""
    folder: Path = tmp_path_factory.mktemp("var")
    with (
        fresh_database(server_url, template) as url,
        town(url, folder, crypto=request.param, key_folder=folder / "keys") as opened,
    ):
        # events are due by the database's clock
        opened.clock.time = datetime.now(UTC) + timedelta(days=1)
        yield opened


def write(city: Town, method: str, found: JsonObject) -> None:
    request = {"method": method, "url": f"Consent/{found['id']}"}
    entry = {"request": request} if method == "DELETE" else {"request": request, "resource": found}
    with city.exchange.database.transaction() as transaction:
        (result,) = city.exchange.repository.transact(
            transaction, [{"resourceType": "Bundle", "type": "transaction", "entry": [entry]}]
        )
        assert result.error is None, result.error


def receipts(city: Town) -> list[Receipt]:
    with city.exchange.database.transaction() as transaction:
        return receipts_of(transaction, "x")


def test_every_consent_given_and_withdrawn_gets_one_signed_receipt(chartered: Town) -> None:
    city = chartered
    write(city, "PUT", consent("draft"))
    write(city, "PUT", consent())
    write(city, "PUT", consent("inactive"))
    deliver_all(city.exchange)
    deliver_all(city.exchange)
    assert [(each.event, each.version) for each in sorted(receipts(city), key=_version, reverse=True)] == [
        ("withdrawn", 3),
        ("given", 2),
    ]
    write(city, "PUT", consent())
    write(city, "DELETE", consent())
    deliver_all(city.exchange)
    found = sorted(receipts(city), key=_version)
    assert [(each.event, each.version) for each in found] == [
        ("given", 2),
        ("withdrawn", 3),
        ("given", 4),
        ("withdrawn", 5),
    ]
    assert all(each.is_genuine for each in found)
    assert len({each.key for each in found}) == 1
    body = loads(found[0].body)
    assert body["record_id"] == "Consent/k1/_history/2"
    assert body["receipt_id"] == str(found[0].id)


def test_a_receipt_that_was_changed_is_not_genuine(chartered: Town) -> None:
    city = chartered
    write(city, "PUT", {**consent(), "id": "k2"})
    deliver_all(city.exchange)
    found = receipts(city)[0]
    assert found.is_genuine
    other = dumps({**loads(found.body), "pii_principal_id": "Patient/y"})
    assert not replace(found, body=other).is_genuine
    assert not replace(found, signature=bytes(64)).is_genuine
    with city.exchange.database.transaction() as transaction:
        row = transaction.connection.execute("SELECT private, public FROM rights_key").fetchone()
    assert row is not None
    assert len(row[0]) > 32  # sealed: the envelope is longer than the key


def test_what_was_never_given_is_not_withdrawn(chartered: Town) -> None:
    city = chartered
    write(city, "PUT", {**consent("draft"), "id": "k3"})
    write(city, "PUT", {**consent("inactive"), "id": "k3"})
    deliver_all(city.exchange)
    assert [each for each in receipts(city) if each.consent == "k3"] == []


def _version(each: Receipt) -> tuple[str, int]:
    return each.consent, each.version
