"""JSON in and out without changing a decimal."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.core.errors import MalformedJSONError
from hie.core.fhir.json import dumps, loads

NUMBERS = [
    "1.10",
    "0.1000",
    "100.00",
    "-0.50",
    "1.1",
    "0",
    "-7",
    "123456789.123456789",
    "3.1415926535897932384626",
    "0.00001",
    "0.00000001234",
    "12345678901234567890",
    "1.0",
    "0.0",
]


@pytest.mark.parametrize("number", NUMBERS)
def test_space_around_the_colon_hides_no_decimal(number: str) -> None:
    assert dumps(loads(f'{{ "value" :\n\t{number} }}')).decode() == f'{{"value":{number}}}'


finite = st.decimals(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("frame", ['{"value":%s}', '{"a":[{"b":%s},"1.10"]}'])
def test_decimal_prints_back_the_digits_it_was_written_with(number: str, frame: str) -> None:
    text = frame % number
    assert dumps(loads(text)).decode() == text


@given(finite.filter(lambda d: abs(d.adjusted()) < 40))
def test_any_decimal_survives(number: Decimal) -> None:
    text = f"{number:f}"
    assert dumps(loads(f'{{"value":{text}}}')).decode() == f'{{"value":{text}}}'


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(json_values)
def test_value_survives(value: object) -> None:
    assert loads(dumps(value)) == value
    assert loads(json.dumps(value, ensure_ascii=True)) == value


@pytest.mark.parametrize(
    "text",
    ["", "{", '"\\ud800"', '{"a":NaN}', '{"a":1.10,"b":Infinity}', "{'a':1}", '{"a":1.0,}', "[" * 100_000],
)
def test_text_that_is_not_json_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(MalformedJSONError, match="JSON"):
        loads(text)


TWICE = ['{"a":1,"a":1}', '{"a":{"b":[{"c":1, "c" : 2}]}}', '{"a":1.10,"b":{"x":"\\":","x":2}}']


@pytest.mark.parametrize("text", TWICE)
def test_name_that_stands_twice_in_one_object_is_refused(text: str) -> None:
    with pytest.raises(MalformedJSONError, match="stands twice in one object"):
        loads(text, has_unique_names=False)


@given(json_values)
def test_names_that_are_unique_pass(value: object) -> None:
    assert loads(dumps(value), has_unique_names=False) == value
    framed = {"text": '"a": 1, "a": 2', "inner": [value, {"text": '"b":'}]}
    assert loads(dumps(framed), has_unique_names=False) == framed


@pytest.mark.parametrize("digits", ["1e-999999999", "0e-999999999", "-1.5E-5000", "0e999999999"])
def test_number_that_stands_for_gigabytes_of_digits_is_refused(digits: str) -> None:
    with pytest.raises(MalformedJSONError, match="exponent is too large"):
        loads(f'{{"a":{digits}}}')


@pytest.mark.parametrize("digits", ["1e-320", "1E-400", "0." + "0" * 2000 + "1", "1.50e-30", "0e-18"])
def test_number_near_a_double_keeps_its_value(digits: str) -> None:
    (value,) = loads(f'{{"a":{digits}}}').values()
    assert Decimal(str(value)) == Decimal(digits)
    assert len(dumps({"a": value})) < len(digits) + 500
