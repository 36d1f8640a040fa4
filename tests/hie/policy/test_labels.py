"""Codes of sensitive classes label what carries them, whichever way it is stored, and whoever reads obeys."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from hie import wiring
from hie.core.access import SYSTEM, Role
from hie.core.clock import SystemClock
from hie.core.fhir.json import JsonObject, dumps, loads
from hie.core.settings import Settings
from hie.policy.label_spread import relabel
from hie.worker import deliver_all
from hl7_gateway.er7.reader import read as read_message
from tests.fhir_server.bad_input.api import Client
from tests.hie.policy.city import ACT_CODE, CLINICIAN, COLLEAGUE, HOSPITAL, person, put
from tests.hie.policy.conftest import As, serving
from tests.hl7_gateway.convert.conftest import RECEIVED, SENDER, header

ICD = "http://hl7.org/fhir/sid/icd-10"
RESTRICTED = ("http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "R")
HIV = (ACT_CODE, "HIV")
OFFICER = person(Role.SECURITY_OFFICER, id="a-9")


def condition(code: str, name: str = "new", system: str = ICD) -> JsonObject:
    return {
        "resourceType": "Condition",
        "id": name,
        "code": {"coding": [{"system": system, "code": code}]},
        "subject": {"reference": "Patient/x"},
    }


def labels(resource: JsonObject) -> set[tuple[str, str]]:
    return {(each["system"], each["code"]) for each in resource.get("meta", {}).get("security", ())}


@pytest.fixture(scope="module")
def served(looking_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[As]:
    """A client for each requester, on a database of this module."""
    with ExitStack() as opened:
        yield serving(opened, looking_url, tmp_path_factory.mktemp("var"))


def create(client: Client) -> str:
    answer = client.post("/fhir/Condition", dumps(condition("B24")))
    assert answer.status_code == 201, answer.text
    return f"Condition/{answer.json()['id']}"


def update(client: Client) -> str:
    assert client.put("/fhir/Condition/by-put", dumps(condition("B24", "by-put"))).status_code == 201
    return "Condition/by-put"


def change(client: Client) -> str:
    client.put("/fhir/Condition/by-patch", dumps(condition("J00", "by-patch")))
    patch = [{"op": "replace", "path": "/code/coding/0/code", "value": "B24"}]
    headers = {"content-type": "application/json-patch+json"}
    answer = client.request("PATCH", "/fhir/Condition/by-patch", content=dumps(patch), headers=headers)
    assert answer.status_code == 200, answer.text
    return "Condition/by-patch"


def transaction(client: Client) -> str:
    assert client.post("/fhir", dumps(put(condition("B24", "by-bundle")))).status_code == 200
    return "Condition/by-bundle"


def batch(client: Client) -> str:
    bundle = {**put(condition("B24", "by-batch")), "type": "batch"}
    assert client.post("/fhir", dumps(bundle)).json()["entry"][0]["response"]["status"].startswith("201")
    return "Condition/by-batch"


WAYS: Mapping[str, Callable[[Client], str]] = {
    "create": create,
    "update": update,
    "patch": change,
    "transaction": transaction,
    "batch": batch,
}


@pytest.mark.parametrize("way", WAYS)
def test_a_sensitive_code_labels_what_is_stored_by_any_interaction(served: As, way: str) -> None:
    name = WAYS[way](served(HOSPITAL))
    stored = served(SYSTEM).get(f"/fhir/{name}").json()
    assert labels(stored) == {HIV, RESTRICTED}
    assert served(CLINICIAN).get(f"/fhir/{name}").status_code == 200
    assert served(COLLEAGUE).get(f"/fhir/{name}").status_code == 404
    found = served(COLLEAGUE).get("/fhir/Condition?_count=200").text
    assert name.partition("/")[2] not in found


READS = [
    "Observation/t",
    "Observation/t/_history",
    "Observation/t/_history/1",
    "Observation/_history?_count=100",
    "Observation?_id=t",
    "Observation?patient=Patient/x&_count=100",
    "Observation?code=31201-7",
    "Observation?code:text=CAN",
    "DiagnosticReport?_id=t&_include=DiagnosticReport:result",
    "DiagnosticReport/t",
    "Patient/x/Observation?_count=100",
    "Observation/$lastn?patient=Patient/x&code=31201-7",
    '$graphql?query={ObservationList(_id:"t"){id code{text}}}',
]

# Statements over all types of a record, which take a second each.
LONG_READS = [
    "_history?_count=100",
    "Patient?_id=x&_revinclude=Observation:patient",
    "Patient/x/*?_count=100",
    "Patient/x/$everything?_count=100",
    "Encounter/e-x/$everything?_count=100",
    "?_type=Observation,DiagnosticReport&_count=100",
]


@pytest.mark.parametrize("paths", [READS, pytest.param(LONG_READS, marks=pytest.mark.full)], ids=len)
def test_what_codes_made_sensitive_is_shown_by_no_way_but_to_who_is_cleared(
    served: As, paths: list[str]
) -> None:
    about = {
        "status": "final",
        "subject": {"reference": "Patient/x"},
        "encounter": {"reference": "Encounter/e-x"},
    }
    test = {"coding": [{"system": "http://loinc.org", "code": "31201-7"}], "text": "CANARY"}
    report = {"code": {"text": "CANARY"}, "result": [{"reference": "Observation/t"}]}
    given = put(
        {"resourceType": "DiagnosticReport", "id": "t", **about, **report},
        {"resourceType": "Observation", "id": "t", **about, "code": test, "effectiveDateTime": "2026-11-01"},
    )
    assert served(HOSPITAL).post("/fhir", dumps(given)).status_code == 200
    for path in paths:
        assert "CANARY" not in served(COLLEAGUE).get(f"/fhir/{path}").text, path
        assert "CANARY" in served(CLINICIAN).get(f"/fhir/{path}").text, path


def exchange(url: str, folder: Path, **settings: object) -> wiring.Exchange:
    given = Settings(var_dir=folder, audit_folder=folder / "audit", **settings)  # type: ignore[arg-type] # whatever the settings take
    clock = SystemClock()
    return wiring.build(given, database_url=url, access=wiring.policy(given, clock), clock=clock)


def read(made: wiring.Exchange, name: str) -> JsonObject:
    with made.database.reading() as reading:
        found: JsonObject = loads(made.repository.read(reading, *name.split("/")).body or b"")
        return found


def store(made: wiring.Exchange, *resources: JsonObject) -> None:
    with made.database.transaction() as transaction:
        (result,) = made.repository.transact(transaction, [put(*resources)])
        assert result.error is None, result.error


def test_a_sensitive_code_labels_what_is_imported(database_url: str, tmp_path: Path) -> None:
    with exchange(database_url, tmp_path) as made:
        store(made, {"resourceType": "Patient", "id": "x"})
        line = dumps(condition("F10.2", "by-import"))
        for created, unchanged in ((1, 0), (0, 1)):
            result = made.imports.own.store([(1, line)], requester=SYSTEM)
            assert (result.created, result.unchanged, result.failures) == (created, unchanged, [])
        assert {(ACT_CODE, "SUD"), RESTRICTED} < labels(read(made, "Condition/by-import"))


def test_a_sensitive_code_labels_what_a_message_says(database_url: str, tmp_path: Path) -> None:
    message = f"{header()}\rPID|1||77^^^ZZ1H^MR\rPV1|1|O|||||||||||||||||V1\rDG1|1||B24^HIV^I10|||F\r"
    with exchange(database_url, tmp_path) as made:
        converted = made.engine.convert(read_message(message.encode()), SENDER, received=RECEIVED)
        for _ in range(2):
            with made.database.transaction() as transaction:
                (result,) = made.repository.transact(transaction, [converted.bundle])
                assert result.error is None, result.error
        (found,) = (each for each in result.entries if each.type == "Condition")
        assert labels(read(made, f"Condition/{found.id}")) == {HIV, RESTRICTED}
        assert not any(each.is_changed for each in result.entries)


def test_what_is_stored_is_kept_byte_for_byte_but_for_its_labels(database_url: str, tmp_path: Path) -> None:
    given = {
        "resourceType": "Condition",
        "id": "new",
        "meta": {
            "tag": [{"system": "urn:x", "code": "y"}],
            "security": [{"system": "urn:own", "code": "VIP"}],
        },
        **condition("B24"),
        "onsetAge": {"value": 1.50, "unit": "a"},
    }
    text = dumps(given)
    with exchange(database_url, tmp_path) as made:
        store(made, {"resourceType": "Patient", "id": "x"}, loads(text))
        stored = read(made, "Condition/new")
        assert stored["meta"]["security"] == [
            {"system": "urn:own", "code": "VIP"},
            *({"system": system, "code": code} for system, code in (HIV, RESTRICTED)),
        ]
        stored["meta"] = given["meta"]
        assert dumps(stored) == text


def test_the_same_content_again_makes_no_version(database_url: str, tmp_path: Path) -> None:
    with exchange(database_url, tmp_path) as made:
        store(made, {"resourceType": "Patient", "id": "x"})
        for _ in range(2):
            store(made, condition("B24"))
        assert read(made, "Condition/new")["meta"]["versionId"] == "1"


def test_a_client_lowers_no_label_by_any_write(acting: As) -> None:
    hospital, officer = acting(HOSPITAL), acting(OFFICER)
    label = {"system": ACT_CODE, "code": "SDV"}
    meta = {"resourceType": "Parameters", "parameter": [{"name": "meta", "valueMeta": {"security": [label]}}]}
    acting(SYSTEM).put("/fhir/Condition/c", dumps(condition("B24", "c")))
    acting(SYSTEM).post("/fhir/Condition/c/$meta-add", dumps(meta))
    kept = {HIV, RESTRICTED, (ACT_CODE, "SDV")}
    # corrected to a code that is not sensitive: earlier versions still say what it was
    assert hospital.put("/fhir/Condition/c", dumps(condition("J00", "c"))).status_code == 200
    patch = [{"op": "remove", "path": "/meta/security"}]
    headers = {"content-type": "application/json-patch+json"}
    hospital.request("PATCH", "/fhir/Condition/c", content=dumps(patch), headers=headers)
    assert labels(acting(SYSTEM).get("/fhir/Condition/c").json()) == kept
    assert hospital.post("/fhir/Condition/c/$meta-delete", dumps(meta)).status_code == 403
    assert officer.post("/fhir/Condition/c/$meta-delete", dumps(meta)).status_code in (403, 404)
    assert labels(acting(SYSTEM).get("/fhir/Condition/c").json()) == kept
    assert acting(SYSTEM).post("/fhir/Condition/c/$meta-delete", dumps(meta)).status_code == 200
    assert labels(acting(SYSTEM).get("/fhir/Condition/c").json()) == kept - {(ACT_CODE, "SDV")}


def derived(name: str = "m") -> list[JsonObject]:
    """Return a prescription for the Condition and its dispense, the last first."""
    medicine = {"medicationCodeableConcept": {"text": "片"}, "subject": {"reference": "Patient/x"}}
    return [
        {
            "resourceType": "MedicationDispense",
            "id": name,
            "status": "completed",
            "authorizingPrescription": [{"reference": f"MedicationRequest/{name}"}],
            **medicine,
        },
        {
            "resourceType": "MedicationRequest",
            "id": name,
            "status": "active",
            "intent": "order",
            "reasonReference": [{"reference": "Condition/new"}],
            **medicine,
        },
    ]


@pytest.mark.parametrize("is_together", [True, False], ids=["one Bundle", "later"])
def test_what_is_derived_from_labelled_resources_has_their_labels(
    database_url: str, tmp_path: Path, *, is_together: bool
) -> None:
    with exchange(database_url, tmp_path) as made:
        store(made, {"resourceType": "Patient", "id": "x"})
        if is_together:
            store(made, *derived(), condition("B24"))
        else:
            store(made, condition("B24"))
            store(made, *derived())
        for kind in ("MedicationRequest", "MedicationDispense"):
            assert labels(read(made, f"{kind}/m")) == {HIV, RESTRICTED}
        store(made, *derived())
        assert read(made, "MedicationRequest/m")["meta"]["versionId"] == "1"


def test_what_was_derived_before_its_source_was_labelled_follows(database_url: str, tmp_path: Path) -> None:
    with exchange(database_url, tmp_path) as made:
        store(made, {"resourceType": "Patient", "id": "x"}, condition("J00"), *derived())
        deliver_all(made)
        assert labels(read(made, "MedicationDispense/m")) == set()
        store(made, condition("B24"))
        deliver_all(made)
        for kind in ("MedicationRequest", "MedicationDispense"):
            assert labels(read(made, f"{kind}/m")) == {HIV, RESTRICTED}


def test_a_table_that_changed_labels_what_was_stored_before(database_url: str, tmp_path: Path) -> None:
    own = tmp_path / "labels.yaml"
    own.write_text(
        "rules:\n"
        "  - {name: local, system: 'urn:local', codes: [XK], labels: [ActCode|STD]}\n"
        "  - {name: hiv, system: icd-10, codes: [], labels: [ActCode|HIV]}\n",
        encoding="utf-8",
    )
    old = condition("XK-1", "local", "urn:local")
    with exchange(database_url, tmp_path) as made:
        store(made, {"resourceType": "Patient", "id": "x"}, old, condition("B24"), condition("J00", "plain"))
    with exchange(database_url, tmp_path, label_rules=own) as made:
        noted: list[tuple[str, int, int]] = []
        for _ in range(2):
            relabel(
                made.database,
                made.repository,
                made.labelling,
                made.label_spread,
                ["Condition"],
                lambda *each: noted.append(each),
            )
        assert noted == [("Condition", 3, 1), ("Condition", 3, 0)]
        assert labels(read(made, "Condition/local")) == {(ACT_CODE, "STD")}
        assert labels(read(made, "Condition/new")) == {HIV, RESTRICTED}
        assert read(made, "Condition/plain")["meta"]["versionId"] == "1"
        store(made, condition("B24", "after"))
        assert labels(read(made, "Condition/after")) == set()
