"""Says which resources a search finds, by looking at every resource: slow, plain and apart from the server.

Written from https://hl7.org/fhir/R4/search.html and nothing of ours: dates are
compared as intervals of whole seconds since 1970 at +08:00, numbers as
fractions, texts letter by letter. Only for the shapes that
`test_search_equals_oracle` makes.
"""

import calendar
import unicodedata
from fractions import Fraction

from hie.core.fhir.json import Json, JsonObject

Interval = tuple[Fraction, Fraction]
_DAY = 86_400
_ZONE = 8 * 3_600
_FOREVER = Fraction(10**15)


def finds(resource: JsonObject, name: str, value: str) -> bool:
    """Return whether ``name=value`` finds `resource`."""
    code, _, modifier = name.partition(":")
    values = value.split(",")
    if modifier == "missing":
        return (not _elements(resource, code)) == (value == "true")
    if modifier == "not":
        return not any(_holds(resource, code, "", each) for each in values)
    return any(_holds(resource, code, modifier, each) for each in values)


def _holds(resource: JsonObject, code: str, modifier: str, value: str) -> bool:
    elements = _elements(resource, code)
    if code in {"identifier", "gender", "code"}:
        return any(_token(element, value) for element in elements)
    if code in {"family", "name"}:
        return any(_text(element, modifier, value) for element in elements)
    if code in {"birthdate", "date"}:
        return any(_date(element, value) for element in elements)
    if code == "value-quantity":
        return any(_quantity(element, value) for element in elements)
    return value in elements or f"Patient/{value}" in elements


def _elements(resource: JsonObject, code: str) -> list[Json]:  # noqa: PLR0911 - one a parameter
    match code:
        case "identifier":
            return [(each.get("system"), each["value"]) for each in resource.get("identifier", [])]
        case "gender":
            system = "http://hl7.org/fhir/administrative-gender"
            return [(system, resource["gender"])] if "gender" in resource else []
        case "code":
            return [(each.get("system"), each["code"]) for each in resource["code"]["coding"]]
        case "family":
            return [each["family"] for each in resource.get("name", []) if "family" in each]
        case "name":
            return [part for each in resource.get("name", []) for part in _parts(each)]
        case "birthdate":
            return [_interval(resource["birthDate"])] if "birthDate" in resource else []
        case "date":
            if "effectivePeriod" in resource:
                return [_period(resource["effectivePeriod"])]
            return [_interval(resource["effectiveDateTime"])] if "effectiveDateTime" in resource else []
        case "value-quantity":
            return [resource["valueQuantity"]] if "valueQuantity" in resource else []
        case _:
            return [resource["subject"]["reference"]] if "subject" in resource else []


def _token(element: tuple[str | None, str], value: str) -> bool:
    if "|" not in value:
        return element[1] == value
    system, code = value.split("|")
    return (element[0] or "") == system and code in {"", element[1]}


def _parts(name: JsonObject) -> list[str]:
    family, given = name.get("family", ""), name.get("given", [])
    parts = [family, *given]
    if any("\u4e00" <= letter <= "\u9fff" for letter in family + "".join(given)):
        parts.append(family + "".join(given))
    return [part for part in parts if part]


def _plain(text: str) -> str:
    letters = unicodedata.normalize("NFD", unicodedata.normalize("NFKC", text).casefold())
    return "".join(letter for letter in letters if unicodedata.category(letter) != "Mn")


def _text(element: str, modifier: str, value: str) -> bool:
    if modifier == "exact":
        return element == value
    if modifier == "contains":
        return _plain(value) in _plain(element)
    return _plain(element).startswith(_plain(value))


def _interval(text: str) -> Interval:
    """Return the seconds that a date of 4, 7 or 10 letters, or a dateTime with offset, covers."""
    if "T" in text:
        day, _, rest = text.partition("T")
        clock, offset = rest[:8], rest[8:]
        hours, minutes, seconds = (int(each) for each in clock.split(":"))
        shift = 0 if offset == "Z" else int(offset[:3]) * 3_600
        second = Fraction(_days(day) * _DAY + hours * 3_600 + minutes * 60 + seconds - shift)
        return second, second + 1
    year, month, day_of_month = int(text[:4]), text[5:7], text[8:10]
    if day_of_month:
        start, length = _days(text), 1
    elif month:
        start, length = _days(f"{text}-01"), calendar.monthrange(year, int(month))[1]
    else:
        start, length = _days(f"{text}-01-01"), 366 if calendar.isleap(year) else 365
    return Fraction(start * _DAY - _ZONE), Fraction((start + length) * _DAY - _ZONE)


def _days(day: str) -> int:
    year, month, day_of_month = (int(each) for each in day.split("-"))
    return calendar.timegm((year, month, day_of_month, 0, 0, 0)) // _DAY


def _period(period: JsonObject) -> Interval:
    start = _interval(period["start"])[0] if "start" in period else -_FOREVER
    end = _interval(period["end"])[1] if "end" in period else _FOREVER
    return start, end


def _date(element: Interval, value: str) -> bool:
    prefix, low, high = "eq", *_interval(value.lstrip("abegilnoqst"))
    if value[0].isalpha():
        prefix = value[:2]
    start, end = element
    is_inside = low <= start and end <= high
    return {
        "eq": is_inside,
        "ne": not is_inside,
        "gt": end > high,
        "lt": start < low,
        "ge": end > high or is_inside,
        "le": start < low or is_inside,
        "sa": start >= high,
        "eb": end <= low,
    }[prefix]


def _quantity(element: JsonObject, value: str) -> bool:
    number, *unit = value.split("|")
    prefix = number[:2] if number[0].isalpha() else "eq"
    digits = number.removeprefix(prefix)
    wanted, actual = Fraction(digits), Fraction(str(element["value"]))
    places = len(digits.partition(".")[2])
    half = Fraction(1, 2 * 10**places)
    if unit:
        system, code = unit
        if system and (element.get("system"), element.get("code")) != (system, code):
            return False
        if not system and code not in {element.get("code"), element.get("unit")}:
            return False
    is_equal = wanted - half <= actual < wanted + half
    return {
        "eq": is_equal,
        "ne": not is_equal,
        "gt": actual > wanted,
        "lt": actual < wanted,
        "ge": actual >= wanted,
        "le": actual <= wanted,
        "sa": actual > wanted,
        "eb": actual < wanted,
        "ap": wanted * Fraction(9, 10) <= actual <= wanted * Fraction(11, 10),
    }[prefix]
