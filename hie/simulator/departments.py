"""Departments and staff of the synthetic institutions: invented names, the same for the same seed."""

from dataclasses import dataclass
from functools import lru_cache

from hie.simulator.conditions import Condition
from hie.simulator.institutions import Institution
from hie.simulator.names import Name, given_name, surname
from hie.simulator.seeding import stream

_STAFF = 12


@dataclass(frozen=True, slots=True)
class Department:
    """A department: the hospital's code and its Chinese name."""

    code: str
    name: str


_GENERAL = Department("QK", "全科门诊")
_PAEDIATRICS = Department("EK", "儿科")
EMERGENCY = Department("JZ", "急诊科")
_BY_CHAPTER = {
    "A": Department("GR", "感染性疾病科"),
    "B": Department("GR", "感染性疾病科"),
    "C": Department("ZL", "肿瘤科"),
    "D": Department("XY", "血液内科"),
    "E": Department("NF", "内分泌科"),
    "I": Department("XN", "心血管内科"),
    "J": Department("HX", "呼吸与危重症医学科"),
    "K": Department("XH", "消化内科"),
    "L": Department("PF", "皮肤科"),
    "M": Department("GK", "骨科"),
    "N": Department("SN", "肾脏内科"),
    "O": Department("CK", "产科"),
    "S": Department("GK", "骨科"),
    "Z": Department("XS", "新生儿科"),
}
_CHILD = 14


def department(condition: Condition, age: int, institution: Institution) -> Department:
    """Return where somebody of this age with this condition is seen."""
    if institution.is_clinic:
        return _GENERAL
    chapter = condition.code[0]
    if age <= _CHILD and chapter not in "ZS":
        return _PAEDIATRICS
    return _BY_CHAPTER[chapter]


@dataclass(frozen=True, slots=True)
class Doctor:
    """A doctor of one institution: staff number and name."""

    number: str
    name: Name


class Staff:
    """The doctors of all institutions of one city."""

    def __init__(self, seed: int) -> None:
        """Nobody is made before being asked for."""
        self._seed = seed
        self.doctor = lru_cache(maxsize=4096)(self._doctor)

    def _doctor(self, institution: str, place: int) -> Doctor:
        number = place % _STAFF
        draws = stream(self._seed, "doctor", institution, number)
        name = Name(surname(draws), given_name(draws, draws.choice("MF"), draws.randint(1966, 1996)))
        return Doctor(f"D{number + 1:03d}", name)
