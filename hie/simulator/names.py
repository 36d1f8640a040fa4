"""Names of the synthetic people: Chinese, some of minorities, some with characters few systems can store.

Surnames stand in the order of the name report of 2020
(https://www.phbang.cn/pics/7807.html); the shares of the first are those the
Ministry of Public Security published in 2007 (王 7.25 %, 李 7.19 %, 张 6.83 %, quoted
at http://yushtrip.com/content/10/1203/19/803452_74748323.shtml), the further ones
fall off smoothly. Given-name characters by generation are a list of our own. A name
may by chance be somebody's: names are not secret and are never joined with a real
number, address or hospital here.
"""

from dataclasses import dataclass
from itertools import accumulate
from random import Random

from hie.simulator.seeding import happens

_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈"
    "姚卢姜崔钟谭陆汪范金石廖贾夏韦付方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤"
)
_LEADING_SHARES = (7.25, 7.19, 6.83, 5.4, 4.6, 3.1, 2.3, 2.2, 2.1, 2.05)
_COMPOUND = ("欧阳", "上官", "司马", "诸葛", "皇甫", "尉迟", "夏侯", "司徒", "令狐", "慕容")
_HETERONYMS = ("单", "翟", "解", "仇", "查", "盖", "区", "乐", "缪", "朴")
"""Surnames whose reading as a surname is not the common one: traps for pinyin indexes."""

_MALE_OLD = (
    "建国",
    "国强",
    "德福",
    "志强",
    "保国",
    "福海",
    "长山",
    "金水",
    "铁柱",
    "文彬",
    "学义",
    "新民",
    "玉堂",
    "振华",
)
_FEMALE_OLD = (
    "桂英",
    "秀兰",
    "玉梅",
    "秀英",
    "凤霞",
    "桂芝",
    "素珍",
    "爱莲",
    "玉兰",
    "淑琴",
    "改枝",
    "喜荣",
    "巧云",
    "翠花",
)
_MALE_MIDDLE = (
    "伟",
    "勇",
    "军",
    "磊",
    "涛",
    "强",
    "超",
    "鹏",
    "杰",
    "峰",
    "辉",
    "建军",
    "海涛",
    "志勇",
    "俊峰",
    "红伟",
    "亚东",
    "卫东",
)
_FEMALE_MIDDLE = (
    "芳",
    "娜",
    "敏",
    "静",
    "丽",
    "艳",
    "霞",
    "娟",
    "燕",
    "玲",
    "晓燕",
    "海霞",
    "丽娟",
    "红梅",
    "俊丽",
    "慧敏",
    "亚楠",
    "春玲",
)
_MALE_NEW = "浩宇梓轩子睿俊辰铭泽一诺皓晨博文奕然承霖锦煜沐昊天嘉懿"
_FEMALE_NEW = "梓涵诗雨欣怡子萱可馨语桐一诺若曦佳宁书瑶思雅沐晴安然芷"
_RARE = ("𬭎", "𬍛", "䶮", "㛃", "𣲘", "𠅤", "𬀩", "𫍯", "𬱖", "㼆", "𬘭", "𫖮")
"""Characters outside GBK: Extension A ones take four bytes in GB18030, the others lie beyond the BMP."""

_MINORITY_GIVEN = {
    "M": ("买买提", "艾合买提", "阿不都热合曼", "玉素甫", "吐尔逊", "扎西", "多吉"),
    "F": ("阿依古丽", "热依汗", "帕提古丽", "古丽娜尔", "卓玛", "央金", "拉姆"),
}
_MINORITY_FATHER = ("买买提", "吐尔逊", "艾力", "依明", "库尔班", "次仁", "旺堆")
ETHNIC_GROUPS = (
    ("汉族", "01", 0.983),
    ("回族", "03", 0.0135),
    ("满族", "11", 0.0015),
    ("维吾尔族", "05", 0.002),
)
"""Name, GB/T 3304 code, share: 98.3 % Han after the bulletin named in `divisions`, the rest ours."""

_OLD_BEFORE = 1965
_MIDDLE_BEFORE = 2000


def _weights() -> tuple[float, ...]:
    tail = (2.05 * 0.97**rank for rank in range(1, len(_SURNAMES) - len(_LEADING_SHARES) + 1))
    return tuple(accumulate((*_LEADING_SHARES, *tail)))


_CUMULATIVE = _weights()


@dataclass(frozen=True, slots=True)
class Name:
    """A name in Chinese characters; `text` is how it is written whole."""

    family: str
    given: str
    separator: str = ""

    @property
    def text(self) -> str:
        """The name as written on a card ("欧阳娜娜", "阿依古丽·买买提")."""
        return f"{self.family}{self.given}" if not self.separator else f"{self.given}·{self.family}"


def surname(draws: Random) -> str:
    """Return a Han surname: mostly by frequency, 0.6 % compound, 1.5 % with an unusual reading."""
    if happens(draws, 0.006):
        return draws.choice(_COMPOUND)
    if happens(draws, 0.015):
        return draws.choice(_HETERONYMS)
    return draws.choices(_SURNAMES, cum_weights=_CUMULATIVE)[0]


def given_name(draws: Random, sex: str, birth_year: int) -> str:
    """Return a given name in the fashion of the year of birth; about 1 % hold a rare character."""
    is_male = sex == "M"
    if happens(draws, 0.01):
        return draws.choice(_RARE) + draws.choice(("", "轩", "文", "宁"))
    if birth_year < _OLD_BEFORE:
        return draws.choice(_MALE_OLD if is_male else _FEMALE_OLD)
    if birth_year < _MIDDLE_BEFORE:
        return draws.choice(_MALE_MIDDLE if is_male else _FEMALE_MIDDLE)
    characters = _MALE_NEW if is_male else _FEMALE_NEW
    first, second = draws.choice(characters), draws.choice(characters)
    return first + second if first != second else first


def minority_name(draws: Random, sex: str) -> Name:
    """Return a name written with the separator · (U+00B7), given name first."""
    return Name(draws.choice(_MINORITY_FATHER), draws.choice(_MINORITY_GIVEN[sex]), "·")


def newborn_name(mother: Name, sex: str, birth_order: int | None) -> Name:
    """Return the hospital's name for an unnamed child: 张丽之子, 张丽之长女 when of twins."""
    child = "子" if sex == "M" else "女"
    rank = "" if birth_order is None else "长次三"[birth_order - 1]
    return Name(mother.text, f"之{rank}{child}")


SURNAME_READINGS = {
    "单": "SHAN", "翟": "ZHAI", "解": "XIE", "仇": "QIU", "查": "ZHA", "盖": "GE", "区": "OU", "乐": "YUE",
    "缪": "MIAO", "朴": "PIAO", "曾": "ZENG", "尉迟": "YUCHI", "令狐": "LINGHU",
}  # fmt: skip
"""Readings of surnames that differ from the character's common reading."""
