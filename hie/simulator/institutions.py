"""The institutions of the synthetic city: hospitals of three tiers, township clinics, community centres.

Every name is invented. There is no city 绿城市 in China; towns such as 望禾镇 do not
stand in the list of real township names used here, and no address, code or phone
is a real institution's. Only the county-level division an institution is put into
is real. Tiers after 医院分级管理办法: 三级, 二级, 一级.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import cycle, islice

from hie.core.errors import ConfigurationError
from hie.simulator.divisions import BY_CODE, DIVISIONS, division_of_block, ordinal_of_block

TERTIARY, SECONDARY, PRIMARY = "三级", "二级", "一级"
TOWNSHIP, COMMUNITY = "乡镇卫生院", "社区卫生服务中心"
CLINICS = (TOWNSHIP, COMMUNITY)

_NAMED_HOSPITALS = (
    ("绿城市第一人民医院", TERTIARY, "410103"),
    ("绿城市第二人民医院", SECONDARY, "410122"),
    ("绿城市望岳医院", PRIMARY, "410102"),
    ("绿城市中心医院", TERTIARY, "410105"),
    ("绿城市溱水人民医院", SECONDARY, "410183"),
    ("绿城市槐溪医院", PRIMARY, "410106"),
    ("绿城市妇幼保健院", TERTIARY, "410102"),
    ("绿城市洛口人民医院", SECONDARY, "410181"),
    ("绿城市青桐医院", PRIMARY, "410105"),
    ("绿城市中医院", TERTIARY, "410104"),
    ("绿城市轩辕坡人民医院", SECONDARY, "410184"),
    ("绿城市索须人民医院", SECONDARY, "410182"),
    ("绿城市嵩门人民医院", SECONDARY, "410185"),
    ("绿城市麦浪医院", PRIMARY, "410108"),
)
_TOWN_FIRST = "望槐青麦柳桑枣泉溪杏竹梨榆枫荷苇棠柏槿菊"
_TOWN_SECOND = "禾泊岭湾丘坪湖圃浦汀甸原陂屿埠垄"
_URBAN_EVERY = (4, 8, 12)
"""Of 13 clinics those at these places are community centres: 26 clinics make 20 townships."""


@dataclass(frozen=True, slots=True)
class Institution:
    """One sender: `code` is its MSH-4, `town` what a clinic serves ("" for hospitals)."""

    index: int
    code: str
    name: str
    tier: str
    division: str
    town: str
    vendor: str

    @property
    def is_clinic(self) -> bool:
        """Whether it is a township clinic or a community centre."""
        return self.tier in CLINICS


HOSPITAL_VENDORS = ("songyue", "qingwu", "suohe", "yunhuai", "bianshui", "maitian", "zhenshui", "lvhe")
CLINIC_VENDORS = ("maitian", "lvhe", "suohe", "qingwu")


def build_institutions(hospitals: int, clinics: int) -> tuple[Institution, ...]:
    """Return `hospitals` hospitals of the three tiers in turn, then `clinics` clinics.

    ConfigurationError without a hospital.
    """
    if hospitals < 1 or clinics < 0:
        raise ConfigurationError(f"A city needs a hospital, not {hospitals} and {clinics} clinics")
    rows: list[Institution] = []
    for index, vendor in zip(range(hospitals), cycle(HOSPITAL_VENDORS), strict=False):
        name, tier, division = _hospital(index)
        rows.append(Institution(index, f"LCH{index + 1:03d}", name, tier, division, "", vendor))
    rural = cycle(division.code for division in DIVISIONS if not division.is_urban)
    urban = cycle(division.code for division in DIVISIONS if division.is_urban)
    for place, vendor in zip(range(clinics), cycle(CLINIC_VENDORS), strict=False):
        is_community = place % 13 in _URBAN_EVERY
        division = next(urban) if is_community else next(rural)
        town = _town(place) + ("街道" if is_community else "镇")
        name = f"绿城市{town}{'社区卫生服务中心' if is_community else '卫生院'}"
        tier = COMMUNITY if is_community else TOWNSHIP
        rows.append(Institution(hospitals + place, f"LCC{place + 1:03d}", name, tier, division, town, vendor))
    return tuple(rows)


def _hospital(index: int) -> tuple[str, str, str]:
    if index < len(_NAMED_HOSPITALS):
        return _NAMED_HOSPITALS[index]
    tier = (TERTIARY, SECONDARY, PRIMARY)[index % 3]
    return f"绿城市第{index + 1}人民医院", tier, DIVISIONS[index % len(DIVISIONS)].code


def _town(place: int) -> str:
    second, first = divmod(place, len(_TOWN_FIRST))
    ring = _TOWN_SECOND[(first * 7 + second) % len(_TOWN_SECOND)]
    lap = second // len(_TOWN_SECOND)
    return f"{_TOWN_FIRST[first]}{ring}{'东西南北中'[lap - 1] if lap else ''}"


class Catchment:
    """Which institutions serve which division: every division has a clinic list and a local hospital list.

    A division without its own borrows those of the next division in code order that
    has some; tertiary hospitals serve the whole city.
    """

    def __init__(self, institutions: tuple[Institution, ...]) -> None:
        """Sort the institutions by division and kind."""
        self.institutions = institutions
        self.tertiary = tuple(each for each in institutions if each.tier == TERTIARY)

    @cached_property
    def clinics(self) -> dict[str, tuple[Institution, ...]]:
        """Clinics by division code."""
        return self._serve(CLINICS)

    @cached_property
    def local_hospitals(self) -> dict[str, tuple[Institution, ...]]:
        """Hospitals of the second and first tier by division code."""
        return self._serve((SECONDARY, PRIMARY))

    def clinic(self, block: int) -> Institution | None:
        """Return the clinic whose town block `block` of households lives in."""
        return _turn(self.clinics, block)

    def local_hospital(self, block: int) -> Institution | None:
        """Return the hospital of the second or first tier nearest to block `block`."""
        return _turn(self.local_hospitals, block)

    def town(self, block: int) -> str:
        """Return the town or street office of block `block`, "" where no clinic is."""
        clinic = self.clinic(block)
        return clinic.town if clinic is not None else ""

    def _serve(self, tiers: tuple[str, ...]) -> dict[str, tuple[Institution, ...]]:
        codes = sorted(BY_CODE)
        own = {
            code: tuple(each for each in self.institutions if each.division == code and each.tier in tiers)
            for code in codes
        }
        served = {}
        for place, code in enumerate(codes):
            around = islice(cycle(codes), place, place + len(codes))
            served[code] = next((own[near] for near in around if own[near]), ())
        return served


def _turn(served: dict[str, tuple[Institution, ...]], block: int) -> Institution | None:
    """Blocks of a division go to its institutions in turn."""
    institutions = served[division_of_block(block)]
    return institutions[ordinal_of_block(block) % len(institutions)] if institutions else None
