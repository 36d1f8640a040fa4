"""Units as laboratories write them: powers whose sign "^" was not escaped, and what they are in UCUM.

The component separator is the sign of a power too. `10^9/L` in OBX-6, which analysers and most Chinese
laboratory systems do not escape, arrives as the components "10" and "9/L"; `kg/m^2` as "kg/m" and "2". Such
halves are put together; no code list has a unit "10" called "9/L". This module holds no table of units: only
powers of ten for a volume or a mass are read as UCUM, and three forms with an area or a volume.

https://ucum.org/ucum (section 4.1, table 3: 10* and 10^, the number ten for arbitrary powers);
https://hl7.org/fhir/R4/valueset-ucum-common.html
"""

import re
from functools import lru_cache

from hl7_gateway.er7.message import Repetition

UCUM = "http://unitsofmeasure.org"
_TEN = r"(?:[xX×*]\s*)?10"
_POWER = r"-?(?:1[0-9]|[1-9])"
# What ends before the sign of a power, and what begins behind it.
_BASE = re.compile(rf"\s*{_TEN}\s*\Z")
_EXPONENT = re.compile(rf"\s*{_POWER}\s*(?:[^\d/\s]*\s*/\s*\S.*)?\Z")
_LENGTH = re.compile(r"(?:.*[^A-Za-z])?[cdkmu\u00b5\u03bc]?m\s*\Z")
_AREA_OR_VOLUME = re.compile(r"\s*[23]\s*(?:/.*)?\Z")
_POWER_OF_TEN = re.compile(
    rf"{_TEN}\s*[\^*]\s*({_POWER})\s*/\s*([dmnpfu\u00b5\u03bc]?[Ll]|[kmu\u00b5\u03bc]?g|mm\^?3)\Z"
)
_WRITTEN = {
    "kg/m^2": "kg/m2",
    "mL/min/1.73m^2": "mL/min/{1.73_m2}",
    "ml/min/1.73m^2": "mL/min/{1.73_m2}",
}
_MICRO = str.maketrans("\u00b5\u03bc", "uu", "^")


def joined(rep: Repetition) -> Repetition:
    """Return the CWE of a unit with the halves of its powers together, the components behind moved up.

    >>> joined((("10",), ("9/L",), ("",), ("UCUM",)))
    (('10^9/L',), ('',), ('UCUM',))
    """
    components = list(rep)
    place = 0
    while place + 1 < len(components):
        before, behind = components[place], components[place + 1]
        if len(before) == len(behind) == 1 and _is_power(before[0], behind[0]):
            components[place : place + 2] = [(f"{before[0]}^{behind[0]}",)]
        else:
            place += 1
    return tuple(components)


@lru_cache(maxsize=1024)
def ucum(unit: str) -> str | None:
    """Return the UCUM code of a power of ten or of a few other powers, None for any other unit.

    >>> ucum("x10^9/L"), ucum("10*3/μL"), ucum("mmol/L")
    ('10*9/L', '10*3/uL', None)
    """
    match = _POWER_OF_TEN.match(unit)
    if match is not None:
        return f"10*{match[1]}/{match[2].translate(_MICRO)}"
    return _WRITTEN.get(unit.replace(" ", ""))


def _is_power(before: str, behind: str) -> bool:
    if _BASE.match(before):
        return _EXPONENT.match(behind) is not None
    return _LENGTH.match(before) is not None and _AREA_OR_VOLUME.match(behind) is not None
