"""The value sets of FHIR R4, as far as their codes can be listed.

Reads `value_sets.json` (made by `terminology_extract`, which says what is left out). Value sets that
clients store are not here: `fhir_server.validation.terminology` knows both.
https://hl7.org/fhir/R4/valueset.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import orjson

from hie.core.fhir.json import JsonObject

_FILE: Final = Path(__file__).with_name("value_sets.json")


@dataclass(frozen=True, slots=True)
class ValueSet:
    """The codes of a value set by system; `is_open` says that it has more, of systems not known here."""

    url: str
    codes: Mapping[str, frozenset[str]]
    is_open: bool

    def has(self, code: str, system: str | None = None) -> bool | None:
        """Return whether `code` is a member, of any system if None is given; None if that cannot be told."""
        if system is None:
            is_member = any(code in codes for codes in self.codes.values())
        else:
            is_member = code in self.codes.get(system, ())
        return is_member or (None if self.is_open else False)


@cache
def value_set(canonical: str) -> ValueSet | None:
    """Return the value set at `canonical`, any version of it; None where R4 has none that can be listed."""
    url = canonical.partition("|")[0]
    entry = _table()["sets"].get(url)
    if entry is None:
        return None
    codes = {
        system: frozenset(_table()["systems"][system] if listed is True else listed)
        for system, listed in entry["codes"].items()
    }
    return ValueSet(url, codes, is_open=entry.get("open", False))


def system_of_all(canonical: str) -> str | None:
    """Return the system that every code of a value set is of, any version of it; None where it has several.

    Known also where the codes cannot be listed: MIME types, currencies.
    """
    url = canonical.partition("|")[0]
    entry = _table()["sets"].get(url)
    if entry is None:
        unlisted: str | None = _table()["unlisted"].get(url)
        return unlisted
    return next(iter(entry["codes"])) if len(entry["codes"]) == 1 and not entry.get("open") else None


@dataclass(frozen=True, slots=True)
class CodeSystem:
    """Every code of a code system, and the codes right above each that has any."""

    codes: frozenset[str]
    parents: Mapping[str, Sequence[str]]


@cache
def code_system(canonical: str) -> CodeSystem | None:
    """Return the code system at `canonical`, any version of it; None where R4 does not define it whole."""
    url = canonical.partition("|")[0]
    codes = _table()["systems"].get(url)
    return None if codes is None else CodeSystem(frozenset(codes), _table()["parents"].get(url, {}))


@cache
def _table() -> JsonObject:
    return orjson.loads(_FILE.read_bytes())  # type: ignore[no-any-return] # our own file
