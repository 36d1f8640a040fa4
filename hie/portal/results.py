"""The lines of a report: what was measured, its value, its reference range and its flag.

Pure. A value stands as the hospital wrote it, beside the hospital's own range and
interpretation; no flag is computed from value and range.
https://hl7.org/fhir/R4/observation.html
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from hie.core.fhir.json import Json, JsonObject
from hie.portal.elements import bounds, concept


class Flag(StrEnum):
    """How a result is marked; the order of severity is the order of the members, most severe first."""

    CRITICAL_HIGH = "critical-high"
    CRITICAL_LOW = "critical-low"
    CRITICAL = "critical"
    HIGH = "high"
    LOW = "low"
    ABNORMAL = "abnormal"
    MARKED = "marked"
    NONE = ""


# https://terminology.hl7.org/CodeSystem-v3-ObservationInterpretation.html, and below it what Chinese
# laboratory systems write in OBX-8 instead of the codes of table 0078. A code that is not listed is
# shown as it came (MARKED), with no meaning given to it.
_FLAGS: Final[Mapping[str, Flag]] = {
    "HH": Flag.CRITICAL_HIGH,
    "LL": Flag.CRITICAL_LOW,
    "AA": Flag.CRITICAL,
    "H": Flag.HIGH,
    "HU": Flag.HIGH,
    "HX": Flag.HIGH,
    ">": Flag.HIGH,
    "L": Flag.LOW,
    "LU": Flag.LOW,
    "LX": Flag.LOW,
    "<": Flag.LOW,
    "A": Flag.ABNORMAL,
    "POS": Flag.ABNORMAL,
    "DET": Flag.ABNORMAL,
    "RR": Flag.ABNORMAL,
    "WR": Flag.ABNORMAL,
    "R": Flag.ABNORMAL,
    "I": Flag.ABNORMAL,
    "N": Flag.NONE,
    "NEG": Flag.NONE,
    "ND": Flag.NONE,
    "NR": Flag.NONE,
    "S": Flag.NONE,
    "↑": Flag.HIGH,
    "↑↑": Flag.CRITICAL_HIGH,
    "高": Flag.HIGH,
    "偏高": Flag.HIGH,
    "↓": Flag.LOW,
    "↓↓": Flag.CRITICAL_LOW,
    "低": Flag.LOW,
    "偏低": Flag.LOW,
    "异常": Flag.ABNORMAL,
    "阳性": Flag.ABNORMAL,
    "正常": Flag.NONE,
    "阴性": Flag.NONE,
}
# Longer values are text, which no column holds.
_COLUMN: Final = 40
# R4's Observation has no attachment; R5's stands in an extension of this value.
_ATTACHED: Final = "valueAttachment"
_KILOBYTE: Final = 1000
_SEVERITY: Final = {flag: rank for rank, flag in enumerate(Flag)}


@dataclass(frozen=True, slots=True)
class Result:
    """One line of a report; `flag_text` is the interpretation as it came."""

    name: str
    value: str
    unit: str
    reference_range: str
    flag: Flag
    flag_text: str
    status: str
    notes: tuple[str, ...] = ()

    @property
    def is_long(self) -> bool:
        """Whether the value is text of several lines rather than a value in a column."""
        return "\n" in self.value or len(self.value) > _COLUMN


def results_of(observation: JsonObject) -> tuple[Result, ...]:
    """Return the lines of one Observation: its own value, then one for each component."""
    components = tuple(
        _line(component, observation.get("status", "")) for component in observation.get("component", ())
    )
    own = _line(observation, observation.get("status", ""))
    return (own, *components) if own.value or own.notes or not components else components


def _line(measured: JsonObject, status: str) -> Result:
    value, unit = _value(measured)
    flag, text = _interpretation(measured)
    ranges = [found.get("text") or bounds(found) for found in measured.get("referenceRange", ())]
    return Result(
        name=concept(measured.get("code")),
        value=value,
        unit=unit,
        reference_range="; ".join(filter(None, ranges)),
        flag=flag,
        flag_text=text,
        status=status,
        notes=tuple(note["text"] for note in measured.get("note", ()) if note.get("text")),
    )


def _value(measured: JsonObject) -> tuple[str, str]:
    """Return value[x] as text, and its unit."""
    key = next((key for key in measured if key.startswith("value")), None)
    if key is None:
        attached = [found["valueAttachment"] for found in measured.get("extension", ()) if _ATTACHED in found]
        if attached:
            return ", ".join(_attachment(found) for found in attached), ""
        return concept(measured.get("dataAbsentReason")), ""
    value = measured[key]
    read = _VALUES.get(key)
    return (str(value), "") if read is None else read(value)


def _attachment(value: JsonObject) -> str:
    """Return what is attached: its title or media type, and its size; the FHIR resource holds it."""
    name = str(value.get("title") or value.get("contentType") or value.get("url") or "?")
    size = value.get("size") or len(value.get("data", "")) * 3 // 4
    return f"📎 {name} ({max(1, size // _KILOBYTE)} kB)" if size else f"📎 {name}"


def _quantity(value: JsonObject) -> tuple[str, str]:
    number = f"{value.get('comparator', '')}{value.get('value', '')}"
    return number, str(value.get("unit") or value.get("code") or "")


def _range(value: JsonObject) -> tuple[str, str]:
    units = (value.get(side, {}).get("unit") for side in ("low", "high"))
    return bounds(value), str(next(filter(None, units), ""))


def _ratio(value: JsonObject) -> tuple[str, str]:
    sides = (value.get(side, {}).get("value", "") for side in ("numerator", "denominator"))
    return ":".join(str(side) for side in sides), ""


_VALUES: Final[Mapping[str, Callable[[Json], tuple[str, str]]]] = {
    "valueQuantity": _quantity,
    "valueCodeableConcept": lambda value: (concept(value), ""),
    "valueRange": _range,
    "valueRatio": _ratio,
    "valuePeriod": lambda value: (f"{value.get('start', '')} – {value.get('end', '')}", ""),
    "valueSampledData": lambda value: (str(value.get("data", "")), ""),
    "valueBoolean": lambda value: ("✓" if value else "✗", ""),
}


def _interpretation(measured: JsonObject) -> tuple[Flag, str]:
    """Return the most severe flag of the interpretations, and its text as it came."""
    found: list[tuple[Flag, str]] = []
    for interpretation in measured.get("interpretation", ()):
        codes = [str(coding["code"]) for coding in interpretation.get("coding", ()) if coding.get("code")]
        text = concept(interpretation)
        words = [*codes, *([text] if text else [])]
        flag = next((_FLAGS[word] for word in words if word in _FLAGS), Flag.MARKED if words else Flag.NONE)
        found.append((flag, text or next(iter(codes), "")))
    return min(found, key=lambda pair: _SEVERITY[pair[0]], default=(Flag.NONE, ""))
