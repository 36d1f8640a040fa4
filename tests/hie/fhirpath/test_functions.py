"""Functions and operators that the suite leaves out, by N1 (https://hl7.org/fhirpath/N1/) and R4."""

from datetime import UTC, datetime

import pytest

from hie.core.fhir.json import JsonObject
from hie.core.fhirpath.expression import Environment, compiled
from hie.core.language_errors import FhirPathError

PATIENT: JsonObject = {
    "resourceType": "Patient",
    "modifierExtension": [{"url": "http://a"}],
    "active": True,
    "maritalStatus": {"coding": [{"system": "http://s", "code": "M"}]},
}
ENVIRONMENT = Environment(now=datetime(2026, 11, 22, 12, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        # https://hl7.org/fhirpath/N1/#existence
        ("(true | false).anyTrue()", ["True"]),
        ("(false).allFalse()", ["True"]),
        ("(true).anyFalse()", ["False"]),
        # https://hl7.org/fhirpath/N1/#conversion
        ("'2014'.toDate()", ["2014"]),
        ("@2014-01-01T10:00Z.toDate()", ["2014-01-01"]),
        ("'2014-01-01T10'.toDateTime()", ["2014-01-01T10"]),
        ("'2014-13'.toDateTime()", []),
        ("'10:30'.toTime()", ["10:30"]),
        ("'25:00'.convertsToTime()", ["False"]),
        ("1 'kg'.toQuantity('g')", ["1000 'g'"]),
        ("1 'kg'.toQuantity('m')", []),
        ("'5 mg'.toQuantity()", []),
        # https://hl7.org/fhirpath/N1/#math
        ("2.power(31)", []),
        ("100.exp()", []),
        ("0.ln()", []),
        ("2147483647 + 1", []),
        ("-5 div 2", ["-2"]),
        ("-5 mod 3", ["-2"]),
        ("3 'mg' + 2 'g'", ["2003 'mg'"]),
        # https://hl7.org/fhirpath/N1/#time-valued-quantities
        ("1 year = 12 months", ["True"]),
        ("1 year = 1 'a'", []),
        ("1 year ~ 1 'a'", ["True"]),
        # https://ucum.org/ucum#section-Special-Units-on-non-ratio-Scales
        ("37 'Cel' = 310.15 'K'", ["True"]),
        ("98.6 '[degF]' ~ 37 'Cel'", ["True"]),
        ("1 '[iU]' = 1 'g'", []),
        # https://hl7.org/fhirpath/N1/#datetime-arithmetic
        ("@T23:30 + 1 hour", ["00:30"]),
        ("@2024-01-31 + 1 month", ["2024-02-29"]),
        ("@2014 + 24 months", ["2016"]),
        ("@2019-03-01 + 24 hours", ["2019-03-02"]),
        ("@9999-12-31 + 1 day", []),
        # https://hl7.org/fhirpath/N1/#utility-functions
        ("today()", ["2026-11-22"]),
        ("timeOfDay()", ["12:30:00.000"]),
        ("now() - 1 year < now()", ["True"]),
        # https://hl7.org/fhirpath/N1/#collections
        ("'a' in {}", ["False"]),
        ("{} in ('a' | 'b')", []),
        ("'abcabc'.lastIndexOf('b')", ["4"]),
        # https://hl7.org/fhir/R4/fhirpath.html#functions
        ("active.getValue()", ["True"]),
        ("checkModifiers('http://a').active", ["True"]),
        ("maritalStatus.coding.subsumes(%context.maritalStatus.coding)", ["True"]),
    ],
)
def test_an_expression_gives_what_the_specification_says(text: str, expected: list[str]) -> None:
    assert [str(value) for value in compiled(text).evaluate(PATIENT, ENVIRONMENT)] == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("checkModifiers('http://b')", "The modifier extension `http://a` is not understood"),
        ("slice('http://a', 'b')", "slice() needs a StructureDefinition, and the evaluation is given none"),
        (
            "elementDefinition()",
            "elementDefinition() needs a StructureDefinition, and the evaluation is given none",
        ),
        ("'a'.subsumedBy('b')", "subsumedBy() of two codes needs a terminology service"),
        ("(1 | 2).single()", "single() takes one item, not 2"),
        ("'a' + 1", "`+` does not take a String and a Integer"),
        ("active < 1", "`<` does not take a Boolean and a Integer"),
        ("@2024 + 1 'mg'", "`mg` cannot be added to a Date"),
        ("'a'.encode('rot13')", "encode() knows hex, base64, urlbase64, not `rot13`"),
        ("'zz'.decode('hex')", "decode() cannot read the text as hex"),
        (r"'a'.matches('(a)\\1')", "The regular expression `(a)\\1` is not taken: `\\1` is not known"),
        ("'a'.matches('(?=a)')", "only `(?:` and `(?<name>` are known"),
    ],
)
def test_what_cannot_be_evaluated_says_why(text: str, message: str) -> None:
    with pytest.raises(FhirPathError) as raised:
        compiled(text).evaluate(PATIENT, ENVIRONMENT)
    assert message in raised.value.message


def test_the_time_is_asked_of_the_caller_alone() -> None:
    with pytest.raises(FhirPathError, match="asks for the time, and the evaluation is given none"):
        compiled("now()").evaluate(PATIENT)
