from collections import Counter

from hie.simulator.divisions import BY_CODE
from hie.simulator.households import SCHOOL_AGE
from hie.simulator.identity_numbers import is_well_formed
from hie.simulator.names import Name, newborn_name
from hie.simulator.people import BLOCK
from hie.simulator.person import Person
from hie.simulator.run import City
from hie.simulator.segments import pinyin

from .conftest import END, build


def test_a_person_is_the_same_whether_reached_alone_or_in_order(city: City) -> None:
    in_order = list(city.population)
    again = build().population
    for index in (1499, 3, 450, 28, 27):
        assert again.person(index) == in_order[index]


def test_id_number_agrees_with_birth_and_sex(city: City) -> None:
    for person in city.population:
        if person.is_newborn:
            assert person.id_number == ""
            assert city.start < person.birth <= END
        else:
            assert is_well_formed(person.id_number)
            assert person.id_number[6:14] == f"{person.birth:%Y%m%d}"
            assert (int(person.id_number[16]) % 2 == 1) == (person.sex == "M")
            assert person.birth < city.start


def test_id_numbers_are_unique_in_a_large_city() -> None:
    population = build(people=20_000).population
    numbers = Counter(person.id_number for person in population if person.id_number)
    assert numbers.most_common(1)[0][1] == 1


def test_ages_and_sexes_are_near_the_bulletin_of_zhengzhou_2019() -> None:
    # 0-14: 16.2 %, 65 and over: 8 %, men: 51 % (http://tjj.zhengzhou.gov.cn/tjgb/4430813.jhtml)
    people = list(build(people=14_000).population)
    ages = [person.age(END) for person in people]
    assert 0.12 < sum(age <= 14 for age in ages) / len(ages) < 0.24
    assert 0.05 < sum(age >= 65 for age in ages) / len(ages) < 0.13
    assert 0.46 < sum(person.sex == "M" for person in people) / len(people) < 0.54
    residents = Counter(person.address.division for person in people)
    total = sum(division.residents for division in BY_CODE.values())
    for code, division in BY_CODE.items():
        assert abs(residents[code] / len(people) - division.residents / total) < 0.01


def test_households_share_address_and_children_share_a_phone(city: City) -> None:
    by_house: dict[str, list[Person]] = {}
    for person in city.population:
        by_house.setdefault(person.address.text, []).append(person)
    sizes = Counter(len(members) for members in by_house.values())
    assert set(sizes) >= {1, 2, 3, 4, 5}
    for members in by_house.values():
        for person in members:
            if person.age(city.start) <= SCHOOL_AGE and len(members) > 2:
                assert person.phone in {other.phone for other in members if other is not person}


def test_mothers_are_at_least_nineteen_years_older_than_their_children() -> None:
    population = build(people=9_000).population
    children = [person for person in population if person.mother is not None]
    assert children
    for child in children:
        assert child.mother is not None
        mother = population.person(child.mother)
        assert mother.sex == "F"
        assert mother.age(child.birth) >= 19
        assert child.name.text.startswith(f"{mother.name.text}之")
        assert child.later_name is not None
        assert child.later_name != child.name


def test_twins_are_born_on_one_day_and_named_in_order() -> None:
    population = build(people=60_000).population
    twins = [person for person in population if person.birth_order is not None]
    assert len(twins) >= 2
    assert len(twins) % 2 == 0
    for first, second in zip(twins[::2], twins[1::2], strict=True):
        assert (first.birth_order, second.birth_order) == (1, 2)
        assert first.birth == second.birth
        assert first.mother == second.mother
    assert newborn_name(Name("张", "丽"), "M", 2).text == "张丽之次子"


def test_some_names_are_compound_some_of_minorities_some_outside_gbk_and_outside_the_bmp() -> None:
    names = [person.name for person in build(people=20_000).population]
    assert any(len(name.family) == 2 and not name.separator for name in names)
    assert any("·" in name.text for name in names)
    assert any(ord(character) > 0xFFFF for name in names for character in name.text)
    outside = [name.text for name in names if "?" in name.text.encode("gbk", "replace").decode("gbk")]
    assert outside
    assert all(text.encode("gb18030").decode("gb18030") == text for text in outside)


def test_pinyin_reads_surnames_as_surnames_and_leaves_out_what_has_no_reading() -> None:
    assert pinyin(Name("单", "雄信")) == ("SHAN", "XIONGXIN")
    assert pinyin(Name("尉迟", "恭")) == ("YUCHI", "GONG")
    assert pinyin(Name("翟", "志刚")) == ("ZHAI", "ZHIGANG")
    assert pinyin(Name("李", "\ue000")) is None


def test_blocks_hold_ten_households_of_twenty_eight_people(city: City) -> None:
    block = city.population.block(0)
    assert len(block) == BLOCK
    assert len({person.address.text for person in block}) == 10
