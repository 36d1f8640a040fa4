"""The county-level divisions of Zhengzhou: codes and names are real, nothing else in the city is.

Codes and names after GB/T 2260 (list of 2025 as collected in
https://github.com/yescallop/areacodes, `data/2025.txt`). Populations in units of
10,000 residents after 2019年郑州市常住人口主要数据公报
(http://tjj.zhengzhou.gov.cn/tjgb/4430813.jhtml). The bulletin counts four zones
that have no GB/T 2260 code apart; their residents are added here to the division
that holds most of each zone, which is our allocation: 高新区 (31.9) to 中原区,
经开区 (28.4) to 管城回族区, 郑东新区 (74.1) to 金水区, 航空港区 (73.8) to 新郑市.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Division:
    """A county-level division: GB/T 2260 code, name, residents in units of 10,000."""

    code: str
    name: str
    residents: float
    is_urban: bool


PROVINCE = "河南省"
CITY = "郑州市"
CITY_CODE = "410100"

DIVISIONS: tuple[Division, ...] = (
    Division("410102", "中原区", 111.4, is_urban=True),
    Division("410103", "二七区", 84.8, is_urban=True),
    Division("410104", "管城回族区", 86.9, is_urban=True),
    Division("410105", "金水区", 207.4, is_urban=True),
    Division("410106", "上街区", 16.3, is_urban=True),
    Division("410108", "惠济区", 31.1, is_urban=True),
    Division("410122", "中牟县", 52.4, is_urban=False),
    Division("410181", "巩义市", 84.4, is_urban=False),
    Division("410182", "荥阳市", 67.0, is_urban=False),
    Division("410183", "新密市", 81.7, is_urban=False),
    Division("410184", "新郑市", 139.1, is_urban=False),
    Division("410185", "登封市", 72.7, is_urban=False),
)

BY_CODE = {division.code: division for division in DIVISIONS}

_PATTERN_LENGTH = 100


def _pattern() -> tuple[str, ...]:
    """Return 100 division codes in proportion to residents, each spread evenly (largest debt next)."""
    total = sum(division.residents for division in DIVISIONS)
    debt = dict.fromkeys(BY_CODE, 0.0)
    pattern = []
    for _ in range(_PATTERN_LENGTH):
        for division in DIVISIONS:
            debt[division.code] += division.residents / total
        code = max(debt, key=lambda each: (debt[each], each))
        debt[code] -= 1
        pattern.append(code)
    return tuple(pattern)


_PATTERN = _pattern()


def division_of_block(block: int) -> str:
    """Return the division code in which block `block` of households lives."""
    return _PATTERN[block % _PATTERN_LENGTH]


def ordinal_of_block(block: int) -> int:
    """Return how many earlier blocks live in the same division."""
    lap, place = divmod(block, _PATTERN_LENGTH)
    code = _PATTERN[place]
    return lap * _PATTERN.count(code) + _PATTERN[:place].count(code)
