"""What a resource can be found by: every parameter compiles, every kind of value gives its rows."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from fhir_server.definitions.elements import required_of, summary_of, system_of
from fhir_server.definitions.resource_types import R4_RESOURCE_TYPES
from fhir_server.definitions.search_parameters import load_registry, type_number
from fhir_server.index.hashing import NO_CODE, NO_SYSTEM, hash32, hash64, param_id
from fhir_server.index.indexer import Indexer
from fhir_server.index.rows import COLUMNS, OPEN_END, UNBOUNDED_HIGH, UNBOUNDED_LOW
from hie.core.db.database import Database
from hie.core.fhir.json import JsonObject, loads
from tests.fhir_server.search import stored

SHANGHAI = ZoneInfo("Asia/Shanghai")


@pytest.fixture(scope="module")
def indexer() -> Indexer:
    return Indexer("http://hie.example/fhir/", SHANGHAI)


def _of(resource_type: str, code: str) -> int:
    return param_id(resource_type, code)


def test_numbers_of_search_parameters_and_what_is_derived_from_them_do_not_collide() -> None:
    names = [
        (resource_type, code + modifier)
        for resource_type in R4_RESOURCE_TYPES
        for code in load_registry().of(resource_type)
        for modifier in ("", ":identifier", ":of-type", ":contains", ":text", ":text:contains")
    ]
    numbers = {param_id(*name) for name in names}
    assert len(numbers) == len(set(names))
    assert all(0 < number < 2**31 for number in numbers)


def test_only_these_search_parameters_are_not_indexed(indexer: Indexer) -> None:
    refused = indexer.not_indexed()
    without_expression = {key for key, reason in refused.items() if key[1] in {"_content", "_query", "_text"}}
    assert {key[1] for key in without_expression} == {"_content", "_query", "_text"}
    assert set(refused) - without_expression == {
        ("DeviceDefinition", "classification"),
    }


def test_every_search_parameter_of_the_official_registry_is_in_ours(conformance_data: Path) -> None:
    bundle = loads((conformance_data / "fhir/r4-definitions/search-parameters.json").read_bytes())
    official = {
        (base, each["resource"]["code"], each["resource"]["type"])
        for each in bundle["entry"]
        for base in each["resource"]["base"]
        if base not in {"Resource", "DomainResource"}
    }
    ours = {
        (resource_type, each.code, each.type)
        for resource_type in R4_RESOURCE_TYPES
        for each in load_registry().of(resource_type).values()
    }
    assert official <= ours
    urls = {each.url for name in R4_RESOURCE_TYPES for each in load_registry().of(name).values()}
    assert urls == {each["resource"]["url"] for each in bundle["entry"]}
    assert len(urls) == 1_378
    assert {code for _, code, _ in ours - official} == {
        "_content",
        "_id",
        "_lastUpdated",
        "_profile",
        "_query",
        "_security",
        "_source",
        "_tag",
        "_text",
    }


def test_every_official_example_is_indexed_and_found_by_what_it_has(
    conformance_data: Path, indexer: Indexer
) -> None:
    codes: set[tuple[str, int]] = set()
    for file in sorted((conformance_data / "fhir/r4-examples").glob("*.json")):
        resource = loads(file.read_bytes())
        rows = indexer.index(resource)
        for name in COLUMNS:
            table = getattr(rows, name)
            assert len(table) == len(set(table)), f"{file.name} repeats rows of {name}"
            codes |= {(resource["resourceType"], row[0]) for row in table}
    # A parameter that no example has would prove nothing; most have one.
    assert len(codes) > 900


PATIENT = {
    "resourceType": "Patient",
    "id": "p",
    "identifier": [
        {
            "system": "http://card",
            "value": "1",
            "type": {"coding": [{"system": "http://v2", "code": "MR"}]},
        },
        {"system": "http://nothing"},
    ],
    "name": [{"family": "欧阳", "given": ["娜娜"], "text": "欧阳 娜娜"}, "not a name"],
    "telecom": [{"system": "phone", "value": "(0371) 66-66"}, {"system": "email", "value": "a-b@c"}],
    "gender": "female",
    "birthDate": "2000",
    "managingOrganization": {"reference": "http://hie.example/fhir/Organization/o/_history/2"},
}


def test_token_rows_hold_code_and_system(indexer: Indexer) -> None:
    rows = set(indexer.index(PATIENT).token)
    assert (_of("Patient", "identifier"), hash64("1"), hash32("http://card")) in rows
    assert (_of("Patient", "identifier"), NO_CODE, NO_SYSTEM) in rows
    assert (_of("Patient", "identifier:of-type"), hash64("MR|1"), hash32("http://v2")) in rows
    gender = hash32("http://hl7.org/fhir/administrative-gender")
    assert (_of("Patient", "gender"), hash64("female"), gender) in rows
    assert {row[1] for row in rows if row[0] == _of("Patient", "phone")} == {
        hash64("(0371) 66-66"),
        hash64("03716666"),
    }
    assert {row[1] for row in rows if row[0] == _of("Patient", "email")} == {hash64("a-b@c")}
    assert (_of("Patient", "deceased"), hash64("false"), NO_SYSTEM) in rows


def test_reference_rows_name_resources_of_this_server_by_type_and_id(indexer: Indexer) -> None:
    number = type_number("Organization")
    assert indexer.index(PATIENT).reference == [
        (_of("Patient", "organization"), hash64("Organization/o"), number)
    ]


@pytest.mark.parametrize(
    ("reference", "target", "resource_type"),
    [
        ("Patient/1", hash64("Patient/1"), "Patient"),
        ("Patient/1/_history/3", hash64("Patient/1"), "Patient"),
        ("http://hie.example/fhir/Patient/1", hash64("Patient/1"), "Patient"),
        ("http://hie.example/fhir2/Patient/1", hash64("http://hie.example/fhir2/Patient/1"), None),
        ("urn:oid:1.2.3", hash64("urn:oid:1.2.3"), None),
        ("#contained", hash64("#contained"), None),
        ("#", NO_CODE, None),
        ("Patient?identifier=1", NO_CODE, None),
        ("Nonsense/1", hash64("Nonsense/1"), None),
    ],
)
def test_reference_of_every_form_is_indexed(
    indexer: Indexer, reference: str, target: int, resource_type: str | None
) -> None:
    resource = {"resourceType": "Observation", "subject": {"reference": reference}}
    rows = [row for row in indexer.index(resource).reference if row[0] == _of("Observation", "subject")]
    number = None if resource_type is None else type_number(resource_type)
    assert rows == [(_of("Observation", "subject"), target, number)]


def test_patient_parameter_takes_only_references_to_patients(indexer: Indexer) -> None:
    for reference, count in {"Patient/1": 1, "Group/1": 0, "http://other/fhir/Patient/1": 1}.items():
        resource = {"resourceType": "Observation", "subject": {"reference": reference}}
        rows = [row for row in indexer.index(resource).reference if row[0] == _of("Observation", "patient")]
        assert (reference, len(rows)) == (reference, count)


def test_string_rows_hold_each_part_and_the_joined_chinese_name(indexer: Indexer) -> None:
    rows = [row[2] for row in indexer.index(PATIENT).string if row[0] == _of("Patient", "name")]
    assert rows == ["欧阳 娜娜", "欧阳", "娜娜", "欧阳娜娜"]


def test_date_rows_span_the_precision_at_the_zone_of_the_server(indexer: Indexer) -> None:
    start, end = datetime(1999, 12, 31, 16, tzinfo=UTC), datetime(2000, 12, 31, 16, tzinfo=UTC)
    assert indexer.index(PATIENT).date == [(_of("Patient", "birthdate"), start, end)]
    open_end = {"resourceType": "Encounter", "period": {"start": "2024-05-01T08:00:00+08:00"}}
    assert indexer.index(open_end).date == [
        (_of("Encounter", "date"), datetime(2024, 5, 1, tzinfo=UTC), OPEN_END)
    ]


def test_quantity_rows_keep_decimals_and_unbounded_ranges(indexer: Indexer) -> None:
    resource = loads(
        '{"resourceType": "Observation", "valueQuantity": {"value": 0.10000000000000000001, "unit": "g"}}'
    )
    value = Decimal("0.10000000000000000001")
    number = _of("Observation", "value-quantity")
    row = (number, value, value, NO_SYSTEM, 0, hash64("g"), 0, None, None)
    assert row in indexer.index(resource).quantity
    onset = {"resourceType": "Condition", "onsetRange": {"high": {"value": 5}}}
    assert [row[1:3] for row in indexer.index(onset).quantity] == [(UNBOUNDED_LOW, Decimal(5))]
    onset = {"resourceType": "Condition", "onsetRange": {"low": {"value": 5}}}
    assert [row[1:3] for row in indexer.index(onset).quantity] == [(Decimal(5), UNBOUNDED_HIGH)]


def test_money_is_a_quantity_in_its_currency(indexer: Indexer) -> None:
    rows = indexer.index({"resourceType": "Invoice", "totalNet": {"value": 12.5, "currency": "CNY"}}).quantity
    currency = (hash32("urn:iso:std:iso:4217"), hash64("CNY"), 0)
    expected = (Decimal("12.5"), Decimal("12.5"), *currency, 0, None, None)
    assert [row[1:] for row in rows] == [expected]


def test_first_entry_of_a_document_is_its_composition(indexer: Indexer) -> None:
    bundle = {
        "resourceType": "Bundle",
        "entry": [{"resource": {"resourceType": "Composition", "id": f"c{number}"}} for number in range(2)],
    }
    rows = [row for row in indexer.index(bundle).reference if row[0] == _of("Bundle", "composition")]
    assert rows == [(_of("Bundle", "composition"), hash64("Composition/c0"), type_number("Composition"))]


def _spoiled(value: object) -> list[object]:
    """Return `value` with each of its parts replaced by something of another type."""
    others: list[object] = [None, True, 7, "text", [], {}, [[]], [None], {"value": []}]
    if isinstance(value, dict):
        return others + [{**value, key: other} for key, part in value.items() for other in _spoiled(part)]
    if isinstance(value, list):
        return others + [[other] for part in value for other in _spoiled(part)]
    return others


def test_elements_of_a_wrong_type_give_no_row_and_no_error(indexer: Indexer) -> None:
    observation: JsonObject = {
        "resourceType": "Observation",
        "code": {"coding": [{"system": "a", "code": "b"}]},
        "effectiveTiming": {"event": ["2024"], "repeat": {"boundsPeriod": {"start": "2024"}}},
        "valueSampledData": {"origin": {"value": 1}, "factor": 1, "data": "1 2"},
        "component": [{"valueQuantity": {"value": 1, "code": "x"}}],
        "derivedFrom": [{"reference": "a", "identifier": {"value": "x"}}],
    }
    spoiled = 0
    for resource in (observation, PATIENT, {"resourceType": "Bundle", "entry": [{"resource": {"id": "x"}}]}):
        for name, value in resource.items():
            if name != "resourceType":
                for other in _spoiled(value):
                    indexer.index({**resource, name: other})
                    spoiled += 1
    assert spoiled > 300


def test_elements_that_summaries_show_are_known_for_every_type() -> None:
    assert all("id" in summary_of(each) for each in R4_RESOURCE_TYPES)
    assert required_of("Observation") == {"status", "code"}
    assert {"effectiveDateTime", "effectivePeriod"} <= summary_of("Observation")


@pytest.mark.parametrize(
    ("path", "system"),
    [
        ("Patient.gender", "http://hl7.org/fhir/administrative-gender"),
        ("Address.use", "http://hl7.org/fhir/address-use"),
        ("Attachment.contentType", "urn:ietf:bcp:13"),
        ("Money.currency", "urn:iso:std:iso:4217"),
        ("Composition.confidentiality", "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"),
        ("Patient.language", None),
        ("Observation.code", None),
        ("Patient.nothing", None),
    ],
)
def test_codes_of_a_required_binding_to_one_system_are_of_it(path: str, system: str | None) -> None:
    assert system_of(path) == system


@pytest.mark.parametrize("number", ["1e300", "-1e-400", "1" * 300, "-0", "0." + "3" * 5000])
def test_numbers_of_any_size_can_be_stored(indexer: Indexer, database: Database, number: str) -> None:
    resource = loads('{"resourceType": "Observation", "id": "o", "valueQuantity": {"value": ' + number + "}}")
    with database.transaction() as transaction:
        stored.put(transaction.connection, indexer, [resource])
        rows = transaction.connection.execute("SELECT lo FROM ix_quantity").fetchall()
    assert len(rows) == 1
