"""Message structures: which one a message follows, and the tables behind them."""

import importlib

import pytest
from hl7apy import SUPPORTED_LIBRARIES, load_reference

from hl7_gateway.er7.definitions import UNBOUNDED, FieldDefinition, definitions, nearest_version
from hl7_gateway.er7.plan import plan
from hl7_gateway.er7.structure import message_structure

EVENTS = ["A01", "A02", "A03", "A04", "A05", "A06", "A07", "A08", "A11", "A12", "A13", "A28", "A31"]


@pytest.mark.parametrize(
    ("version", "code", "event", "declared", "expected"),
    [
        ("2.5.1", "ADT", "A01", "ADT_A01", "ADT_A01"),
        ("2.5.1", "ADT", "A08", "", "ADT_A01"),
        ("2.5.1", "ADT", "A08", "ADT_A08", "ADT_A01"),
        ("2.5.1", "ADT", "A04", "nonsense", "ADT_A01"),
        ("2.5.1", "ADT", "A28", "", "ADT_A05"),
        ("2.3.1", "ADT", "A31", "", "ADT_A05"),
        ("2.3", "ADT", "A08", "", "ADT_A01"),
        ("2.5.1", "ADT", "A11", "", "ADT_A09"),
        ("2.5.1", "ADT", "A40", "", "ADT_A39"),
        ("2.5.1", "ORU", "R01", "", "ORU_R01"),
        ("2.5.1", "ORU", "R32", "", "ORU_R30"),
        ("2.4", "OML", "O21", "", "OML_O21"),
        ("2.3", "OML", "O21", "", "OML_O21"),
        ("2.5.1", "SIU", "S15", "", "SIU_S12"),
        ("2.5.1", "ACK", "A01", "", "ACK"),
        ("2.5.1", "ACK", "", "", "ACK"),
        ("2.8", "ORM", "O01", "", "ORM_O01"),
        ("2.5.1", "ZZZ", "Z01", "", "ZZZ_Z01"),
        ("2.5.1", "ZZZ", "Z01", "ZZZ_Z99", "ZZZ_Z99"),
        ("", "ADT", "A01", "", "ADT_A01"),
        ("9.9", "ADT", "A08", "", "ADT_A01"),
    ],
)
def test_structure_is_declared_or_derived(
    version: str, code: str, event: str, declared: str, expected: str
) -> None:
    assert message_structure(version, code, event, declared=declared) == expected


@pytest.mark.parametrize("version", sorted(SUPPORTED_LIBRARIES))
def test_every_first_message_type_has_a_structure_in_every_version(version: str) -> None:
    types = [("ADT", event) for event in EVENTS] + [("ORU", "R01"), ("ORM", "O01"), ("OML", "O21")]
    for code, event in types:
        structure = message_structure(version, code, event)
        tree = plan(version, structure)
        assert tree is not None
        assert {"MSH", "PID"} <= set(tree.places), (version, code, event)


@pytest.mark.parametrize("version", sorted(SUPPORTED_LIBRARIES))
def test_every_table_of_every_version_compiles(version: str) -> None:
    tables = definitions(version)
    module = importlib.import_module(SUPPORTED_LIBRARIES[version])
    for name in module.MESSAGES:
        assert tables.structure(name) is not None
        assert plan(version, name) is not None
    for name in module.SEGMENTS:
        for field in tables.segment(name):
            assert field.datatype or field.maximum == 0
            assert field.maximum == UNBOUNDED or field.maximum >= field.minimum
    for name in module.DATATYPES_STRUCTS:
        assert tables.datatype(name)


@pytest.mark.parametrize(
    ("version", "nearest"),
    [
        ("2.7.1", "2.7"),
        ("2.9", "2.8.2"),
        ("2.9.1", "2.8.2"),
        ("2.0", "2.1"),
        ("3.0", "2.5.1"),
        ("2.5.1^CHN", "2.5.1"),
        ("x", "2.5.1"),
    ],
)
def test_version_without_tables_takes_the_nearest(version: str, nearest: str) -> None:
    assert nearest_version(version) == nearest
    assert definitions(version).version == nearest


def test_field_definitions_say_what_the_standard_says() -> None:
    tables = definitions("2.5.1")
    assert tables.field("PID", 3) == FieldDefinition(
        "PID-3", "PATIENT_IDENTIFIER_LIST", "CX", "", 1, UNBOUNDED
    )
    assert tables.field("PID", 8) == FieldDefinition("PID-8", "ADMINISTRATIVE_SEX", "IS", "0001", 0, 1)
    assert tables.field("OBX", 5) == FieldDefinition("OBX-5", "OBSERVATION_VALUE", "varies", "", 0, UNBOUNDED)
    assert tables.field("PID", 999) is None
    assert tables.segment("ZZZ") == ()
    assert [component.name for component in tables.datatype("HD")] == ["HD.1", "HD.2", "HD.3"]
    assert tables.datatype("ST") == ()
    assert "M" in tables.table("0001")
    assert tables.table("9999") == ()


@pytest.mark.parametrize("version", sorted(SUPPORTED_LIBRARIES))
def test_fields_equal_those_of_hl7apy(version: str) -> None:
    for segment in ("MSH", "PID", "PV1", "OBR", "OBX"):
        reference = load_reference(segment, "Segment", version)
        ours = [
            (field.name, field.datatype, field.minimum, field.maximum)
            for field in definitions(version).segment(segment)
        ]
        theirs = [
            (name.replace("_", "-"), field[2] or "", *cardinality)
            for name, field, cardinality, _ in reference[1]
        ]
        assert ours == theirs
