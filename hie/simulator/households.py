"""Households of the synthetic city: who lives together, how old they are, what they are called.

Ages come out near the bulletin of 2019 named in `divisions` (0-14: 16 %, 65 and
over: 8 %); births within the simulated days are more frequent than in life, so that
a small city has some newborns and twins.
"""

from datetime import date, timedelta
from random import Random

from hie.simulator.divisions import BY_CODE
from hie.simulator.identity_numbers import Numbering
from hie.simulator.names import ETHNIC_GROUPS, Name, given_name, minority_name, newborn_name, surname
from hie.simulator.person import Address, Contact, Person
from hie.simulator.seeding import happens

_COUPLE = 2
_THREE_GENERATIONS = 5
_SHARES_A_PHONE = 0.4
_MOTHER_IS_CONTACT = 0.7
_ALLERGIC = 0.08
_ESTATE_IN_A_COUNTY = 0.3
_NEWBORN_SHARE = 0.03
_TWIN_SHARE = 0.2
SCHOOL_AGE = 14
OLD_AGE = 75
_MARRIAGEABLE = 22
_STREETS = (
    "槐荫",
    "麦香",
    "望月",
    "青禾",
    "柳岸",
    "松鹤",
    "听泉",
    "丰泽",
    "晨光",
    "云栖",
    "石榴",
    "桐花",
    "枣园",
    "映山",
)
_COMMUNITIES = ("听雨苑", "和光里", "麦田家园", "青槐小区", "锦书院", "泊云居", "桃李园", "溪谷新村")
_ALLERGIES = (
    ("青霉素", "DA"),
    ("头孢菌素", "DA"),
    ("磺胺类", "DA"),
    ("花生", "FA"),
    ("海鲜", "FA"),
    ("尘螨", "EA"),
)


class Household:
    """One household being made: adults first, then children, then grandparents."""

    def __init__(
        self, numbering: Numbering, span: tuple[date, date], draws: Random, home: Address, first: int
    ) -> None:
        """Take the first and last simulated day and the index of the first member."""
        self._numbering = numbering
        self._start, self._end = span
        self._draws = draws
        self._first = first
        self._members: list[Person] = []
        self._address = home
        self._ethnic = draws.choices(ETHNIC_GROUPS, weights=[group[2] for group in ETHNIC_GROUPS])[0]
        self._surname = surname(draws)

    def people(self, size: int) -> list[Person]:
        """Return `size` members, 1 to 5, in the order of their indexes; to be called once."""
        draws = self._draws
        if size == 1:
            self._adult(draws.choice("MF"), int(draws.triangular(19, 84, 28)), is_married=False)
            return self._members
        has_children = size > _COUPLE
        age = int(draws.triangular(25, 54, 39) if has_children else draws.triangular(23, 82, 40))
        self._adult("M", age, is_married=True)
        self._adult("F", max(_MARRIAGEABLE, age + draws.randint(-4, 1)), is_married=True)
        grandparents = draws.choice((1, 2)) if size >= _THREE_GENERATIONS else 0
        children = size - 2 - grandparents
        self._children(children, max(1, self._members[1].age(self._end) - 21))
        for place in range(grandparents):
            self._adult("FM"[place], min(88, age + draws.randint(22, 34)), is_married=grandparents > 1)
        return self._members

    def _children(self, count: int, oldest: int) -> None:
        draws = self._draws
        is_newborn = happens(draws, _NEWBORN_SHARE) and self._end > self._start
        are_twins = is_newborn and count > 1 and happens(draws, _TWIN_SHARE)
        for place in range(count):
            if is_newborn and (place == 0 or are_twins):
                self._newborn(place + 1 if are_twins else None)
            else:
                self._child(draws.randint(0, min(oldest, 22)))

    def _index(self) -> int:
        return self._first + len(self._members)

    def _adult(self, sex: str, age: int, *, is_married: bool) -> None:
        index = self._index()
        number, birth = self._number(index, age, sex)
        family = self._surname if sex == "M" and is_married else surname(self._draws)
        name = self._name(sex, birth.year, family)
        phone = self._numbering.phone(index)
        if age > OLD_AGE and self._members and happens(self._draws, _SHARES_A_PHONE):
            phone = self._members[0].phone
        contact = None
        if self._members:
            other = self._members[0]
            relationship = "SPO" if len(self._members) == 1 else "CHD"
            contact = Contact(other.name, relationship, other.phone)
        self._add(index, name, sex, birth, number, phone, contact, is_married=is_married)

    def _child(self, age: int) -> None:
        index = self._index()
        sex = self._draws.choice("MMMMFFF" if age < 1 else "MF")
        number, birth = self._number(index, age, sex)
        name = self._name(sex, birth.year, self._surname)
        father, mother = self._members[0], self._members[1]
        is_dependent = age <= SCHOOL_AGE
        phone = mother.phone if is_dependent else self._numbering.phone(index)
        parent, relationship = (
            (mother, "MTH") if happens(self._draws, _MOTHER_IS_CONTACT) else (father, "FTH")
        )
        contact = Contact(parent.name, relationship, parent.phone)
        self._add(index, name, sex, birth, number, phone, contact, is_married=False)

    def _newborn(self, birth_order: int | None) -> None:
        draws = self._draws
        mother = self._members[1]
        sex = draws.choice("MF")
        if birth_order not in (None, 1):
            birth = self._members[-1].birth
        else:
            span = (self._end - self._start).days
            birth = self._start + timedelta(days=draws.randint(1, max(1, span)))
        name = newborn_name(mother.name, sex, birth_order)
        later = Name(self._surname, given_name(draws, sex, birth.year))
        contact = Contact(mother.name, "MTH", mother.phone)
        self._members.append(
            Person(
                self._index(), name, sex, birth, "", mother.phone,
                self._address, self._ethnic[0], self._ethnic[1],
                is_married=False, contact=contact, allergy=None, mother=mother.index, birth_order=birth_order,
                later_name=later,
            )
        )  # fmt: skip

    def _name(self, sex: str, birth_year: int, family: str) -> Name:
        if self._ethnic[0] == "维吾尔族":
            return minority_name(self._draws, sex)
        return Name(family, given_name(self._draws, sex, birth_year))

    def _number(self, index: int, age: int, sex: str) -> tuple[str, date]:
        """Return ID number and birth of somebody who completed `age` years before the first simulated day."""
        start = self._start
        day = self._numbering.slot(index).day_of_year
        has_passed = date(start.year, 1, 1) + timedelta(days=day) < start
        year = start.year - age - (not has_passed)
        return self._numbering.id_number(index, year, is_male=sex == "M")

    def _add(
        self,
        index: int,
        name: Name,
        sex: str,
        birth: date,
        number: str,
        phone: str,
        contact: Contact | None,
        *,
        is_married: bool,
    ) -> None:
        allergy = self._draws.choice(_ALLERGIES) if happens(self._draws, _ALLERGIC) else None
        self._members.append(
            Person(
                index, name, sex, birth, number, phone, self._address, self._ethnic[0], self._ethnic[1],
                is_married=is_married, contact=contact, allergy=allergy,
            )
        )  # fmt: skip


def address(draws: Random, division: str, town: str) -> Address:
    """Return a house or flat in this division and town."""
    if BY_CODE[division].is_urban or happens(draws, _ESTATE_IN_A_COUNTY):
        street = f"{draws.choice(_STREETS)}路{draws.randint(1, 199)}号{draws.choice(_COMMUNITIES)}"
        flat = f"{draws.randint(1, 33)}0{draws.randint(1, 4)}室"
        house = f"{street}{draws.randint(1, 30)}号楼{draws.randint(1, 4)}单元{flat}"
    else:
        house = f"{draws.choice(_STREETS)}村{draws.randint(1, 12)}组{draws.randint(1, 160)}号"
    return Address(division, town, house)
