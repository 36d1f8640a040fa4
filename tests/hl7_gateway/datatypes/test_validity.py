"""Whatever text a sender puts into a field, a function returns valid FHIR, None, or raises DataTypeError."""

import importlib
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hie.core.errors import DataTypeError
from hie.core.fhir.json import dumps, loads
from hl7_gateway.datatypes.context import Context
from hl7_gateway.datatypes.dtm import date_time
from hl7_gateway.datatypes.primitives import decimal
from hl7_gateway.datatypes.registry import DataType, Value, datatypes
from hl7_gateway.er7.message import Repetition
from tests.hl7_gateway.datatypes.conftest import Convert

# FHIR type of a function by the end of its name, where that is not the type itself.
RESOURCES = {
    "Practitioner": "Practitioner",
    "RelatedPerson": "RelatedPerson",
    "Person": "Person",
    "Patient": "Patient",
    "Organization": "Organization",
    "Location": "Location",
}
TYPES = {
    "CalledBy": "HumanName",
    "PlacerIdentifier": "Identifier",
    "FillerIdentifier": "Identifier",
    "PlacerOrder": "Identifier",
    "FillerOrder": "Identifier",
    "ModeCoding": "Coding",
    "LengthOfStay": "Duration",
    "UniversalIDType": "CodeableConcept",
    "Type": "CodeableConcept",
    "Additive": "CodeableConcept",
    "BodySite": "CodeableConcept",
    "Condition": "CodeableConcept",
}
PRIMITIVES = {
    "string": ("Coding", "display"),
    "markdown": ("Annotation", "text"),
    "code": ("Coding", "code"),
    "uri": ("Coding", "system"),
    "priority": ("Coding", "code"),
    "DurationUnit": ("Coding", "code"),
    "dateTime": ("Period", "start"),
    "decimal": ("Quantity", "value"),
    "positiveInt": ("ContactPoint", "rank"),
    "boolean": ("Coding", "userSelected"),
}

texts = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        [
            "",
            '""',
            "Y",
            "ISO",
            "UUID",
            "1.2.3",
            "LN",
            "HL70001",
            "20230101",
            "202301011200",
            "-1",
            "5.50",
            "H6",
            "DW",
            "Base64",
            "A",
            "pdf",
            "ACM",
            "min",
            "张",
            "Internet",
            "CP",
            "S",
            "F",
            "M",
            "\x00",
            "�",
            "=",
            "<",
        ]
    ),
)
repetitions = st.lists(st.lists(texts, min_size=1, max_size=5).map(tuple), min_size=0, max_size=23).map(tuple)


def check(name: str, value: Value) -> None:
    kind = name.partition("_")[2]
    if kind in PRIMITIVES:
        host, element = PRIMITIVES[kind]
        document = {element: value, "text": value} if host == "Annotation" else {element: value}
        validate(host, document)
    elif kind in ("date", "instant", "time", "unsignedInt"):
        host, element = {
            "date": ("patient", "birthDate"),
            "instant": ("signature", "when"),
            "time": ("timing", "timeOfDay"),
            "unsignedInt": ("attachment", "size"),
        }[kind]
        validate_primitive(kind, host, element, value)
    else:
        parts = value if isinstance(value, list) else [value]
        for part in parts:
            assert isinstance(part, dict)
            if kind in RESOURCES:
                validate(
                    RESOURCES[kind], {"resourceType": RESOURCES[kind], **part, **required(RESOURCES[kind])}
                )
            else:
                validate(TYPES.get(kind, kind), part)


def required(resource: str) -> dict[str, object]:
    return {"patient": {"reference": "Patient/1"}} if resource == "RelatedPerson" else {}


def validate(kind: str, document: object) -> None:
    module = importlib.import_module(f"fhir.resources.R4B.{kind.lower()}")
    getattr(module, kind).model_validate(loads(dumps(document)))


def validate_primitive(kind: str, host: str, element: str, value: Value) -> None:
    del kind
    if host == "patient":
        validate("Patient", {"resourceType": "Patient", element: value})
    elif host == "timing":
        validate("Timing", {"repeat": {element: [value]}})
    elif host == "attachment":
        validate("Attachment", {element: value})
    else:
        validate("Meta", {"lastUpdated": value})


def has_nothing_empty(value: object) -> bool:
    if isinstance(value, dict):
        return bool(value) and all(has_nothing_empty(item) for item in value.values())
    if isinstance(value, list):
        return bool(value) and all(has_nothing_empty(item) for item in value)
    return value is not None and value != ""


@pytest.mark.parametrize("datatype", datatypes().values(), ids=lambda datatype: datatype.name)
def test_any_text_gives_valid_fhir_or_a_data_type_error(datatype: DataType, ctx: Context) -> None:
    @settings(max_examples=25)
    @given(repetitions)
    def holds(repetition: Repetition) -> None:
        ctx.dropped.clear()
        try:
            value = datatype.function(repetition, ctx)
        except DataTypeError:
            return
        if value is not None:
            assert has_nothing_empty(value)
            check(datatype.name, value)

    holds()


@given(st.datetimes(min_value=datetime(1900, 1, 1)))  # noqa: DTZ001 - local time as HL7 writes it
def test_the_digits_of_a_time_come_back(moment: datetime) -> None:
    text = moment.strftime("%Y%m%d%H%M%S")
    value = date_time(text, ZoneInfo("Asia/Shanghai"))
    assert value is not None
    assert "".join(character for character in value[:19] if character.isdigit()) == text


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4))
def test_a_decimal_prints_back_as_sent(number: Decimal) -> None:
    value = decimal(f"{number:f}")
    assert value == number
    assert dumps(value) == f"{number:f}".encode() or value == Decimal(dumps(value).decode())


def test_an_explicit_null_is_no_value(convert: Convert) -> None:
    for name in datatypes():
        assert convert(name, '""') is None, name
