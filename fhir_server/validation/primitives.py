"""The primitive types of R4: whether a JSON value is one (https://hl7.org/fhir/R4/datatypes.html#primitive).

One rule for each type. A rule returns None for a good value, which is the fast way through, else
one finding. The grammar is that of fhir.resources; a rule is stricter where R4 is plain and
fhir.resources is not, with the reason beside it. A JSON value of another kind is never converted:
a boolean is `true` and not "true" or 1 (https://hl7.org/fhir/R4/json.html#primitive).
"""

import re
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Callable, Mapping
from datetime import date
from decimal import Decimal
from math import isfinite
from typing import Final

from fhir_server.validation.finding import Finding, Findings
from hie.core.fhir.json import Json

Rule = Callable[[Json, int], Findings | None]
"""Looks at a value at a depth of nesting; returns what is wrong with it, None when nothing is."""

# "Note that strings SHALL NOT exceed 1MB in size", given as 1024*1024 characters
# (https://hl7.org/fhir/R4/datatypes.html#string).
MAX_STRING: Final = 1024 * 1024

# White space as the regular expressions of fhir.resources (Rust's \s, the Unicode property
# White_Space) know it; Python's str.isspace() holds U+001C to U+001F to be spaces too.
_SPACE = "\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000"
# Of all white space str.isprintable() takes only U+0020, which makes it the fast way to tell.
_has_content = re.compile(f"[ \\r\\n\\t]|[^{_SPACE}]").search
# "Strings SHOULD not contain Unicode character points below 32, except for" tab, carriage return and line
# feed (https://hl7.org/fhir/R4/datatypes.html#string); XML has no way to write them, nor U+FFFE and U+FFFF
# (https://www.w3.org/TR/xml/#charsets), so a resource with one could not be shown in both formats.
# fhir.resources takes them. No such character is printable for Python.
_has_control = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]").search
_has_space = re.compile(f"[{_SPACE}]").search
_is_code = re.compile(f"[^{_SPACE}]+(?:[{_SPACE}][^{_SPACE}]+)*").fullmatch
# "with a length limit of 64 characters" (https://hl7.org/fhir/R4/datatypes.html#id);
# fhir.resources takes 255.
_is_id = re.compile(r"[A-Za-z0-9\-.]{1,64}").fullmatch
_is_oid = re.compile(r"urn:oid:[0-2](?:\.(?:0|[1-9][0-9]*))+").fullmatch
# Any version of UUID, and only as a URI (https://hl7.org/fhir/R4/datatypes.html#uuid);
# fhir.resources takes version 4 only, and without its scheme too.
_is_uuid = re.compile(r"urn:uuid:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}").fullmatch

_YEAR = "(?!0000)[0-9]{4}"
_MONTH = "(?:0[1-9]|1[0-2])"
_DAY = "(?:0[1-9]|[12][0-9]|3[01])"
_TIME = r"(?:[01][0-9]|2[0-3]):[0-5][0-9]:(?:[0-5][0-9]|60)(?:\.[0-9]+)?"
_ZONE = r"(?:Z|[+-](?:(?:0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_is_date = re.compile(f"{_YEAR}(?:-{_MONTH}(?:-{_DAY})?)?").fullmatch
_is_date_time = re.compile(f"{_YEAR}(?:-{_MONTH}(?:-{_DAY}(?:T{_TIME}{_ZONE})?)?)?").fullmatch
_is_instant = re.compile(f"{_YEAR}-{_MONTH}-{_DAY}T{_TIME}{_ZONE}").fullmatch
_is_time = re.compile(_TIME).fullmatch
# Every month has the days 01 to 28; later ones are looked up in the calendar.
_LAST_COMMON_DAY = "28"

_INTEGER_MIN: Final = -(2**31)
_INTEGER_MAX: Final = 2**31 - 1

# Values of these types may be a patient's words; messages do not repeat them.
_UNQUOTED = frozenset({"string", "markdown", "xhtml", "base64Binary"})
_QUOTED_LENGTH = 40

_JSON_NAMES: Mapping[type, str] = {
    dict: "an object",
    list: "an array",
    str: "a string",
    bool: "a boolean",
    int: "a number",
    float: "a number",
    Decimal: "a number",
    type(None): "null",
}


def json_name(value: Json) -> str:
    """Return what JSON calls `value`: "an object", "null"."""
    return _JSON_NAMES.get(type(value), "no JSON value")


def refuse(type_name: str, value: Json) -> Findings:
    """Return the finding that `value` is not a `type_name`."""
    code = "structure" if type(value) in (dict, list, type(None)) else "value"
    return [Finding(code, f"Expected {type_name}, found {_described(type_name, value)}")]


def _described(type_name: str, value: Json) -> str:
    if isinstance(value, str):
        return _text_described(type_name, value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return f"the number {_digits(value)}"
    return json_name(value)


def _text_described(type_name: str, text: str) -> str:
    if text == "":
        return "an empty string"
    control = _has_control(text)
    if control is not None:
        kind = "control character" if control[0] < " " else "noncharacter"
        return f"the {kind} U+{ord(control[0]):04X}"
    if type_name not in _UNQUOTED:
        return f"`{_cut(text)}`"
    if len(text) > MAX_STRING and type_name != "base64Binary":
        return f"{len(text)} characters, more than {MAX_STRING}"
    return "other text" if type_name == "base64Binary" else "only white space"


def _cut(text: str) -> str:
    return text if len(text) <= _QUOTED_LENGTH else f"{text[:_QUOTED_LENGTH]}..."


def _digits(value: float | Decimal) -> str:
    try:
        return _cut(str(value))
    except ValueError:  # Python prints no integer of more than 4,300 digits
        return "with thousands of digits"


def _boolean(value: Json, _depth: int) -> Findings | None:
    if value is True or value is False:
        return None
    return refuse("boolean", value)


def _string(value: Json, _depth: int) -> Findings | None:
    if (
        type(value) is str
        and 0 < len(value) <= MAX_STRING
        and (
            value.isprintable() or (not _has_control(value) and (not value.isspace() or _has_content(value)))
        )
    ):
        return None
    return refuse("string", value)


def _markdown(value: Json, _depth: int) -> Findings | None:
    if (
        type(value) is str
        and 0 < len(value) <= MAX_STRING
        and (value.isprintable() or not _has_control(value))
    ):
        return None
    return refuse("markdown", value)


def _xhtml(value: Json, _depth: int) -> Findings | None:
    if type(value) is str and value and not _has_control(value):
        return None
    return refuse("xhtml", value)


def _code(value: Json, _depth: int) -> Findings | None:
    if (
        type(value) is str
        and value
        and ((value.isprintable() and " " not in value) or (_is_code(value) and not _has_control(value)))
    ):
        return None
    return refuse("code", value)


def _id(value: Json, _depth: int) -> Findings | None:
    if type(value) is str and _is_id(value):
        return None
    return refuse("id", value)


def _oid(value: Json, _depth: int) -> Findings | None:
    if type(value) is str and _is_oid(value):
        return None
    return refuse("oid", value)


def _uuid(value: Json, _depth: int) -> Findings | None:
    if type(value) is str and _is_uuid(value):
        return None
    return refuse("uuid", value)


def _uri_like(type_name: str) -> Rule:
    # R4 gives `\S*` for uri, url and canonical (https://hl7.org/fhir/R4/datatypes.html#uri);
    # fhir.resources carries the expression but looks for it anywhere in the text.
    def rule(value: Json, _depth: int) -> Findings | None:
        if (
            type(value) is str
            and value
            and ((value.isprintable() and " " not in value) or not (_has_space(value) or _has_control(value)))
        ):
            return None
        return refuse(type_name, value)

    return rule


def _base64_binary(value: Json, _depth: int) -> Findings | None:
    # Letters outside the alphabet are refused (https://hl7.org/fhir/R4/datatypes.html#base64Binary);
    # fhir.resources skips them.
    if type(value) is str and value and (value.isprintable() or not _has_control(value)):
        try:
            b64decode("".join(value.split()), validate=True)
        except (Base64Error, ValueError):
            return refuse("base64Binary", value)
        return None
    return refuse("base64Binary", value)


def _decimal(value: Json, _depth: int) -> Findings | None:
    kind = type(value)
    if kind is int or (kind is float and isfinite(value)) or (kind is Decimal and value.is_finite()):
        return None
    return refuse("decimal", value)


def _whole_number(type_name: str, least: int) -> Rule:
    def rule(value: Json, _depth: int) -> Findings | None:
        if type(value) is int and least <= value <= _INTEGER_MAX:
            return None
        return refuse(type_name, value)

    return rule


def _date(value: Json, _depth: int) -> Findings | None:
    if type(value) is str and _is_date(value) and (value[8:10] <= _LAST_COMMON_DAY or _is_in_calendar(value)):
        return None
    return refuse("date", value)


def _date_time(value: Json, _depth: int) -> Findings | None:
    if (
        type(value) is str
        and _is_date_time(value)
        and (value[8:10] <= _LAST_COMMON_DAY or _is_in_calendar(value))
    ):
        return None
    return refuse("dateTime", value)


def _instant(value: Json, _depth: int) -> Findings | None:
    if (
        type(value) is str
        and _is_instant(value)
        and (value[8:10] <= _LAST_COMMON_DAY or _is_in_calendar(value))
    ):
        return None
    return refuse("instant", value)


def _is_in_calendar(text: str) -> bool:
    try:
        date(int(text[:4]), int(text[5:7]), int(text[8:10]))
    except ValueError:
        return False
    return True


def _time(value: Json, _depth: int) -> Findings | None:
    if type(value) is str and _is_time(value):
        return None
    return refuse("time", value)


RULES: Final[Mapping[str, Rule]] = {
    "base64Binary": _base64_binary,
    "boolean": _boolean,
    "canonical": _uri_like("canonical"),
    "code": _code,
    "date": _date,
    "dateTime": _date_time,
    "decimal": _decimal,
    "id": _id,
    "instant": _instant,
    "integer": _whole_number("integer", _INTEGER_MIN),
    "markdown": _markdown,
    "oid": _oid,
    "positiveInt": _whole_number("positiveInt", 1),
    "string": _string,
    "time": _time,
    "unsignedInt": _whole_number("unsignedInt", 0),
    "uri": _uri_like("uri"),
    "url": _uri_like("url"),
    "uuid": _uuid,
    "xhtml": _xhtml,
}
"""The rule of each primitive type."""
