"""A synthetic person with address and next of kin; made by `households`, found through `people`."""

from dataclasses import dataclass
from datetime import date

from hie.simulator.divisions import BY_CODE, CITY, PROVINCE
from hie.simulator.names import Name


@dataclass(frozen=True, slots=True)
class Address:
    """Where a household lives: real division, invented town, street and house."""

    division: str
    town: str
    house: str

    @property
    def text(self) -> str:
        """The address in one line as a registration desk types it."""
        return f"{PROVINCE}{CITY}{BY_CODE[self.division].name}{self.town}{self.house}"


@dataclass(frozen=True, slots=True)
class Contact:
    """Next of kin: name, relationship of table 0063 (SPO, MTH, FTH, CHD), phone."""

    name: Name
    relationship: str
    phone: str


@dataclass(frozen=True, slots=True)
class Person:
    """One synthetic person; `id_number` is "" for a newborn, `mother` the index of a newborn's mother."""

    index: int
    name: Name
    sex: str
    birth: date
    id_number: str
    phone: str
    address: Address
    ethnic_name: str
    ethnic_code: str
    is_married: bool
    contact: Contact | None
    allergy: tuple[str, str] | None
    mother: int | None = None
    birth_order: int | None = None
    later_name: Name | None = None

    @property
    def id(self) -> str:
        """The person's id in the truth files."""
        return f"P{self.index + 1:07d}"

    def age(self, day: date) -> int:
        """Return the years completed on `day`."""
        return day.year - self.birth.year - ((day.month, day.day) < (self.birth.month, self.birth.day))

    @property
    def is_newborn(self) -> bool:
        """Whether the person was born within the simulated days."""
        return self.mother is not None
