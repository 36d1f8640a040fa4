"""National identifiers of persons: which namespace a type code of CX.5 means, whatever hospital sends it.

The table is `national_identifiers.yaml`; this module holds the checks that it names and nothing of the table.
"""

from collections.abc import Callable
from functools import cache
from importlib import resources
from operator import mul
from typing import NamedTuple

import yaml

from hie.core.errors import ConfigurationError

_WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)
_CHECK_CHARACTERS = "10X98765432"
_ID_NUMBER_LENGTH = 18
# The weighted sum of seventeen zeros as ASCII has them.
_ZEROS = sum(_WEIGHTS) * ord("0")


def gb_11643(value: str) -> bool:
    """Whether `value` is an 18-character citizen identification number with a right check character.

    GB 11643-1999: ISO 7064 MOD 11-2 over 17 digits.

    >>> gb_11643("11010519491231002X")
    True
    """
    if len(value) != _ID_NUMBER_LENGTH or not value.isascii() or not value[:17].isdigit():
        return False
    total = sum(map(mul, _WEIGHTS, value.encode())) - _ZEROS
    return _CHECK_CHARACTERS[total % 11] == value[17].upper()


_CHECKS: dict[str, Callable[[str], bool]] = {"gb_11643": gb_11643, "none": bool}


class National(NamedTuple):
    """A namespace of a nation, and the check that a value of it passes."""

    system: str
    holds: Callable[[str], bool]


def national_namespace(type_code: str) -> National | None:
    """Return the namespace of the national identifiers that `type_code` means, None for other types."""
    return _systems().get(type_code.upper())


def national_system(type_code: str, value: str) -> str | None:
    """Return the system of the national identifier that `type_code` and `value` make, None for all others."""
    found = national_namespace(type_code)
    return found.system if found is not None and found.holds(value) else None


@cache
def _systems() -> dict[str, National]:
    text = resources.files(__package__).joinpath("national_identifiers.yaml").read_text(encoding="utf-8")
    systems: dict[str, National] = {}
    for entry in yaml.safe_load(text)["identifiers"]:
        check = _CHECKS.get(entry["check"])
        if check is None:
            raise ConfigurationError(f"national_identifiers.yaml names the unknown check `{entry['check']}`")
        for type_code in entry["type_codes"]:
            systems[str(type_code).upper()] = National(entry["system"], check)
    return systems
