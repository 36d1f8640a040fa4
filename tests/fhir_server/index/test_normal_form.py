"""Strings are compared without case, accents and width."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_server.index.normal_form import has_ideographs, normal_form


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Müller", "MULLER"),
        ("Straße", "STRASSE"),
        ("Zoë", "Zoe\u0308"),
        ("ＡＢＣ１２", "abc12"),
        ("  two   words ", "Two Words"),
        ("Ångström", "angstrom"),
        ("ﬁn", "FIN"),
        ("한글", "한글"),
        ("ガ", "ｶﾞ"),
    ],
)
def test_texts_that_a_search_takes_for_one_are_equal(one: str, other: str) -> None:
    assert normal_form(one) == normal_form(other)


@given(st.text())
def test_normal_form_of_a_normal_form_is_itself(text: str) -> None:
    once = normal_form(text)
    assert normal_form(once) == once


@pytest.mark.parametrize(
    ("text", "expected"),
    [("张", True), ("a张", True), ("𠮷", True), ("ab", False), ("é", False), ("", False)],
)
def test_ideographs_of_every_block_are_seen(text: str, expected: bool) -> None:  # noqa: FBT001 - a case of the table
    assert has_ideographs(text) is expected
