"""Whether bytes that decode in a character set are really text of it.

Pure statistics of byte patterns, no dictionary of any language: UTF-8's rule for continuation bytes is so
strict that text of another character set obeys it by accident only when it is very short.
"""

import re

_ASCII = bytes(range(0x80))
_THREE_BYTES = re.compile(rb"[\xe0-\xef][\x80-\xbf]{2}")
_SINGLE_BYTE = ("iso8859", "cp125")
_WESTERN = frozenset(
    {"iso8859_1", "iso8859_2", "iso8859_3", "iso8859_4", "iso8859_9", "iso8859_15", "cp1252"}
)
_C1_CONTROLS = re.compile("[\x80-\x9f]")
_HIGH_RUN = re.compile(rb"[\x80-\xff]+")
# General punctuation, then CJK symbols, kana and ideographs, compatibility ideographs, full-width forms.
_EAST_ASIAN = re.compile("[\u2000-\u206f\u3000-\u9fff\uf900-\ufaff\uff00-\uffef\U00020000-\U0003ffff]")
_BEYOND_ASCII = re.compile("[^\0-\x7f]")
# Rows 1 to 3 (punctuation, numbers, full-width letters) and 16 to 87 (ideographs) of GB 2312.
_COMMON_GB2312 = re.compile(rb"(?:[\0-\x7f]|[\xa1-\xa3\xb0-\xf7][\xa1-\xfe])*")
_FEWEST_FOREIGN = 2
_SHORT = 4
_FEWEST_SOUND = 3
_SOUND_PER_BROKEN = 2
_FEWEST_HIGH = 4


def better(raw: bytes, text: str, charset: str) -> str | None:
    """Return the character set that explains the bytes best, None when there is no such.

    `text` is `raw` decoded as `charset`.
    """
    if charset == "utf-8":
        return charset
    utf8 = _utf8(raw)
    single = charset.startswith(_SINGLE_BYTE)
    if utf8 is not None and (single or _is_east_asian(utf8, raw)):
        return "utf-8"
    if charset in _WESTERN and _is_gb2312(raw):
        return "gb18030"
    if (single and _C1_CONTROLS.search(text)) or (not single and _is_damaged_utf8(raw)):
        return None
    return charset


def is_ambiguous(raw: bytes, charset: str) -> bool:
    """Whether the bytes are valid UTF-8 too although another character set was believed."""
    return charset != "utf-8" and not raw.isascii() and _utf8(raw) is not None


def fault(raw: bytes, charset: str) -> UnicodeDecodeError | None:
    """Return where the bytes stop being what they are taken for, None when no place can be named."""
    if charset.startswith(_SINGLE_BYTE):
        start = next((at for at, byte in enumerate(raw) if 0x80 <= byte <= 0x9F), 0)  # noqa: PLR2004 - C1 controls
        return UnicodeDecodeError(charset, raw, start, start + 1, "control character")
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError as error:
        return error
    return None


def _utf8(raw: bytes) -> str | None:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _is_east_asian(utf8: str, raw: bytes) -> bool:
    """Whether text in UTF-8 makes more sense than the same bytes in a two-byte character set.

    Two or three ideographs of GB18030 are valid UTF-8 by accident once in some thousand names, mostly as
    characters of other scripts. In short texts, bytes that are all common GB 2312 are therefore left to the
    declaration.
    """
    foreign = len(_BEYOND_ASCII.findall(utf8))
    if foreign < _FEWEST_FOREIGN or len(_EAST_ASIAN.findall(utf8)) * 2 <= foreign:
        return False
    return foreign > _SHORT or _COMMON_GB2312.fullmatch(raw) is None


def _is_gb2312(raw: bytes) -> bool:
    """Whether every run of high bytes is made of GB 2312's pairs; letters with accents stand alone."""
    runs = _HIGH_RUN.findall(raw)
    if sum(map(len, runs)) < _FEWEST_HIGH or any(len(run) % 2 for run in runs):
        return False
    try:
        raw.decode("gb2312")
    except UnicodeDecodeError:
        return False
    return True


def _is_damaged_utf8(raw: bytes) -> bool:
    """Whether the bytes are UTF-8 but for a few, such as a text cut in the middle of a character."""
    high = raw.translate(None, _ASCII)
    sound = len(_THREE_BYTES.findall(high))
    return sound >= _FEWEST_SOUND and sound > _SOUND_PER_BROKEN * (len(high) - 3 * sound)
