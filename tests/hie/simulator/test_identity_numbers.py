"""GB 11643-1999 and the promise that nobody owns a synthetic number."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hie.core.errors import ConfigurationError
from hie.simulator.divisions import BY_CODE
from hie.simulator.identity_numbers import (
    CHECK_CHARACTERS,
    EVER_ASSIGNED,
    NEVER_ASSIGNED,
    PHONE_PREFIX,
    Numbering,
    check_digit,
    is_well_formed,
)

BODIES = st.text("0123456789", min_size=17, max_size=17)


def test_check_digit_of_the_example_in_gb_11643_is_x() -> None:
    assert check_digit("11010519491231002") == "X"
    assert is_well_formed("11010519491231002X")


@given(BODIES)
def test_check_digit_makes_the_weighted_sum_congruent_to_one_modulo_eleven(body: str) -> None:
    # ISO 7064 MOD 11-2: digit i from the right weighs 2^(i-1), the check digit itself 2^0 with X for ten.
    digits = [int(digit) for digit in body] + [CHECK_VALUES[check_digit(body)]]
    total = sum(value * pow(2, place, 11) for place, value in enumerate(reversed(digits)))
    assert total % 11 == 1


CHECK_VALUES = {character: 10 if character == "X" else int(character) for character in CHECK_CHARACTERS}


@given(BODIES, st.integers(0, 16), st.integers(1, 9))
def test_check_digit_finds_every_single_wrong_digit(body: str, place: int, shift: int) -> None:
    wrong = body[:place] + str((int(body[place]) + shift) % 10) + body[place + 1 :]
    assert check_digit(wrong) != check_digit(body)


@given(BODIES, st.integers(0, 15))
def test_check_digit_finds_every_swap_of_unequal_neighbours(body: str, place: int) -> None:
    if body[place] != body[place + 1]:
        swapped = body[:place] + body[place + 1] + body[place] + body[place + 2 :]
        assert check_digit(swapped) != check_digit(body)


@pytest.mark.parametrize(
    "number",
    ["", "123", "11010519491331002X", "110105194912310021", "1101051949123100²X", "１１010519491231002X"],
)
def test_a_number_of_wrong_form_date_or_check_digit_is_not_well_formed(number: str) -> None:
    assert not is_well_formed(number)


def test_no_synthetic_division_was_ever_assigned_and_every_real_one_is_known() -> None:
    assert not set(NEVER_ASSIGNED) & EVER_ASSIGNED
    assert set(BY_CODE) <= EVER_ASSIGNED
    assert all(code.startswith("4101") and 51 <= int(code[4:]) <= 70 for code in NEVER_ASSIGNED)


@given(
    st.integers(0, 2**32),
    st.sets(st.integers(0, 3_649_999), min_size=2, max_size=40),
    st.integers(1930, 2025),
    st.booleans(),
)
def test_people_of_one_city_never_share_a_number(
    seed: int,
    indexes: set[int],
    year: int,
    is_male: bool,  # noqa: FBT001 - given by Hypothesis
) -> None:
    numbering = Numbering(seed)
    numbers = set()
    for index in indexes:
        number, birth = numbering.id_number(index, year, is_male=is_male)
        assert is_well_formed(number)
        assert number[:6] in NEVER_ASSIGNED
        assert number[6:14] == f"{birth:%Y%m%d}"
        assert birth.year == year
        assert int(number[16]) % 2 == is_male
        numbers.add(number)
    assert len(numbers) == len(indexes)


def test_neighbouring_people_are_born_on_days_all_over_the_year() -> None:
    numbering = Numbering(3)
    births = {numbering.id_number(index, 1990, is_male=True)[1] for index in range(1000)}
    assert len(births) > 300
    assert max(births) - min(births) > timedelta(days=350)
    assert min(births) >= date(1990, 1, 1)


def test_more_people_than_there_are_numbers_are_refused() -> None:
    with pytest.raises(ConfigurationError, match="3650000"):
        Numbering(1).slot(3_650_000)


@given(st.integers(0, 2**32), st.sets(st.integers(0, 99_999_999), min_size=2, max_size=40))
def test_phones_have_eleven_digits_of_the_unallotted_range_and_differ(seed: int, indexes: set[int]) -> None:
    numbering = Numbering(seed)
    phones = {numbering.phone(index) for index in indexes}
    assert len(phones) == len(indexes)
    assert PHONE_PREFIX == "154"
    assert all(len(phone) == 11 and phone.isdecimal() and phone.startswith(PHONE_PREFIX) for phone in phones)
