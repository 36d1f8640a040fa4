from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from hie.simulator.cards import CardIssuer, luhn, mod_11_10
from hie.simulator.institutions import build_institutions
from hie.simulator.run import City

DIGITS = st.text("0123456789", min_size=1, max_size=20)


def test_check_digits_of_the_published_examples() -> None:
    # ISO/IEC 7812-1 ("Luhn") and ISO/IEC 7064 MOD 11,10.
    assert luhn("7992739871") == "3"
    assert mod_11_10("0794") == "5"


@given(DIGITS)
def test_luhn_sum_with_the_check_digit_is_a_multiple_of_ten(body: str) -> None:
    number = body + luhn(body)
    doubled = [int(digit) * (1 + place % 2) for place, digit in enumerate(reversed(number))]
    assert sum(sum(map(int, str(value))) for value in doubled) % 10 == 0


@given(DIGITS, st.data())
def test_single_wrong_digits_are_found(body: str, data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(body) - 1))
    digit = data.draw(st.sampled_from([each for each in "0123456789" if each != body[place]]))
    wrong = body[:place] + digit + body[place + 1 :]
    assert luhn(wrong) != luhn(body)
    assert mod_11_10(wrong) != mod_11_10(body)


@given(st.integers(0, 2**32), st.integers(0, 37), st.sets(st.integers(0, 3_650_000), min_size=2, max_size=30))
def test_an_institution_gives_different_people_different_numbers(
    seed: int, place: int, people: set[int]
) -> None:
    issuer = CardIssuer(seed, build_institutions(12, 26)[place])
    assert len({issuer.number(person) for person in people}) == len(people)


def test_everybody_holds_a_card_and_many_hold_several_at_different_institutions(city: City) -> None:
    held = Counter(person.index for person, _ in city.registry)
    assert set(held) == set(range(len(city.population)))
    assert sum(count > 1 for count in held.values()) > len(city.population) / 2
    for index in range(0, len(city.population), 50):
        codes = [card.institution.code for card in city.registry.cards(index)]
        assert len(codes) == len(set(codes))


def test_institutions_write_their_numbers_in_different_formats() -> None:
    shapes = set()
    for institution in build_institutions(12, 26):
        number = CardIssuer(1, institution).number(5)
        shapes.add("".join("9" if each.isdecimal() else each for each in number))
    assert len(shapes) >= 8
